"""Performance entries for pairs of model and accelerator that nobody measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optimizer.spec.accelerator import AcceleratorSpec
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import (
    IterationTableSpec,
    IterationTimingSpec,
    ModelSpec,
    PerformanceSpec,
    PrefillDecodeTimingSpec,
)
from optimizer.spec.options import EstimatesPolicy
from optimizer.spec.precision import Precision

if TYPE_CHECKING:
    from optimizer.capacity import ModelArchitecture
    from optimizer.capacity.replica_estimate import ReplicaEstimate, RequestSize, Unfit
    from optimizer.catalog import AcceleratorFacts

__all__ = ["why_not_estimated", "with_estimates"]

FloatArray = NDArray[np.float64]

_DEGREES = (1, 2, 4, 8, 16)
# vLLM's default on most cards; a service may ask for less, and measure for more.
_MOST_SEQUENCES = 256
# Of a card that is in no catalogue and does not say: PCIe 4.0 x16.
_PLAIN_LINK_GB_S = 32.0
_DIGITS = 5
_SERVED_AS = {
    "float32": Precision.FP32,
    "bfloat16": Precision.BF16,
    "float16": Precision.FP16,
    "fp8": Precision.FP8,
    "fp8-block": Precision.FP8,
    "fp8_ds_mla": Precision.FP8,
    "int8": Precision.INT8,
    "mxfp8": Precision.MXFP8,
    "int4": Precision.INT4,
    "nf4": Precision.NF4,
    "mxfp4": Precision.MXFP4,
    "mxfp4-experts": Precision.MXFP4,
    "nvfp4": Precision.NVFP4,
}
_BY_BITS = ((20.0, "float32"), (12.0, "bfloat16"), (6.0, "fp8"), (0.0, "int4"))


def with_estimates(spec: FleetSpec) -> FleetSpec:
    """Return a fleet with an entry for every way to serve each pair that has none.

    A pair gets entries, one per degree of tensor parallelism and precision that fit, if the model
    names a catalogue entry or a configuration, the accelerator a catalogue entry or its memory,
    bandwidth and throughput, and `optimizer.estimates` allows it. Entries that there are stay.
    Precisions are the model's own, or those that its services and their classes list.

    Raises
    ------
    SpecError
        If a model's configuration cannot be read.
    """
    if spec.optimizer.estimates is EstimatesPolicy.FORBIDDEN:
        return spec
    given = {(entry.model, entry.accelerator) for entry in spec.performance}
    served = _served(spec)
    machines = [(one, facts) for one in spec.accelerators if (facts := _facts(one)) is not None]
    made: list[PerformanceSpec] = []
    for model in spec.models:
        missing = [pair for pair in machines if (model.name, pair[0].name) not in given]
        if model.name in served and missing and _is_known(model):
            for accelerator, facts in missing:
                made += _entries(spec, model, accelerator, facts)
    return spec.model_copy(update={"performance": (*spec.performance, *made)}) if made else spec


def why_not_estimated(spec: FleetSpec, model: str, accelerator: str) -> str:
    """Say why a pair without performance data has no estimate either."""
    from optimizer.capacity.replica_estimate import Unfit

    if spec.optimizer.estimates is EstimatesPolicy.FORBIDDEN:
        return "estimates are forbidden"
    one = next(entry for entry in spec.models if entry.name == model)
    machine = next(entry for entry in spec.accelerators if entry.name == accelerator)
    if not _is_known(one):
        return "no estimate: the model has neither `catalog` nor `config`"
    facts = _facts(machine)
    if facts is None:
        return (
            "no estimate: the accelerator has neither `catalog` nor memory_gb, bandwidth_gb_s and "
            "fp16_tflops"
        )
    reasons = [
        estimate.reason
        for degree, estimate in _estimates(spec, one, machine, facts)
        if isinstance(estimate, Unfit) and degree <= max(facts.max_scaleup_devices, machine.cards)
    ]
    # The largest degree that the link allows comes closest.
    closest = reasons[-1] if reasons else f"{machine.cards} cards an instance fit no degree"
    return f"no estimate: {closest}"


def _served(spec: FleetSpec) -> set[str]:
    """Models of services that need iteration times: rates in length buckets may be measured."""
    return {
        service.model
        for service in spec.services
        if service.length_buckets is None or not service.length_buckets.measured
    }


def _is_known(model: ModelSpec) -> bool:
    return model.catalog is not None or model.config is not None


def _facts(accelerator: AcceleratorSpec) -> AcceleratorFacts | None:
    """Facts of one card: the catalogue's, with what the fleet says instead; None for too few."""
    cards = accelerator.cards
    stated = {
        "memory_gb": accelerator.memory_gb,
        "bandwidth_gb_s": accelerator.bandwidth_gb_s,
        "fp16_tflops": accelerator.fp16_tflops,
    }
    own = {name: value / cards for name, value in stated.items() if value is not None}
    if accelerator.link_gb_s is not None:
        own["interconnect_gb_s"] = accelerator.link_gb_s
    if accelerator.catalog is not None:
        from optimizer.catalog import accelerator as facts_of

        facts = replace(facts_of(accelerator.catalog), **own)  # type: ignore[arg-type]
        return None if facts.bandwidth_gb_s is None or facts.fp16_tflops is None else facts
    if len(stated.keys() & own.keys()) < len(stated):
        return None
    return _plain_card(accelerator, own)


def _plain_card(accelerator: AcceleratorSpec, own: dict[str, float]) -> AcceleratorFacts:
    """Facts of a card that is in no catalogue: only what the fleet says of it."""
    from optimizer.catalog import AcceleratorFacts

    return AcceleratorFacts(
        name=accelerator.name,
        vendor="",
        fp8_tflops=None,
        int8_tops=None,
        fp4_tflops=None,
        interconnect="as stated",
        max_scaleup_devices=max(
            accelerator.cards, _DEGREES[-1] if accelerator.link_gb_s is not None else 1
        ),
        tdp_w=None,
        usd_per_hour=None,
        price_source=None,
        compute_capability=None,
        source="the fleet",
        note=None,
        **{"interconnect_gb_s": _PLAIN_LINK_GB_S, **own},
    )


def _architecture(model: ModelSpec) -> ModelArchitecture:
    if model.config is None:
        return _of_catalog(model.catalog or "")
    path = Path(model.config)
    return _of_file(path, path.stat().st_mtime_ns if path.is_file() else None)


@lru_cache(maxsize=64)
def _of_catalog(name: str) -> ModelArchitecture:
    from optimizer.capacity import ModelArchitecture

    return ModelArchitecture(name)


@lru_cache(maxsize=64)
def _of_file(path: Path, changed_ns: int | None) -> ModelArchitecture:  # noqa: ARG001
    """Read a configuration once for each time that it changed."""
    from optimizer.capacity import ModelArchitecture

    return ModelArchitecture(path)


def _entries(
    spec: FleetSpec, model: ModelSpec, accelerator: AcceleratorSpec, facts: AcceleratorFacts
) -> Iterator[PerformanceSpec]:
    from optimizer.capacity.replica_estimate import ReplicaEstimate

    longest = max(size.tokens for name in _served(spec) for size in _requests(spec, name))
    for degree, estimate in _estimates(spec, model, accelerator, facts):
        if isinstance(estimate, ReplicaEstimate):
            yield _entry(spec, model, accelerator, degree, estimate, longest)


def _estimates(
    spec: FleetSpec, model: ModelSpec, accelerator: AcceleratorSpec, facts: AcceleratorFacts
) -> Iterator[tuple[int, ReplicaEstimate | Unfit]]:
    """Yield every degree and precision, with its estimate or the reason why there is none."""
    from optimizer.capacity import EngineSettings
    from optimizer.capacity.replica_estimate import estimate_replica

    architecture = _architecture(model)
    settings = EngineSettings(max_num_seqs=_MOST_SEQUENCES)
    requests = _requests(spec, model.name)
    weights, caches = _precisions(spec, model)
    for degree in _DEGREES:
        if degree % accelerator.cards:
            continue  # a replica takes whole instances
        for precision in weights:
            for cache in caches:
                yield (
                    degree,
                    estimate_replica(
                        architecture,
                        facts,
                        requests,
                        tensor_parallel=degree,
                        precision=precision,
                        kv_dtype=cache,
                        settings=settings,
                    ),
                )


def _requests(spec: FleetSpec, model: str) -> list[RequestSize]:
    """Mean lengths of the requests of a model's services."""
    from optimizer.capacity.replica_estimate import RequestSize

    loads = [service.load for service in spec.services if service.model == model]
    sizes = {(load.mean_input_tokens, load.mean_output_tokens) for load in loads}
    return [RequestSize(input_tokens=max(i, 1.0), output_tokens=o) for i, o in sorted(sizes)]


def _precisions(spec: FleetSpec, model: ModelSpec) -> tuple[list[str | None], list[str]]:
    """Return formats of weights and cache to try: those quality lists name, else the model's."""
    classes = {group.name: group for group in spec.classes}
    owners = [
        (service, classes[service.service_class])
        for service in spec.services
        if service.model == model.name
    ]
    listed: dict[str, set[str]] = {"weight_precisions": set(), "kv_precisions": set()}
    free = dict.fromkeys(listed, False)
    for pair in owners:
        for name, names in listed.items():
            rules = [set(rule) for one in pair if (rule := getattr(one, name)) is not None]
            names |= set.intersection(*rules) if rules else set()
            free[name] |= not rules
    weights: list[str | None] = [*sorted(listed["weight_precisions"])]
    caches = sorted(listed["kv_precisions"])
    if free["weight_precisions"]:
        weights.insert(0, _own_precision(model))
    if free["kv_precisions"]:
        caches.insert(0, "auto")
    return list(dict.fromkeys(weights)), list(dict.fromkeys(caches))


def _own_precision(model: ModelSpec) -> str | None:
    """Format of the weights by the bits that the fleet states; None: the checkpoint's."""
    if model.weight_bits is None:
        return None
    bits = model.weight_bits
    return next(name for least, name in _BY_BITS if bits >= least)


def _entry(
    spec: FleetSpec,
    model: ModelSpec,
    accelerator: AcceleratorSpec,
    degree: int,
    estimate: ReplicaEstimate,
    longest_tokens: int,
) -> PerformanceSpec:
    margin_sd = spec.optimizer.estimate_margin_sd
    linear = spec.optimizer.estimates is EstimatesPolicy.LINEAR
    timing = estimate.timing.quantile(margin_sd)
    spread = estimate.timing.total_log_sd if linear else estimate.timing.log_sd
    slower = f"; made slower by {margin_sd:g} standard deviations" if margin_sd else ""
    return PerformanceSpec(
        model=model.name,
        accelerator=accelerator.name,
        instances=degree // accelerator.cards,
        tensor_parallel=degree,
        weight_precision=_SERVED_AS[estimate.weights.name],
        kv_precision=_SERVED_AS.get(estimate.cache.name),
        max_batch=estimate.max_batch,
        kv_capacity_tokens=float(int(estimate.kv_capacity_tokens)),
        iteration=IterationTimingSpec(
            base_ms=_rounded(timing.base_ms),
            decode_ms_per_token=_rounded(timing.decode_ms_per_token),
            prefill_ms_per_token=_rounded(timing.prefill_ms_per_token),
            kv_ms_per_token=_rounded(timing.kv_ms_per_token),
        ),
        iteration_table=None if linear else _table(spec, model, estimate, longest_tokens),
        prefill_decode=_phases(spec, model, estimate, margin_sd),
        source=f"estimated from the architecture, nothing measured; two in three true times are "
        f"within {math.expm1(spread):.0%}{slower}",
        log_sd=_rounded(spread),
    )


def _table(
    spec: FleetSpec, model: ModelSpec, estimate: ReplicaEstimate, longest_tokens: int
) -> IterationTableSpec:
    """Tabulate iteration times; over the same work for all entries, whose tables then are one."""
    from optimizer.performance import TimingRange, iteration_table

    prompt = max(size.input_tokens for size in _requests(spec, model.name))
    over = TimingRange(
        max_batch=_MOST_SEQUENCES, max_context_tokens=longest_tokens, input_tokens=prompt
    )
    table = iteration_table(estimate.replica, over)
    slower = math.exp(spec.optimizer.estimate_margin_sd * estimate.timing.log_sd)
    times = np.asarray(table.time_ms).reshape(
        len(table.decode_tokens), len(table.prefill_tokens), len(table.kv_tokens)
    )
    return IterationTableSpec(
        decode_tokens=_axis(table.decode_tokens),
        prefill_tokens=_axis(table.prefill_tokens),
        kv_tokens=_axis(table.kv_tokens),
        time_ms=tuple(tuple(map(_axis, plane)) for plane in times * slower),
    )


def _phases(
    spec: FleetSpec, model: ModelSpec, estimate: ReplicaEstimate, margin_sd: float
) -> PrefillDecodeTimingSpec:
    """Return the law by phase, for queue models that know no other."""
    from optimizer.performance import TimingRange, prefill_decode_timing

    sizes = _requests(spec, model.name)
    over = TimingRange(
        max_batch=max(estimate.max_batch, 2),
        max_context_tokens=max(size.tokens for size in sizes),
        input_tokens=max(size.input_tokens for size in sizes),
    )
    law = prefill_decode_timing(estimate.replica, over)
    slower = math.exp(margin_sd * estimate.timing.log_sd)
    return PrefillDecodeTimingSpec(
        decode_base_ms=_rounded(slower * law.decode_base_ms),
        decode_ms_per_request=_rounded(slower * law.decode_ms_per_request),
        prefill_base_ms=_rounded(slower * law.prefill_base_ms),
        prefill_ms_per_token=_rounded(slower * law.prefill_ms_per_token),
    )


def _axis(values: FloatArray) -> tuple[float, ...]:
    return tuple(map(_rounded, values))


def _rounded(value: object) -> float:
    return float(f"{float(value):.{_DIGITS}g}")  # type: ignore[arg-type]
