"""Layers with a recurrent state instead of a KV cache: linear attention and state-space models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from optimizer.capacity.number_formats import NumberFormat
from optimizer.capacity.tensors import Role, Split, Tensor, vector

__all__ = ["Recurrence", "Recurrent", "gated_delta", "kimi_delta", "lightning", "mamba", "mamba2"]


class Recurrence(StrEnum):
    """Which recurrence a layer runs."""

    GATED_DELTA = "gated-delta"
    KIMI_DELTA = "kimi-delta"
    LIGHTNING = "lightning"
    MAMBA = "mamba"
    MAMBA2 = "mamba2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrent:
    """A layer whose memory does not grow with the context.

    Parameters
    ----------
    recurrence
        Which one.
    heads
        Heads that tensor parallelism divides.
    projections
        Rows and columns of its matrices.
    vector_elements
        Parameters of norms, biases, decays and convolutions.
    convolution_elements
        Numbers of the convolution's state, in the model's own format.
    state_elements
        Numbers of the recurrent state.
    state_format
        Format of the recurrent state; None: the model's own.
    """

    recurrence: Recurrence
    heads: int
    projections: tuple[tuple[int, int], ...]
    vector_elements: int
    convolution_elements: int
    state_elements: int
    state_format: NumberFormat | None = None

    def tensors(self, hidden_size: int) -> Iterator[Tensor]:  # noqa: ARG002
        """Yield the weights of the layer; all matrices are split over the ranks."""
        for rows, columns in self.projections:
            yield Tensor(role=Role.RECURRENT, rows=rows, columns=columns, split=Split.EVEN)
        yield vector(self.vector_elements)

    def state_bytes(self, native: NumberFormat, tensor_parallel: int = 1) -> int:
        """Bytes kept per request on each rank, whatever the context."""
        state = self.state_elements * (self.state_format or native).bits
        return -(-(self.convolution_elements * native.bits + state) // (8 * tensor_parallel))


def gated_delta(
    hidden_size: int,
    *,
    key_heads: int,
    value_heads: int,
    key_dim: int,
    value_dim: int,
    convolution: int,
    state_format: NumberFormat | None,
) -> Recurrent:
    """Gated delta net (Qwen3-Next, Qwen3.5) [1]_.

    References
    ----------
    .. [1] Yang, Kautz, Hatamizadeh (2025). Gated Delta Networks. ICLR 2025, arXiv:2412.06464.
    """
    keys, values = key_heads * key_dim, value_heads * value_dim
    channels = 2 * keys + values
    return Recurrent(
        recurrence=Recurrence.GATED_DELTA,
        heads=key_heads,
        projections=(
            (channels + values, hidden_size),
            (2 * value_heads, hidden_size),
            (hidden_size, values),
        ),
        vector_elements=channels * convolution + 2 * value_heads + value_dim,
        convolution_elements=channels * (convolution - 1),
        state_elements=value_heads * key_dim * value_dim,
        state_format=state_format,
    )


def kimi_delta(
    hidden_size: int,
    *,
    heads: int,
    head_dim: int,
    convolution: int,
    state_format: NumberFormat,
) -> Recurrent:
    """Kimi delta attention [1]_: three convolutions, low-rank decay and output gates.

    References
    ----------
    .. [1] Kimi Team (2025). Kimi Linear. arXiv:2510.26692.
    """
    width = heads * head_dim
    return Recurrent(
        recurrence=Recurrence.KIMI_DELTA,
        heads=heads,
        projections=(
            (3 * width, hidden_size),
            (2 * head_dim, hidden_size),
            (2 * width, head_dim),
            (heads, hidden_size),
            (hidden_size, width),
        ),
        vector_elements=3 * width * convolution + heads + width + head_dim,
        convolution_elements=3 * width * (convolution - 1),
        state_elements=heads * head_dim * head_dim,
        state_format=state_format,
    )


def lightning(hidden_size: int, *, heads: int, head_dim: int) -> Recurrent:
    """Lightning attention (MiniMax-01): linear attention with a fixed decay and an output gate."""
    width = heads * head_dim
    return Recurrent(
        recurrence=Recurrence.LIGHTNING,
        heads=heads,
        projections=((4 * width, hidden_size), (hidden_size, width)),
        vector_elements=width,
        convolution_elements=0,
        state_elements=heads * head_dim * head_dim,
    )


def mamba(
    hidden_size: int,
    *,
    inner: int,
    state: int,
    convolution: int,
    rank: int,
    norms: bool,
) -> Recurrent:
    """Mamba [1]_: selective state space with a diagonal transition; `norms` as Jamba has them.

    References
    ----------
    .. [1] Gu, Dao (2023). Mamba. arXiv:2312.00752.
    """
    return Recurrent(
        recurrence=Recurrence.MAMBA,
        heads=inner,
        projections=(
            (2 * inner, hidden_size),
            (rank + 2 * state, inner),
            (inner, rank),
            (hidden_size, inner),
        ),
        vector_elements=inner * (convolution + 1 + state + 2) + (rank + 2 * state if norms else 0),
        convolution_elements=inner * (convolution - 1),
        state_elements=inner * state,
    )


def mamba2(
    hidden_size: int,
    *,
    heads: int,
    head_dim: int,
    groups: int,
    state: int,
    convolution: int,
    state_format: NumberFormat | None,
) -> Recurrent:
    """Mamba-2 [1]_: state-space duality with scalar decays per head.

    References
    ----------
    .. [1] Dao, Gu (2024). Transformers are SSMs. arXiv:2405.21060.
    """
    inner = heads * head_dim
    channels = inner + 2 * groups * state
    return Recurrent(
        recurrence=Recurrence.MAMBA2,
        heads=heads,
        projections=((inner + channels + heads, hidden_size), (hidden_size, inner)),
        vector_elements=channels * (convolution + 1) + 3 * heads + inner,
        convolution_elements=channels * (convolution - 1),
        state_elements=heads * head_dim * state,
        state_format=state_format,
    )
