"""Time of one iteration of continuous batching: decode tokens, prompt chunks, or both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.performance.batching import Batched
from optimizer.performance.efficiencies import Efficiencies, EngineOverheads
from optimizer.performance.numbers import FloatArray, Number
from optimizer.performance.operators import (
    all_reduce_ms,
    attended_tokens,
    experts_touched,
    matrix_ms,
    reading_ms,
    soft_maximum,
)
from optimizer.performance.precision import Precision
from optimizer.performance.roof import AcceleratorRoof
from optimizer.performance.shape import ModelShape

__all__ = ["Breakdown", "Parallelism", "Replica", "Work", "iteration_breakdown", "iteration_ms"]

# The floor of launching kernels one by one hides behind the card's work unless it is longer.
_LAUNCH_OVERLAP = 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Parallelism(Batched):
    """How a replica is spread over cards; numbers, or arrays that broadcast.

    Parameters
    ----------
    tensor
        Cards that share each layer of attention and dense feed-forward (TP).
    attention_data
        Groups of such cards that hold whole requests of their own (attention DP); experts are
        then spread over all tensor x attention_data cards.
    expert
        Groups that hold whole experts (EP); experts are sliced over the rest.
    """

    tensor: Number = 1.0
    attention_data: Number = 1.0
    expert: Number = 1.0

    @property
    def cards(self) -> Number:
        """Cards of the replica."""
        return self.tensor * self.attention_data


@dataclass(frozen=True, kw_only=True, eq=False)
class Replica:
    """One replica: everything that its iterations depend on but the work; parts broadcast."""

    shape: ModelShape
    roof: AcceleratorRoof
    precision: Precision
    parallelism: Parallelism
    efficiencies: Efficiencies
    engine: EngineOverheads


@dataclass(frozen=True, kw_only=True, eq=False)
class Work(Batched):
    """Work of one iteration, per attention group; numbers, or arrays that broadcast.

    Parameters
    ----------
    decode_tokens
        Sequences that decode one token each.
    context_tokens
        Mean tokens in the cache of a decoding sequence.
    prefill_tokens
        Prompt tokens processed.
    prefill_context_tokens
        Mean tokens that a prompt token attends to: half the prompt when it is done in one go,
        more for a later chunk.
    prompts
        Prompts that finish, and so need a token drawn.
    speculated_tokens
        Drafted tokens that each decoding sequence verifies beside its own.
    """

    decode_tokens: Number
    context_tokens: Number
    prefill_tokens: Number = 0.0
    prefill_context_tokens: Number = 0.0
    prompts: Number = 0.0
    speculated_tokens: Number = 0.0

    @property
    def verified_tokens(self) -> Number:
        """Tokens of decoding sequences that go through the layers."""
        return self.decode_tokens * (1 + self.speculated_tokens)

    @property
    def tokens(self) -> Number:
        """All tokens that go through the layers."""
        return self.verified_tokens + self.prefill_tokens


@dataclass(frozen=True, kw_only=True, eq=False)
class Breakdown:
    """Parts of an iteration's time [ms]; they add up to `total_ms` but for the launching floor.

    Parameters
    ----------
    attention_weights_ms, feed_forward_ms, output_layer_ms
        Matrix products of the projections, of dense and expert feed-forwards, and of the
        vocabulary.
    cache_ms, prompt_attention_ms
        Reading the KV cache of decoding sequences; attention of prompts.
    communication_ms
        All-reduces.
    kernels_ms
        Overhead of kernels.
    host_ms
        The engine's own time per iteration and sequence.
    total_ms
        The iteration.
    """

    attention_weights_ms: FloatArray
    feed_forward_ms: FloatArray
    output_layer_ms: FloatArray
    cache_ms: FloatArray
    prompt_attention_ms: FloatArray
    communication_ms: FloatArray
    kernels_ms: FloatArray
    host_ms: FloatArray
    total_ms: FloatArray


def iteration_ms(replica: Replica, work: Work) -> FloatArray:
    """Time of an iteration [ms], of the broadcast shape of all fields."""
    return iteration_breakdown(replica, work).total_ms


def iteration_breakdown(replica: Replica, work: Work) -> Breakdown:
    """Time of an iteration and its parts [ms], of the broadcast shape of all fields."""
    shape, engine, reached = replica.shape, replica.engine, replica.efficiencies
    attention, feed_forward, output = _products(replica, work)
    cache = _cache_ms(replica, work)
    prompt = _prompt_attention_ms(replica, work)
    communication = _communication_ms(replica, work)
    quantisation = np.where(np.asarray(replica.precision.matrix_bits) < 16, 4.0, 0.0)
    kernels = shape.layers * (shape.kernels_per_layer + quantisation) * reached.kernel_ms
    device = attention + feed_forward + output + cache + prompt + communication + kernels
    launched = soft_maximum(device, reached.eager_layer_ms * shape.layers, _LAUNCH_OVERLAP)
    host = engine.iteration_ms + engine.sequence_ms * work.decode_tokens
    total = np.where(np.asarray(work.prefill_tokens) > 0, launched, device) + host
    parts = (attention, feed_forward, output, cache, prompt, communication, kernels, host, total)
    names = Breakdown.__dataclass_fields__
    return Breakdown(
        **{
            name: np.asarray(part, dtype=np.float64)
            for name, part in zip(names, parts, strict=True)
        }
    )


def _products(replica: Replica, work: Work) -> tuple[Number, Number, Number]:
    """Matrix products of a card: attention projections, feed-forwards, output layer."""
    shape, precision, reached = replica.shape, replica.precision, replica.efficiencies
    tensor = replica.parallelism.tensor
    bandwidth = replica.roof.bandwidth_gb_s * reached.weight_bandwidth
    tflops = _matrix_tflops(replica, precision.matrix_bits)
    tokens = work.tokens

    def product(elements: Number) -> Number:
        return matrix_ms(elements / tensor, precision.weight_bytes, tokens, bandwidth, tflops)

    attention = shape.layers * product(shape.attention_elements)
    dense = shape.dense_layers * product(shape.dense_elements)
    output = matrix_ms(
        shape.vocabulary * shape.hidden_size / tensor,
        2.0,
        work.verified_tokens + work.prompts,
        bandwidth,
        replica.roof.tflops_16 * reached.matrix_16,
    )
    return attention, dense + _experts_ms(replica, tokens, bandwidth, tflops), output


def _matrix_tflops(replica: Replica, bits: Number) -> Number:
    roof, reached = replica.roof, replica.efficiencies
    narrow = np.where(np.asarray(bits) >= 8, roof.tflops_8, roof.tflops_4) * reached.matrix_8
    return np.asarray(np.where(np.asarray(bits) >= 16, roof.tflops_16 * reached.matrix_16, narrow))


def _experts_ms(replica: Replica, tokens: Number, bandwidth: Number, tflops: Number) -> Number:
    """Experts' share of an iteration: those touched are read, k per token multiplied."""
    shape, precision, parallelism = replica.shape, replica.precision, replica.parallelism
    roof, reached = replica.roof, replica.efficiencies
    cards, routed = parallelism.cards, tokens * parallelism.attention_data
    touched = experts_touched(shape.experts, shape.experts_per_token, routed, reached.expert_spread)
    slice_width = shape.expert_width / np.maximum(cards / np.maximum(parallelism.expert, 1.0), 1.0)
    narrow = slice_width / np.maximum(slice_width + reached.expert_slice, 1e-9)
    reading = reading_ms(
        touched * shape.expert_elements / cards * precision.expert_bytes,
        roof.bandwidth_gb_s * reached.expert_bandwidth * np.maximum(narrow, 1e-9),
    )
    peak = np.where(
        np.asarray(precision.expert_bits) >= 16,
        roof.tflops_16,
        np.where(np.asarray(precision.expert_bits) >= 8, roof.tflops_8, roof.tflops_4),
    )
    work = 2 * shape.experts_per_token * routed * shape.expert_elements / cards
    multiplying = work / (peak * reached.expert_matrix) * 1e-9
    sharing = np.where(np.asarray(parallelism.attention_data) > 1, 1.0, cards)
    shared = matrix_ms(
        shape.shared_elements / sharing, precision.weight_bytes, tokens, bandwidth, tflops
    )
    router = matrix_ms(shape.hidden_size * shape.experts, 2.0, tokens, bandwidth, tflops)
    expert_layers = shape.layers - shape.dense_layers
    return expert_layers * (soft_maximum(reading, multiplying) + shared + router)


def _cache_ms(replica: Replica, work: Work) -> Number:
    """Read what the decoding sequences attend to, and their recurrent state twice."""
    shape = replica.shape
    elements = attended_tokens(
        work.context_tokens,
        shape.kv_full_elements,
        shape.kv_sliding_elements,
        shape.window_tokens,
    )
    heads = np.minimum(replica.parallelism.tensor, np.maximum(shape.kv_heads, 1.0))
    ranks = np.where(np.asarray(shape.latent_attention) > 0, 1.0, heads)
    size = elements * replica.precision.kv_bytes / ranks
    size = size + 2 * shape.state_bytes_per_sequence / replica.parallelism.tensor
    bandwidth = replica.roof.bandwidth_gb_s * replica.efficiencies.kv_bandwidth
    return reading_ms(work.decode_tokens * size, bandwidth)


def _prompt_attention_ms(replica: Replica, work: Work) -> Number:
    """Scores and values of prompt tokens: 4·heads·head dimension operations per pair."""
    shape = replica.shape
    attended = attended_tokens(
        work.prefill_context_tokens, shape.full_layers, shape.sliding_layers, shape.window_tokens
    )
    heads = shape.attention_heads * shape.head_dim / replica.parallelism.tensor
    operations = 4 * heads * work.prefill_tokens * attended
    return operations / (replica.roof.tflops_16 * replica.efficiencies.attention_matrix) * 1e-9


def _communication_ms(replica: Replica, work: Work) -> Number:
    """Two all-reduces per layer, after attention and after the feed-forward."""
    shape, parallelism, reached = replica.shape, replica.parallelism, replica.efficiencies
    together = np.where(
        np.asarray(parallelism.attention_data) > 1, parallelism.cards, parallelism.tensor
    )
    one = all_reduce_ms(
        work.tokens * shape.hidden_size * 2,
        together,
        reached.all_reduce_ms,
        replica.roof.link_gb_s * reached.link_bandwidth,
    )
    return 2 * shape.layers * one
