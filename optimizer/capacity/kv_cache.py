"""The KV cache of a model: per token, per request, per batch; exact, with no fitted constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.capacity.architecture import Architecture
from optimizer.capacity.attention import AttentionType, LatentAttention
from optimizer.capacity.errors import CapacityError, require_count
from optimizer.capacity.kv_formats import KVFormat, kv_format, row_bytes
from optimizer.capacity.units import GB, GIB

__all__ = ["KVCacheDetail", "LayerKV", "kv_cache_detail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKV:
    """What the layers of one kind keep.

    Parameters
    ----------
    kind
        `full`, `sliding`, `chunked`, or the name of a recurrence.
    layers
        Layers of this kind.
    kv_heads
        Key-value heads of a layer; 1 for a latent, 0 for a recurrence.
    row_bytes
        Bytes that one layer keeps per token; 0 for a recurrence.
    head_row_bytes
        Bytes per token, layer and key-value head.
    window
        Tokens kept at most; None without a limit.
    state_bytes
        Bytes that one layer keeps per request, whatever the context.
    """

    kind: str
    layers: int
    kv_heads: int
    row_bytes: float
    head_row_bytes: float
    window: int | None
    state_bytes: int

    @property
    def bytes_per_token(self) -> float:
        """Bytes per token of all layers of this kind, for tokens within the window."""
        return self.layers * self.row_bytes

    def request_bytes(self, context_len: NDArray[np.int64]) -> NDArray[np.float64]:
        """Bytes that a request of these lengths occupies in all layers of this kind."""
        kept = context_len if self.window is None else np.minimum(context_len, self.window)
        return np.asarray(self.layers * (self.row_bytes * kept + self.state_bytes), dtype=float)


@dataclass(frozen=True, slots=True, kw_only=True)
class KVCacheDetail:
    """Everything about a model's KV cache, for one context length and batch size.

    `_bytes` are bytes, `_gb` is 1e9 bytes, `_gib` is 2**30 bytes. A request occupies what it holds
    after its prefill: layers with a window keep no more than the window, recurrent layers a state
    of fixed size. What an engine reserves to admit it may be more (`page_layout`).

    Parameters
    ----------
    model
        Hub id or file.
    attention_type
        MLA, MHA, GQA or MQA, of the layers that see all tokens; `none` without attention.
    kv_data_type
        Format of the cache.
    precision_in_bytes
        Bytes per number, exact: half a byte is 0.5.
    num_hidden_layers, hidden_size
        Layers, all kinds together; width of the residual stream.
    num_attention_heads, num_key_value_heads, head_dimension
        Of the layers that see all tokens; 0 without attention. For MLA, heads as the configuration
        has them, and the dimension of a query.
    model_architecture
        Name of the model's class.
    num_attention_group
        Query heads that share a key-value head; all heads share MLA's latent.
    per_token_memory_bytes
        Bytes that one more token takes in all layers, while windows are not full.
    per_request_kv_cache_bytes, per_request_kv_cache_gb
        One request of `context_len` tokens.
    kv_cache_size_gb
        `batch_size` such requests.
    context_len, batch_size
        Tokens of a request; requests.
    kv_lora_rank, qk_rope_head_dim
        MLA's; None otherwise.
    layers
        What the layers of each kind keep.
    """

    model: str
    attention_type: AttentionType
    kv_data_type: str
    precision_in_bytes: float
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dimension: int
    model_architecture: str
    num_attention_group: int
    per_token_memory_bytes: int
    per_request_kv_cache_bytes: int
    per_request_kv_cache_gb: float
    kv_cache_size_gb: float
    context_len: int
    batch_size: int
    kv_lora_rank: int | None = None
    qk_rope_head_dim: int | None = None
    layers: tuple[LayerKV, ...] = ()

    @property
    def per_request_kv_cache_gib(self) -> float:
        """One request [GiB = 2**30 bytes]."""
        return self.per_request_kv_cache_bytes / GIB

    @property
    def kv_cache_size_bytes(self) -> int:
        """The batch [bytes]."""
        return self.per_request_kv_cache_bytes * self.batch_size

    @property
    def kv_cache_size_gib(self) -> float:
        """The batch [GiB = 2**30 bytes]."""
        return self.kv_cache_size_bytes / GIB

    def at(self, context_len: int | None = None, batch_size: int | None = None) -> KVCacheDetail:
        """Return the same cache at another context length or batch size.

        Raises
        ------
        CapacityError
            If a length or size is no whole number of at least 1.
        """
        tokens = require_count(
            "context_len", self.context_len if context_len is None else context_len
        )
        batch = require_count("batch_size", self.batch_size if batch_size is None else batch_size)
        request = math.ceil(self.request_bytes([tokens])[0])
        return replace(
            self,
            context_len=tokens,
            batch_size=batch,
            per_request_kv_cache_bytes=request,
            per_request_kv_cache_gb=request / GB,
            kv_cache_size_gb=request * batch / GB,
        )

    def request_bytes(self, context_len: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Bytes of a request at each of these lengths, shape as given."""
        lengths = np.asarray(context_len, dtype=np.int64)
        total = np.zeros(lengths.shape)
        for layer in self.layers:
            total += layer.request_bytes(lengths)
        return total

    def tokens_in(self, pool_bytes: float) -> int:
        """Count the tokens that a pool holds while no window is full.

        Raises
        ------
        CapacityError
            If the model keeps nothing per token.
        """
        if self.per_token_memory_bytes == 0:
            raise CapacityError("model", self.model, "keeps no KV cache, only states of fixed size")
        return int(pool_bytes // self.per_token_memory_bytes)

    def requests_in(self, pool_bytes: float) -> int:
        """Count the requests of `context_len` tokens that a pool holds."""
        return int(pool_bytes // self.per_request_kv_cache_bytes)

    def to_document(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        document = asdict(self)
        document["attention_type"] = self.attention_type.value
        return {
            **document,
            "per_request_kv_cache_gib": self.per_request_kv_cache_gib,
            "kv_cache_size_gib": self.kv_cache_size_gib,
        }


def kv_cache_detail(
    architecture: Architecture,
    *,
    kv_dtype: str = "auto",
    context_len: int = 1,
    batch_size: int = 1,
    tensor_parallel: int = 1,
) -> KVCacheDetail:
    """KV cache of a model.

    Per token and layer: `2 x head_dim x kv_heads x bytes` (with different dimensions of keys and
    values, their sum), or `(kv_lora_rank + qk_rope_head_dim) x bytes` for MLA [1]_.

    Parameters
    ----------
    architecture
        The model.
    kv_dtype
        Format of the cache, independent of that of the weights; `auto`: what the checkpoint
        declares, else its native format.
    context_len, batch_size
        Tokens of a request; requests.
    tensor_parallel
        Figures are for each of so many ranks: 1 for the model as a whole. Key-value heads are
        divided until every rank has one; a latent is on every rank.

    Raises
    ------
    CapacityError
        If a length or size is below 1 or the format is unknown; names the field.

    References
    ----------
    .. [1] DeepSeek-AI (2024). DeepSeek-V2. arXiv:2405.04434, section 2.1.
    """
    ranks = require_count("tensor_parallel", tensor_parallel)
    form = kv_format(kv_dtype, architecture)
    layers = _layers(architecture, form, ranks)
    main = architecture.main_attention
    latent = main if isinstance(main, LatentAttention) else None
    heads = 0 if main is None else main.heads
    sharing = 0 if main is None else main.kv_heads
    per_token = sum((Fraction(layer.bytes_per_token) for layer in layers), Fraction(0))
    detail = KVCacheDetail(
        model=architecture.name,
        attention_type=architecture.attention_type,
        kv_data_type=form.name,
        precision_in_bytes=form.number.bytes,
        num_hidden_layers=len(architecture.layers),
        hidden_size=architecture.hidden_size,
        num_attention_heads=heads,
        num_key_value_heads=heads if latent else sharing,
        head_dimension=0 if main is None else main.head_dim,
        model_architecture=architecture.class_name,
        num_attention_group=heads // sharing if sharing else 0,
        per_token_memory_bytes=math.ceil(per_token),
        per_request_kv_cache_bytes=0,
        per_request_kv_cache_gb=0.0,
        kv_cache_size_gb=0.0,
        context_len=1,
        batch_size=1,
        kv_lora_rank=latent.kv_lora_rank if latent else None,
        qk_rope_head_dim=latent.rope_dim if latent else None,
        layers=layers,
    )
    return detail.at(
        require_count("context_len", context_len), require_count("batch_size", batch_size)
    )


def _layers(architecture: Architecture, form: KVFormat, ranks: int) -> tuple[LayerKV, ...]:
    kinds = []
    for mixer, count in architecture.attention_layers:
        row = float(row_bytes(mixer, form, ranks))
        heads = -(-mixer.kv_heads // ranks)
        kinds.append(
            LayerKV(
                kind=mixer.reach.value,
                layers=count,
                kv_heads=heads,
                row_bytes=row,
                head_row_bytes=row / heads,
                window=mixer.window,
                state_bytes=0,
            )
        )
    for recurrent, count in architecture.recurrent_layers:
        kinds.append(
            LayerKV(
                kind=recurrent.recurrence.value,
                layers=count,
                kv_heads=0,
                row_bytes=0.0,
                head_row_bytes=0.0,
                window=None,
                state_bytes=recurrent.state_bytes(architecture.native_format, ranks),
            )
        )
    return tuple(kinds)
