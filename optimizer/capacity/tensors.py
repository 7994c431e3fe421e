"""The weights of a model as groups of equal matrices: what they are for and how they are split."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["QUANTIZED_BY_DEFAULT", "VOCABULARY_PADDING", "Role", "Split", "Tensor", "vector"]

# Engines pad the vocabulary to a multiple of this before they split it (vLLM
# VocabParallelEmbedding, DEFAULT_VOCAB_PADDING_SIZE).
VOCABULARY_PADDING = 64


class Role(StrEnum):
    """What a weight is for; decides its precision under quantisation."""

    EMBEDDING = "embedding"
    OUTPUT = "output"
    ATTENTION = "attention"
    RECURRENT = "recurrent"
    FEED_FORWARD = "feed_forward"
    EXPERTS = "experts"
    SHARED_EXPERTS = "shared_experts"
    ROUTER = "router"
    VECTORS = "vectors"
    VISION = "vision"


# Quantised checkpoints keep embeddings, output layer, routers, norms and encoders as they are.
QUANTIZED_BY_DEFAULT = frozenset(
    {Role.ATTENTION, Role.RECURRENT, Role.FEED_FORWARD, Role.EXPERTS, Role.SHARED_EXPERTS}
)


class Split(StrEnum):
    """How tensor parallelism spreads a weight over its ranks."""

    EVEN = "even"
    KV_HEADS = "kv_heads"
    VOCABULARY = "vocabulary"
    COPIED = "copied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A group of equal matrices.

    Parameters
    ----------
    role
        What they are for.
    rows, columns
        Outputs and inputs of one matrix; a vector has one row.
    copies
        Matrices in the group (experts), at least 1.
    active_copies
        Matrices that one token uses; None: all of them.
    split
        How tensor parallelism spreads the group.
    kv_heads
        Key-value heads, for `Split.KV_HEADS`: divided as long as every rank has one, then copied.
    """

    role: Role
    rows: int
    columns: int
    copies: int = 1
    active_copies: int | None = None
    split: Split = Split.EVEN
    kv_heads: int = 1

    @property
    def parameters(self) -> int:
        """Parameters of the group."""
        return self.rows * self.columns * self.copies

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses."""
        used = self.copies if self.active_copies is None else self.active_copies
        return self.rows * self.columns * used

    def share(self, tensor_parallel: int) -> float:
        """Part of the group that each of `tensor_parallel` ranks holds, padding included."""
        if self.split is Split.COPIED:
            return 1.0
        if self.split is Split.KV_HEADS:
            return -(-self.kv_heads // tensor_parallel) / self.kv_heads
        if self.split is Split.VOCABULARY:
            padded = -(-self.rows // VOCABULARY_PADDING) * VOCABULARY_PADDING
            return padded / tensor_parallel / self.rows
        return 1.0 / tensor_parallel


def vector(elements: int) -> Tensor:
    """Return norms, biases and other vectors, which every rank copies."""
    return Tensor(role=Role.VECTORS, rows=1, columns=elements, split=Split.COPIED)
