"""Which accelerators to serve a model on: all tried, ranked, and why each other was rejected."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import product

import numpy as np

from optimizer.capacity.engine_settings import EngineSettings
from optimizer.capacity.errors import CapacityError, require_count, require_positive
from optimizer.capacity.gpu_library import GPU_LIBRARY
from optimizer.capacity.grid import CapacityGrid, Verdict, capacity_grid
from optimizer.capacity.layouts import (
    ParallelLayout,
    expert_layouts,
    layout_obstacle,
    pipeline_layouts,
)
from optimizer.capacity.model_architecture import ModelArchitecture, ModelSource, as_model
from optimizer.capacity.recommendation import (
    ORDERS,
    GPURecommendation,
    RankBy,
    Recommendations,
    Rejection,
)
from optimizer.capacity.roofline import matrix_tflops, memory_bandwidth_gb_s
from optimizer.capacity.units import GIB
from optimizer.capacity.weight_formats import weight_format
from optimizer.catalog import AcceleratorFacts, accelerator
from optimizer.performance import calibration, family_of, prediction_log_sd

__all__ = ["find_gpu_recommendations"]

_DEGREES = (1, 2, 4, 8)
_STAGES = (2, 4, 8)

_Place = tuple[int, int, int, int]


def find_gpu_recommendations(
    model: ModelSource,
    context_length: int,
    batch_size: int = 1,
    *,
    output_tokens: int | None = None,
    accelerators: Mapping[str, AcceleratorFacts] | Iterable[str] | None = None,
    tensor_parallel: Sequence[int] = _DEGREES,
    pipeline_parallel: Sequence[int] = _STAGES,
    precisions: Sequence[str] = ("auto",),
    rank_by: RankBy | str = RankBy.COST,
    max_itl_ms: float | None = None,
    max_ttft_ms: float | None = None,
    settings: EngineSettings | None = None,
) -> Recommendations:
    """Rank accelerators and ways to spread a model over them, by predicted times.

    A combination works when the model divides by the degree, the accelerator's link joins as many,
    weights and activations leave room for a KV pool, and this holds `batch_size` requests of
    `context_length` tokens at once. Mixtures of experts are also tried with whole experts on each
    rank (EP), under tensor and under data parallel attention; accelerators that no such way fits on
    also with pipelines, of the largest degree of tensor parallelism that there is.

    Parameters
    ----------
    model
        Hub id, path of a `config.json`, mapping of its fields, or a `ModelArchitecture`.
    context_length, batch_size
        Tokens of each request, prompt and answer; requests at a time.
    output_tokens
        Tokens of the answer; by default half of them.
    accelerators
        Names in `GPU_LIBRARY`, or accelerators by name, whose memory, bandwidth and throughput must
        be known; None: the whole library, where those of unknown bandwidth are rejected.
    tensor_parallel, pipeline_parallel, precisions
        Degrees; stages, () for none; weight formats, of which `auto` is the checkpoint's.
    rank_by
        `cost`: per output token at that batch; `price`: per hour of a replica; `throughput`: tokens
        per second and replica at its largest batch; `latency`: between two tokens at that batch.
        What has no price comes last under the first two.
    max_itl_ms, max_ttft_ms
        Reject what is predicted to be slower, between two tokens and to the first one.
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
        for name, limit in (("max_itl_ms", max_itl_ms), ("max_ttft_ms", max_ttft_ms))
    }
    for stage in pipeline_parallel:
        require_count("pipeline_parallel", stage, least=2)
    detail = source.get_kv_cache_detail(context_length, batch_size)
    ranked: list[GPURecommendation] = []
    rejected: list[Rejection] = []
    tried = _tried(
        source,
        list(_library(accelerators).values()),
        tuple(tensor_parallel),
        tuple(pipeline_parallel),
        {
            "precisions": precisions,
            "context_len": context_length,
            "output_tokens": output_tokens,
            "batch_size": batch_size,
            "kv_dtype": source.kv_dtype,
            "settings": settings,
        },
    )
    answer = 1
    for library, grid in tried:
        answer = grid.output_tokens
        _sort_out(source, library, grid, limits, ranked, rejected)
    return Recommendations(
        model=source.model_id,
        context_length=detail.context_len,
        output_tokens=answer,
        batch_size=detail.batch_size,
        rank_by=order,
        kv_cache=detail,
        ranked=tuple(sorted(ranked, key=ORDERS[order])),
        rejected=tuple(rejected),
    )


def _tried(
    source: ModelArchitecture,
    library: list[AcceleratorFacts],
    degrees: tuple[int, ...],
    stages: tuple[int, ...],
    options: dict[str, object],
) -> Iterator[tuple[list[AcceleratorFacts], CapacityGrid]]:
    """Yield grids of the usual layouts, then of pipelines where none of these is large enough."""

    def grid_of(chosen: list[AcceleratorFacts], layouts: list[ParallelLayout]) -> CapacityGrid:
        return capacity_grid([source.architecture], chosen, layouts=layouts, **options)  # type: ignore[arg-type]

    layouts = [ParallelLayout(tensor=degree) for degree in degrees]
    if source.architecture.is_mixture_of_experts:
        layouts += expert_layouts(degrees)
    usual = grid_of(library, layouts)
    yield library, usual
    wanting = {Verdict.WEIGHTS_TOO_LARGE, Verdict.BATCH_TOO_LARGE}
    wanted: dict[int, list[AcceleratorFacts]] = {}
    for facts, verdicts in zip(library, usual.verdict[0], strict=True):
        found = set(np.unique(verdicts))
        if stages and found & wanting and Verdict.FITS not in found:
            wanted.setdefault(_largest_degree(source, facts, degrees), []).append(facts)
    for degree, chosen in wanted.items():
        if degree:
            yield chosen, grid_of(chosen, pipeline_layouts(degree, stages))


def _largest_degree(
    source: ModelArchitecture, facts: AcceleratorFacts, degrees: tuple[int, ...]
) -> int:
    """Largest degree of tensor parallelism that divides the model within the link; 0 for none."""
    form = source.weights_in(None)
    return max(
        (
            degree
            for degree in degrees
            if degree <= facts.max_scaleup_devices
            and layout_obstacle(source.architecture, ParallelLayout(tensor=degree), form) is None
        ),
        default=0,
    )


def _sort_out(
    source: ModelArchitecture,
    library: Sequence[AcceleratorFacts],
    grid: CapacityGrid,
    limits: Mapping[str, float],
    ranked: list[GPURecommendation],
    rejected: list[Rejection],
) -> None:
    """Sort combinations into those that work and those that do not, in the grid's order."""
    for a, t, p in product(
        range(len(library)), range(len(grid.layouts)), range(len(grid.precisions))
    ):
        place = (0, a, t, p)
        facts, layout = library[a], grid.layouts[t]
        what = {
            "accelerator": facts.name,
            "precision": source.weights_in(grid.precisions[p]).name,
            **{f"{name}_parallel": degree for name, degree in asdict(layout).items()},
        }
        reason = _reason(source, facts, grid, place, limits)
        if reason is None:
            log_sd = prediction_log_sd(
                calibration().spread,
                experts=source.architecture.is_mixture_of_experts,
                calibrated=family_of(facts) in calibration().calibrated,
            )
            figures = _figures(grid, place)
            ranked.append(
                GPURecommendation(**what, **figures, cards=layout.cards, log_sd=log_sd)  # type: ignore[arg-type]
            )
        else:
            rejected.append(Rejection(**what, reason=reason))


def _figures(grid: CapacityGrid, place: _Place) -> dict[str, float | None]:
    price = float(grid.usd_per_hour[place])
    tokens_per_s = float(grid.tokens_per_s[place])
    known = not math.isnan(price)
    return {
        "weights_gib": float(grid.weight_bytes[place]) / GIB,
        "activation_gib": float(grid.activation_bytes[place]) / GIB,
        "kv_pool_gib": float(grid.kv_pool_bytes[place]) / GIB,
        "max_concurrent": int(grid.steady_concurrency[place]),
        "engine_concurrency": float(grid.engine_concurrency[place]),
        "decode_ms": float(grid.decode_ms[place]),
        "itl_ms": float(grid.itl_ms[place]),
        "ttft_ms": float(grid.ttft_ms[place]),
        "tokens_per_s": tokens_per_s,
        "max_tokens_per_s": float(grid.max_tokens_per_s[place]),
        "usd_per_hour": price if known else None,
        "usd_per_million_tokens": price / (3600 * tokens_per_s) * 1e6 if known else None,
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
        require_facts(facts)
    return chosen


def require_facts(facts: AcceleratorFacts) -> None:
    """Refuse an accelerator that was asked for by name, and of which too little is known.

    Raises
    ------
    CapacityError
        If memory, bandwidth or throughput is not known or not positive, or the link or the
        price is out of its range; names the first such.
    """
    require_positive("memory_gb", facts.memory_gb)
    require_positive("bandwidth_gb_s", memory_bandwidth_gb_s(facts))
    require_positive("fp16_tflops", matrix_tflops(facts, weight_format("bfloat16")))
    require_count("max_scaleup_devices", facts.max_scaleup_devices)
    if facts.max_scaleup_devices > 1:
        require_positive("interconnect_gb_s", facts.interconnect_gb_s)
    price = facts.usd_per_hour
    if price is not None and not 0 <= price < math.inf:
        raise CapacityError("usd_per_hour", price, "must be a finite number of at least 0")


def _reason(
    source: ModelArchitecture,
    facts: AcceleratorFacts,
    grid: CapacityGrid,
    place: _Place,
    limits: Mapping[str, float],
) -> str | None:
    """Why a combination does not work; None when it does."""
    verdict = Verdict(int(grid.verdict[place]))
    layout = grid.layouts[place[2]]
    weights = float(grid.weight_bytes[place]) / GIB
    other = float(grid.activation_bytes[place]) / GIB
    pool = float(grid.kv_pool_bytes[place]) / GIB
    if verdict is Verdict.CONTEXT_TOO_LONG:
        longest = source.max_context_tokens
        return f"context_length {grid.context_len} is above the model's {longest} tokens"
    if verdict is Verdict.NOT_DIVISIBLE:
        form = source.weights_in(grid.precisions[place[3]])
        return layout_obstacle(source.architecture, layout, form)
    if verdict is Verdict.BEYOND_SCALE_UP:
        return f"{layout.ranks} ranks, but its link joins {facts.max_scaleup_devices}"
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
    for name, figure in (("max_itl_ms", grid.itl_ms), ("max_ttft_ms", grid.ttft_ms)):
        if figure[place] > limits[name]:
            return f"{name}: {figure[place]:.1f} ms predicted, wanted at most {limits[name]:g}"
    return None
