"""Which accelerators to serve a model on: ranked, and why each other combination was rejected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import product
from typing import Any

from optimizer.capacity.engine_settings import EngineSettings
from optimizer.capacity.errors import CapacityError, require_positive
from optimizer.capacity.gpu_library import GPU_LIBRARY
from optimizer.capacity.grid import CapacityGrid, Verdict, capacity_grid
from optimizer.capacity.kv_cache import KVCacheDetail
from optimizer.capacity.model_architecture import ModelArchitecture, ModelSource, as_model
from optimizer.capacity.parallelism import tensor_parallel_obstacle
from optimizer.capacity.roofline import matrix_tflops, memory_bandwidth_gb_s
from optimizer.capacity.units import GIB
from optimizer.capacity.weight_formats import weight_format
from optimizer.catalog import AcceleratorFacts, accelerator

__all__ = [
    "GPURecommendation",
    "RankBy",
    "Recommendations",
    "Rejection",
    "find_gpu_recommendations",
]

_DEGREES = (1, 2, 4, 8)
_MS_PER_S = 1e3


class RankBy(StrEnum):
    """What the best is."""

    COST = "cost"
    PRICE = "price"
    THROUGHPUT = "throughput"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class GPURecommendation:
    """One way to serve the model; times are roofline bounds, unknown figures None.

    Parameters
    ----------
    accelerator, tensor_parallel, precision
        Accelerator, how many of them a replica divides its layers over, format of the weights.
    weights_gib, activation_gib, kv_pool_gib
        On each accelerator [GiB].
    max_concurrent
        Whole requests of that length that a replica holds while decoding.
    engine_concurrency
        What the engine would log for that length.
    decode_ms, prefill_ms
        Least time of a step at the asked batch, and of a prompt of that length.
    tokens_per_s
        Most output tokens per second at the asked batch.
    max_tokens_per_s
        The same at the largest batch the replica holds.
    usd_per_hour, usd_per_million_tokens
        Price of a replica; of its output tokens at the asked batch.
    """

    accelerator: str
    tensor_parallel: int
    precision: str
    weights_gib: float
    activation_gib: float
    kv_pool_gib: float
    max_concurrent: int
    engine_concurrency: float
    decode_ms: float
    prefill_ms: float
    tokens_per_s: float
    max_tokens_per_s: float
    usd_per_hour: float | None
    usd_per_million_tokens: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One way that does not work.

    Parameters
    ----------
    accelerator, tensor_parallel, precision
        As in a recommendation.
    reason
        Why, in words with figures.
    """

    accelerator: str
    tensor_parallel: int
    precision: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendations:
    """Ways to serve a model, the best first, and those that do not work.

    Parameters
    ----------
    model
        Hub id or path.
    context_length, batch_size
        Tokens of each request; requests at a time.
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
            "batch_size": self.batch_size,
            "rank_by": self.rank_by.value,
            "times": "roofline bounds",
            "currency": "USD",
            "kv_cache": self.kv_cache.to_document(),
            "recommendations": [asdict(entry) for entry in self.ranked],
            "rejected": [asdict(entry) for entry in self.rejected],
        }


def find_gpu_recommendations(
    model: ModelSource,
    context_length: int,
    batch_size: int = 1,
    *,
    accelerators: Mapping[str, AcceleratorFacts] | Iterable[str] | None = None,
    tensor_parallel: Sequence[int] = _DEGREES,
    precisions: Sequence[str] = ("auto",),
    rank_by: RankBy | str = RankBy.COST,
    max_decode_ms: float | None = None,
    max_prefill_ms: float | None = None,
    settings: EngineSettings | None = None,
) -> Recommendations:
    """Rank accelerators and degrees of tensor parallelism for a model.

    A combination works when the model divides by the degree, the accelerator's link joins as many,
    weights and activations leave room for a KV pool, and this holds `batch_size` requests of
    `context_length` tokens at once.

    Parameters
    ----------
    model
        Hub id, path of a `config.json`, mapping of its fields, or a `ModelArchitecture`.
    context_length, batch_size
        Tokens of each request, prompt and answer; requests at a time.
    accelerators
        Names in `GPU_LIBRARY`, or accelerators by name, whose memory, bandwidth and throughput must
        be known; None: the whole library, where those of unknown bandwidth are rejected.
    tensor_parallel, precisions
        Degrees; weight formats, of which `auto` is the checkpoint's.
    rank_by
        `cost`: per output token at that batch; `price`: per hour of a replica; `throughput`: tokens
        per second and replica at its largest batch; `latency`: of a step at that batch. What has no
        price comes last under the first two.
    max_decode_ms, max_prefill_ms
        Reject what cannot be faster even by the roofline.
    settings
        The engine and its settings.

    Raises
    ------
    CapacityError
        If an argument is out of its range; names it.
    UnknownEntryError
        If a model or an accelerator is not in the catalogue; names the nearest.
    """
    source = as_model(model)
    order = _rank_by(rank_by)
    limits = {
        name: math.inf if limit is None else require_positive(name, limit)
        for name, limit in (("max_decode_ms", max_decode_ms), ("max_prefill_ms", max_prefill_ms))
    }
    library = _library(accelerators)
    detail = source.get_kv_cache_detail(context_length, batch_size)
    grid = capacity_grid(
        [source.architecture],
        list(library.values()),
        tensor_parallel=tensor_parallel,
        precisions=precisions,
        context_len=context_length,
        batch_size=batch_size,
        kv_dtype=source.kv_dtype,
        settings=settings,
    )
    ranked, rejected = _sorted_out(source, list(library.values()), grid, limits)
    return Recommendations(
        model=source.model_id,
        context_length=grid.context_len,
        batch_size=grid.batch_size,
        rank_by=order,
        kv_cache=detail,
        ranked=tuple(sorted(ranked, key=_ORDERS[order])),
        rejected=tuple(rejected),
    )


def _sorted_out(
    source: ModelArchitecture,
    library: Sequence[AcceleratorFacts],
    grid: CapacityGrid,
    limits: Mapping[str, float],
) -> tuple[list[GPURecommendation], list[Rejection]]:
    """Sort combinations into those that work and those that do not, in the grid's order."""
    ranked, rejected = [], []
    for a, t, p in product(
        range(len(library)), range(len(grid.tensor_parallel)), range(len(grid.precisions))
    ):
        place = (0, a, t, p)
        facts, degree = library[a], grid.tensor_parallel[t]
        name = source.weights_in(grid.precisions[p]).name
        reason = _reason(source, facts, grid, place, limits)
        if reason is None:
            ranked.append(_recommendation(facts.name, degree, name, grid, place))
            continue
        rejected.append(
            Rejection(accelerator=facts.name, tensor_parallel=degree, precision=name, reason=reason)
        )
    return ranked, rejected


_Order = Callable[[GPURecommendation], tuple[float, float, str, int]]


def _last(value: float | None) -> float:
    return math.inf if value is None else value


_ORDERS: dict[RankBy, _Order] = {
    RankBy.COST: lambda r: (
        _last(r.usd_per_million_tokens),
        _last(r.usd_per_hour),
        r.accelerator,
        r.tensor_parallel,
    ),
    RankBy.PRICE: lambda r: (
        _last(r.usd_per_hour),
        r.decode_ms,
        r.accelerator,
        r.tensor_parallel,
    ),
    RankBy.THROUGHPUT: lambda r: (
        -r.max_tokens_per_s,
        _last(r.usd_per_hour),
        r.accelerator,
        r.tensor_parallel,
    ),
    RankBy.LATENCY: lambda r: (
        r.decode_ms,
        _last(r.usd_per_hour),
        r.accelerator,
        r.tensor_parallel,
    ),
}


def _rank_by(name: RankBy | str) -> RankBy:
    try:
        return RankBy(name)
    except ValueError as error:
        known = ", ".join(order.value for order in RankBy)
        raise CapacityError("rank_by", name, f"no such order; known: {known}") from error


def _library(
    accelerators: Mapping[str, AcceleratorFacts] | Iterable[str] | None,
) -> Mapping[str, AcceleratorFacts]:
    if accelerators is None:
        return GPU_LIBRARY
    chosen = accelerators
    if not isinstance(chosen, Mapping):
        chosen = {name: accelerator(name) for name in chosen}
    if not chosen:
        raise CapacityError("accelerators", [], "must not be empty")
    for facts in chosen.values():
        _require_facts(facts)
    return chosen


def _require_facts(facts: AcceleratorFacts) -> None:
    """Refuse an accelerator that was asked for by name, and of which too little is known."""
    require_positive("memory_gb", facts.memory_gb)
    require_positive("bandwidth_gb_s", memory_bandwidth_gb_s(facts))
    require_positive("fp16_tflops", matrix_tflops(facts, weight_format("bfloat16")))


def _recommendation(
    name: str, degree: int, precision: str, grid: CapacityGrid, place: tuple[int, int, int, int]
) -> GPURecommendation:
    decode_ms = float(grid.decode_ms[place])
    tokens_per_s = grid.batch_size * _MS_PER_S / decode_ms
    price = float(grid.usd_per_hour[place])
    known = not math.isnan(price)
    return GPURecommendation(
        accelerator=name,
        tensor_parallel=degree,
        precision=precision,
        weights_gib=float(grid.weight_bytes[place]) / GIB,
        activation_gib=float(grid.activation_bytes[place]) / GIB,
        kv_pool_gib=float(grid.kv_pool_bytes[place]) / GIB,
        max_concurrent=int(grid.steady_concurrency[place]),
        engine_concurrency=float(grid.engine_concurrency[place]),
        decode_ms=decode_ms,
        prefill_ms=float(grid.prefill_ms[place]),
        tokens_per_s=tokens_per_s,
        max_tokens_per_s=float(grid.max_tokens_per_s[place]),
        usd_per_hour=price if known else None,
        usd_per_million_tokens=price / (3600 * tokens_per_s) * 1e6 if known else None,
    )


def _reason(
    source: ModelArchitecture,
    facts: AcceleratorFacts,
    grid: CapacityGrid,
    place: tuple[int, int, int, int],
    limits: Mapping[str, float],
) -> str | None:
    """Why a combination does not work; None when it does."""
    verdict = Verdict(int(grid.verdict[place]))
    degree = grid.tensor_parallel[place[2]]
    weights = float(grid.weight_bytes[place]) / GIB
    other = float(grid.activation_bytes[place]) / GIB
    pool = float(grid.kv_pool_bytes[place]) / GIB
    if verdict is Verdict.CONTEXT_TOO_LONG:
        longest = source.max_context_tokens
        return f"context_length {grid.context_len} is above the model's {longest} tokens"
    if verdict is Verdict.NOT_DIVISIBLE:
        form = source.weights_in(grid.precisions[place[3]])
        return tensor_parallel_obstacle(source.architecture, degree, form)
    if verdict is Verdict.BEYOND_SCALE_UP:
        return f"{degree} ranks, but its link joins {facts.max_scaleup_devices}"
    if verdict is Verdict.FACTS_MISSING:
        missing = "bandwidth_gb_s" if facts.bandwidth_gb_s is None else "fp16_tflops"
        return f"{missing} is not known"
    if verdict is Verdict.WEIGHTS_TOO_LARGE:
        return (
            f"weights {weights:.1f} GiB and activations {other:.1f} GiB leave {pool:.1f} GiB for KV"
        )
    if verdict is Verdict.BATCH_TOO_LARGE:
        held = int(grid.steady_concurrency[place])
        return f"KV pool of {pool:.1f} GiB holds {held} of {grid.batch_size} requests"
    for name, figure in (("max_decode_ms", grid.decode_ms), ("max_prefill_ms", grid.prefill_ms)):
        if figure[place] > limits[name]:
            return f"{name}: at least {figure[place]:.1f} ms, wanted at most {limits[name]:g}"
    return None
