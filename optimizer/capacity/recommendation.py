"""Ways to serve a model: what each is predicted to do, in which order, and what does not work."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from optimizer.capacity.kv_cache import KVCacheDetail
from optimizer.capacity.layouts import ParallelLayout

__all__ = ["ORDERS", "GPURecommendation", "RankBy", "Recommendations", "Rejection"]


class RankBy(StrEnum):
    """What the best is."""

    COST = "cost"
    PRICE = "price"
    THROUGHPUT = "throughput"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class GPURecommendation:
    """One way to serve the model; times are predicted, unknown figures None.

    Parameters
    ----------
    accelerator, precision
        Accelerator, format of the weights.
    tensor_parallel, pipeline_parallel, data_parallel, expert_parallel
        How a replica is spread, as in `ParallelLayout`.
    cards
        Accelerators of a replica.
    weights_gib, activation_gib, kv_pool_gib
        On each accelerator [GiB].
    max_concurrent
        Whole requests of that length that a replica holds while decoding.
    engine_concurrency
        What the engine would log for that length.
    decode_ms, itl_ms
        A decode iteration with the asked batch; mean time between two tokens of a request, with
        the prefills of the others in between.
    ttft_ms
        Time to the first token of one prompt on an idle replica.
    tokens_per_s, max_tokens_per_s
        Output tokens of a replica with the asked batch in flight; offline, without streaming,
        with the largest batch it holds.
    log_sd
        Uncertainty of the times: standard deviation of the logarithm of true over predicted.
    usd_per_hour, usd_per_million_tokens
        Price of a replica; of its output tokens at the asked batch.
    """

    accelerator: str
    precision: str
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    expert_parallel: int
    cards: int
    weights_gib: float
    activation_gib: float
    kv_pool_gib: float
    max_concurrent: int
    engine_concurrency: float
    decode_ms: float
    itl_ms: float
    ttft_ms: float
    tokens_per_s: float
    max_tokens_per_s: float
    log_sd: float
    usd_per_hour: float | None
    usd_per_million_tokens: float | None

    @property
    def layout(self) -> ParallelLayout:
        """How a replica is spread."""
        return ParallelLayout(
            tensor=self.tensor_parallel,
            pipeline=self.pipeline_parallel,
            data=self.data_parallel,
            expert=self.expert_parallel,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One way that does not work.

    Parameters
    ----------
    accelerator, precision, tensor_parallel, pipeline_parallel, data_parallel, expert_parallel
        As in a recommendation.
    reason
        Why, in words with figures.
    """

    accelerator: str
    precision: str
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    expert_parallel: int
    reason: str

    @property
    def layout(self) -> ParallelLayout:
        """How a replica would be spread."""
        return ParallelLayout(
            tensor=self.tensor_parallel,
            pipeline=self.pipeline_parallel,
            data=self.data_parallel,
            expert=self.expert_parallel,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendations:
    """Ways to serve a model, the best first, and those that do not work.

    Parameters
    ----------
    model
        Hub id or path.
    context_length, output_tokens, batch_size
        Tokens of each request; those that are its answer; requests at a time.
    rank_by
        What the best is.
    kv_cache
        The model's KV cache, the same for all accelerators.
    ranked
        The best first; ties by price, then by name.
    rejected
        In the order of the catalogue.
    """

    model: str
    context_length: int
    output_tokens: int
    batch_size: int
    rank_by: RankBy
    kv_cache: KVCacheDetail
    ranked: tuple[GPURecommendation, ...]
    rejected: tuple[Rejection, ...]

    @property
    def best(self) -> GPURecommendation | None:
        """The first; None when nothing works."""
        return self.ranked[0] if self.ranked else None

    def to_document(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        return {
            "schema_version": 1,
            "model": self.model,
            "context_length": self.context_length,
            "output_tokens": self.output_tokens,
            "batch_size": self.batch_size,
            "rank_by": self.rank_by.value,
            "times": "predicted",
            "currency": "USD",
            "kv_cache": self.kv_cache.to_document(),
            "recommendations": [asdict(entry) for entry in self.ranked],
            "rejected": [asdict(entry) for entry in self.rejected],
        }


def _last(value: float | None) -> float:
    return math.inf if value is None else value


def _ties(entry: GPURecommendation) -> tuple[float, str, int, str]:
    return _last(entry.usd_per_hour), entry.accelerator, entry.cards, str(entry.layout)


ORDERS: dict[RankBy, Callable[[GPURecommendation], tuple[float, tuple[float, str, int, str]]]] = {
    RankBy.COST: lambda r: (_last(r.usd_per_million_tokens), _ties(r)),
    RankBy.PRICE: lambda r: (_last(r.usd_per_hour), _ties(r)),
    RankBy.THROUGHPUT: lambda r: (-r.max_tokens_per_s, _ties(r)),
    RankBy.LATENCY: lambda r: (r.itl_ms, _ties(r)),
}
"""Sort keys: the best first; what has no price last where price counts."""
