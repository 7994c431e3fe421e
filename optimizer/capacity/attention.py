"""Attention layers: their weights, and what they keep in the KV cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from optimizer.capacity.tensors import Role, Split, Tensor, vector

__all__ = ["Attention", "AttentionType", "LatentAttention", "Reach", "attention_type"]


class AttentionType(StrEnum):
    """How queries share keys and values."""

    MLA = "MLA"
    MHA = "MHA"
    GQA = "GQA"
    MQA = "MQA"
    NONE = "none"


class Reach(StrEnum):
    """Which earlier tokens a layer attends to."""

    FULL = "full"
    SLIDING = "sliding"
    CHUNKED = "chunked"


def attention_type(heads: int, kv_heads: int) -> AttentionType:
    """Name of attention with so many query and key-value heads.

    With a single query head, which all names fit, it is MHA.
    """
    if kv_heads == heads:
        return AttentionType.MHA
    return AttentionType.MQA if kv_heads == 1 else AttentionType.GQA


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Softmax attention with separate keys and values.

    Parameters
    ----------
    heads, kv_heads
        Query heads; key-value heads, of which `heads` is a multiple.
    head_dim, value_dim
        Dimension of a query or key, and of a value.
    reach, window
        Which tokens it attends to; `window` is the length of the sliding window or of a chunk.
    query_bias, output_bias
        Whether the projections to queries, keys and values, and the one after, have biases.
    norm_elements
        Parameters of the norms on queries and keys.
    output_gate
        Whether the query projection also yields a gate of the output.
    keys_are_values
        Whether one projection yields both; the cache still holds both.
    sinks
        Whether every head has a learned sink.
    """

    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    reach: Reach = Reach.FULL
    window: int | None = None
    query_bias: bool = False
    output_bias: bool = False
    norm_elements: int = 0
    output_gate: bool = False
    keys_are_values: bool = False
    sinks: bool = False

    @property
    def type(self) -> AttentionType:
        """MHA, GQA or MQA."""
        return attention_type(self.heads, self.kv_heads)

    def tensors(self, hidden_size: int) -> Iterator[Tensor]:
        """Yield the weights of the layer, for a residual stream of `hidden_size`."""
        query = self.heads * self.head_dim * (2 if self.output_gate else 1)
        key, value = self.kv_heads * self.head_dim, self.kv_heads * self.value_dim
        stored = key if self.keys_are_values else key + value
        yield Tensor(role=Role.ATTENTION, rows=query, columns=hidden_size)
        yield Tensor(
            role=Role.ATTENTION,
            rows=stored,
            columns=hidden_size,
            split=Split.KV_HEADS,
            kv_heads=self.kv_heads,
        )
        yield Tensor(role=Role.ATTENTION, rows=hidden_size, columns=self.heads * self.value_dim)
        vectors = self.norm_elements + (self.heads if self.sinks else 0)
        vectors += (query + stored) if self.query_bias else 0
        vectors += hidden_size if self.output_bias else 0
        if vectors:
            yield vector(vectors)

    def kv_elements(self, tensor_parallel: int = 1) -> int:
        """Numbers kept per token on each rank; KV heads are copied once there are more ranks."""
        return -(-self.kv_heads // tensor_parallel) * (self.head_dim + self.value_dim)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention (DeepSeek-V2): one compressed key-value per token.

    Parameters
    ----------
    heads
        Query heads.
    kv_lora_rank, q_lora_rank
        Ranks of the compressed key-value and of the compressed query (None: not compressed).
    rope_dim, plain_dim, value_dim
        Dimensions per head of the rotary and of the plain part of keys, and of values.
    indexer_heads, indexer_dim
        Sparse attention's indexer (DeepSeek-V3.2): heads and dimension; 0 without one.
    """

    heads: int
    kv_lora_rank: int
    q_lora_rank: int | None
    rope_dim: int
    plain_dim: int
    value_dim: int
    indexer_heads: int = 0
    indexer_dim: int = 0

    reach = Reach.FULL
    window = None

    @property
    def type(self) -> AttentionType:
        """Always MLA."""
        return AttentionType.MLA

    @property
    def kv_heads(self) -> int:
        """The latent serves all heads."""
        return 1

    @property
    def head_dim(self) -> int:
        """Dimension of a query: plain and rotary part."""
        return self.plain_dim + self.rope_dim

    def tensors(self, hidden_size: int) -> Iterator[Tensor]:
        """Yield the weights: compressions are copied on every rank, the rest is split by heads."""
        query = self.heads * (self.plain_dim + self.rope_dim)
        if self.q_lora_rank is None:
            yield Tensor(role=Role.ATTENTION, rows=query, columns=hidden_size)
        else:
            yield _copied(self.q_lora_rank, hidden_size)
            yield Tensor(role=Role.ATTENTION, rows=query, columns=self.q_lora_rank)
            yield vector(self.q_lora_rank)
        yield _copied(self.kv_lora_rank + self.rope_dim, hidden_size)
        yield Tensor(
            role=Role.ATTENTION,
            rows=self.heads * (self.plain_dim + self.value_dim),
            columns=self.kv_lora_rank,
        )
        yield Tensor(role=Role.ATTENTION, rows=hidden_size, columns=self.heads * self.value_dim)
        yield vector(self.kv_lora_rank)
        if self.indexer_heads:
            inputs = self.q_lora_rank or hidden_size
            yield _copied(self.indexer_heads * self.indexer_dim, inputs)
            yield _copied(self.indexer_dim + self.indexer_heads, hidden_size)
            yield vector(2 * self.indexer_dim)

    def kv_elements(self, tensor_parallel: int = 1) -> int:  # noqa: ARG002
        """Numbers kept per token on each rank: every rank keeps the whole latent."""
        return self.kv_lora_rank + self.rope_dim


def _copied(rows: int, columns: int) -> Tensor:
    return Tensor(role=Role.ATTENTION, rows=rows, columns=columns, split=Split.COPIED)
