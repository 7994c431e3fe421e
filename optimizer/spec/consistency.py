"""Contradictions inside one part of a fleet's description."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from optimizer.spec.finding import Finding
from optimizer.spec.length_checks import check_lengths
from optimizer.spec.objective_checks import check_objective
from optimizer.spec.parts import Part
from optimizer.spec.place_checks import check_power
from optimizer.spec.purchase_checks import check_tiers
from optimizer.spec.service import BatchRangeSpec, ReplicaRangeSpec
from optimizer.spec.service_class import SloMetric
from optimizer.spec.split_checks import check_buckets, check_split_objective, check_survival
from optimizer.spec.table_checks import check_table
from optimizer.spec.timing_uncertainty_checks import check_uncertainty
from optimizer.spec.wording import show_path

__all__ = ["check_consistency"]

_TIMINGS = ("iteration", "iteration_table", "prefill_decode")
_METRICS = frozenset(metric.value for metric in SloMetric)


def check_consistency(fleet: Part) -> Iterator[Finding]:
    """Find values that contradict each other."""
    return chain(
        *(_power(accelerator) for accelerator in fleet.entries("accelerators")),
        *(_timing(entry) for entry in fleet.entries("performance")),
        *(_targets(slo) for group in fleet.entries("classes") for slo in group.entries("slos")),
        *(_service(service) for service in fleet.entries("services")),
        *(check_buckets(service) for service in fleet.entries("services")),
        check_split_objective(fleet),
        check_power(fleet),
        check_objective(fleet),
        check_tiers(fleet),
        check_survival(fleet),
    )


def _power(accelerator: Part) -> Iterator[Finding]:
    power = accelerator.part("power")
    idle, middle, full = (power.number(key) for key in ("idle_w", "mid_w", "full_w"))
    if power.has("mid_w") and not power.has("mid_utilization"):
        yield Finding(
            (*power.path, "mid_utilization"),
            "is missing",
            hint="give the utilisation at which the power is mid_w, or remove mid_w",
        )
    if power.has("mid_utilization") and not power.has("mid_w"):
        yield Finding(
            (*power.path, "mid_w"),
            "is missing",
            hint="give the power at mid_utilization, or remove mid_utilization",
        )
    if idle is not None and full is not None:
        if idle > full:
            yield power.find("idle_w", f"must be at most full_w = {full:g} (W)", "swap the two?")
        elif middle is not None and not idle <= middle <= full:
            wanted = f"must be between idle_w = {idle:g} and full_w = {full:g} (W)"
            yield power.find("mid_w", wanted)


def _timing(entry: Part) -> Iterator[Finding]:
    """Find performance data without any figure."""
    yield from check_table(entry.part("iteration_table"))
    yield from check_uncertainty(entry)
    if entry.has("model") and not any(entry.has(timing) for timing in _TIMINGS):
        yield Finding(
            entry.path,
            "has no timing",
            hint="give iteration: {base_ms, decode_ms_per_token, prefill_ms_per_token}, "
            "iteration_table: {...} or prefill_decode: {...}, as measured or fitted",
        )


def _targets(slo: Part) -> Iterator[Finding]:
    seen: dict[tuple[str, str], Part] = {}
    for target in slo.entries("targets"):
        metric, statistic = target.text("metric"), target.text("statistic") or "mean"
        if metric is None or metric not in _METRICS:
            continue
        if SloMetric(metric).is_service_rate and statistic != "mean":
            yield target.find(
                "statistic",
                f"{metric} is a rate of the whole service, which has no percentiles",
                "remove the statistic; for single requests there is request_tokens_per_s",
            )
        key = (metric, statistic)
        if key in seen:
            yield target.find(
                "metric",
                f"this metric and statistic ({statistic}) are bounded twice: also by "
                f"{show_path(seen[key].path)}",
                "keep one of them",
            )
        seen.setdefault(key, target)


def _service(service: Part) -> Iterator[Finding]:
    yield from _range(service.part("replicas"), ReplicaRangeSpec.model_fields["min"].default)
    yield from _range(service.part("max_batch"), BatchRangeSpec.model_fields["min"].default)
    yield from check_lengths(service.part("load"))
    for current in service.one_or_more("current"):
        if (current.number("replicas") or 0) > 0 and not current.has("accelerator"):
            yield Finding(
                (*current.path, "accelerator"),
                "is missing",
                hint="say which accelerator the current replicas are on",
            )


def _range(limits: Part, default_min: int) -> Iterator[Finding]:
    """Find a range whose least is above its most."""
    least, most = limits.number("min"), limits.number("max")
    if most is None or (least is None and limits.has("min")):
        return
    if least is None and most < default_min:
        message = f"must be at least min, which is {default_min} by default"
        yield limits.find("max", message, "give min too")
    elif least is not None and least > most:
        yield limits.find("min", f"must be at most max = {most:g}", "swap the two?")
