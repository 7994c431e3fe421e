"""The checker's part for objectives: the queue model is asked again about every allocation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole, TargetOutcome
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.reuse import Reuse, loading_ms
from optimizer.fleet.split_services import splits
from optimizer.fleet.targets import ServiceTargets, latency_bound, statistic_of, targets_of
from optimizer.fleet.violation import Violation
from optimizer.spec.service import ServiceSpec
from optimizer.spec.service_class import TargetSpec
from queue_models import Statistic
from queue_models import get as get_queue_model

__all__ = ["AskedAllocation", "broken", "check_objectives", "missed", "objectives_at"]

FloatArray = NDArray[np.float64]
# A bound that is said to be kept is kept by the queue model up to this relative excess.
_KEPT = 1e-5
# Replicas carry what measured rates say up to this, relative to their number.
_CARRIED = 1e-6


@dataclass(frozen=True, slots=True)
class AskedAllocation:
    """One allocation as a question to the queue model."""

    allocation: Allocation
    service: ServiceSpec  # with the lengths of what is routed here
    entry: int  # of spec.performance
    carrying: int  # replicas, without spares
    rate_rps: float  # of all of them
    reuse: Reuse | None  # what is loaded from a store
    targets: tuple[TargetSpec, ...]

    @property
    def bounds(self) -> dict[Statistic, float]:
        """Return the bound on each statistic [ms]."""
        bounds: dict[Statistic, float] = {}
        for target in self.targets:
            if not target.metric.is_service_rate:
                statistic, bound = statistic_of(target), latency_bound(target)
                bounds[statistic] = min(bound, bounds.get(statistic, math.inf))
        return bounds


def check_objectives(facts: FleetFacts, plan: FleetPlan) -> Iterator[Violation]:
    """Find objectives that are said to be met, and are not by the queue model or measured rates."""
    entries = {
        (p.model, p.accelerator, p.configuration): i for i, p in enumerate(facts.spec.performance)
    }
    sized = ServiceTargets.of(facts.spec).rate_rps.tolist()
    rate_of = {s.name: rate for s, rate in zip(facts.spec.services, sized, strict=True)}
    classes = {entry.name: entry for entry in facts.spec.classes}
    asked = []
    for allocation in plan.allocations:
        if allocation.accelerator is None or allocation.replicas == 0:
            continue
        if allocation.role is not PoolRole.AGGREGATED or allocation.shared_with:
            continue
        service = facts.service(allocation)
        measured = _measured_load(service, allocation)
        # In whole service the load fits without the spares.
        spares = 0 if _gets_less(facts, allocation) else service.spares
        carrying = max(allocation.replicas - spares, 1)
        if measured is not None:
            if measured > carrying * (1 + _CARRIED) and allocation.slo_met:
                yield Violation(
                    "slo",
                    service.name,
                    f"a load of {measured:.9g} replicas on {carrying} of {allocation.accelerator}",
                )
            continue
        rate = allocation.admitted_rate_rps
        if not allocation.partial and not allocation.routes and not splits(facts.spec, service):
            rate = rate_of[service.name]
        asked.append(
            AskedAllocation(
                allocation,
                _as_routed(service, allocation),
                entries[service.model, allocation.accelerator, allocation.configuration],
                carrying,
                rate,
                facts.reuse(allocation),
                targets_of(classes[service.service_class], service.model),
            )
        )
    # What is left when a place is lost may get all that it is said to carry.
    asked += [
        replace(one, rate_rps=one.allocation.max_rate_rps)
        for one in asked
        if one.service.survive is not None and one.allocation.slo_met
    ]
    for one, values, stable in _answers(facts, plan.queue_model, asked):
        yield from broken(one, values, stable=stable)


def objectives_at(
    facts: FleetFacts, queue_model: str, given: Sequence[tuple[Allocation, int]]
) -> Iterator[Violation]:
    """Find objectives that are not met, whatever is said of them.

    Parameters
    ----------
    given
        Allocations, of which only the place, the maximum batch and the admitted rate are read, each
        with the number of replicas that carry that rate.
    """
    classes = {entry.name: entry for entry in facts.spec.classes}
    places = [(p.model, p.accelerator, p.configuration) for p in facts.spec.performance]
    asked = []
    for allocation, carrying in given:
        service = facts.service(allocation)
        key = (service.model, allocation.accelerator or "", allocation.configuration)
        targets = targets_of(classes[service.service_class], service.model)
        rate = allocation.admitted_rate_rps
        asked.append(AskedAllocation(
            allocation, service, places.index(key), carrying, rate, facts.reuse(allocation), targets
        ))  # fmt: skip
    for one, values, stable in _answers(facts, queue_model, asked):
        yield from missed(one, values, stable=stable)


def _answers(
    facts: FleetFacts, queue_model: str, asked: list[AskedAllocation]
) -> Iterator[tuple[AskedAllocation, dict[Statistic, float], bool]]:
    """Ask the queue model about all of them, as few times as it can be; values and stability."""
    if not asked:
        return
    model = get_queue_model(queue_model)
    services = tuple(one.service for one in asked)
    processes = PairProcesses(facts.spec.model_copy(update={"services": services}), model)
    here = np.arange(len(asked))
    entry = np.array([one.entry for one in asked])
    batch = np.array([one.allocation.max_batch or 1 for one in asked])
    replicas = np.array([one.carrying for one in asked])
    rates = np.array([one.rate_rps for one in asked]) / replicas
    hits = np.array(
        [
            one.service.load.prefix_hit_rate
            if one.reuse is None
            else float(one.reuse.prefix_hit_rate[0])
            for one in asked
        ]
    )
    of_each = [one.bounds for one in asked]
    bounds = {
        statistic: np.array([each.get(statistic, np.inf) for each in of_each])
        for statistic in dict.fromkeys(s for each in of_each for s in each)
    }
    for rows, clock, statistics in processes.batches(here, here, entry, bounds):
        process = processes.process(
            clock,
            rows,
            entry[rows],
            batch[rows],
            np.where(processes.replicas_matter[rows], replicas[rows], 1),
            hits[rows],
        )
        metrics = model.evaluate(process, rates[rows], statistics)
        found = {statistic: metrics.value(statistic) for statistic in statistics}
        for place, row in enumerate(rows.tolist()):
            loading = asked[row].reuse
            values = {
                s: float(value[place])
                + (0.0 if loading is None else float(loading_ms(loading, s)[0]))
                for s, value in found.items()
            }
            yield asked[row], values, bool(metrics.stable[place])


def missed(
    one: AskedAllocation, values: dict[Statistic, float], *, stable: bool
) -> Iterator[Violation]:
    """Find objectives that are not met, whatever is said of them."""
    name, carrying = one.allocation.service, one.carrying
    where = f"at {one.rate_rps:.6g} requests/s on {carrying} of {one.allocation.accelerator}"
    if not stable:
        yield Violation("slo", name, f"more arrives than can be served {where}")
    for target in one.targets:
        if target.metric.is_service_rate:
            continue
        value, bound = values[statistic_of(target)], latency_bound(target)
        if not value <= bound * (1 + _KEPT):
            yield Violation(
                "slo",
                name,
                f"{_name(target)} is {value:.6g} ms {where}, where {bound:.6g} ms is wanted",
            )


def broken(
    one: AskedAllocation, values: dict[Statistic, float], *, stable: bool
) -> Iterator[Violation]:
    """Find what is said of an allocation and is not so."""
    allocation = one.allocation
    if allocation.stable and not stable:
        yield Violation(
            "slo", allocation.service, "said to be stable, though more arrives than can be served"
        )
    for target in one.targets:
        said = next((t for t in allocation.targets if _same(t, target)), None)
        if said is None:
            yield Violation("slo", allocation.service, f"{_name(target)} is left out")
        elif said.met and not target.metric.is_service_rate:
            value, bound = values[statistic_of(target)], latency_bound(target)
            if not value <= bound * (1 + _KEPT):
                yield Violation(
                    "slo",
                    allocation.service,
                    f"{_name(target)} is said to be met on {allocation.accelerator}, and is "
                    f"{value:.6g} ms where {bound:.6g} ms is wanted",
                )


def _gets_less(facts: FleetFacts, allocation: Allocation) -> bool:
    """Whether a service that chooses got fewer replicas than it needs."""
    return allocation.partial and not splits(facts.spec, facts.service(allocation))


def _same(said: TargetOutcome, target: TargetSpec) -> bool:
    return (said.metric, said.statistic, said.bound) == (
        target.metric,
        target.statistic,
        target.bound,
    )


def _name(target: TargetSpec) -> str:
    return f"{target.metric.value} {target.statistic} {target.bound:.6g}"


def _measured_load(service: ServiceSpec, allocation: Allocation) -> float | None:
    """Return the replicas that the routed rates take by measured rates; None without such."""
    buckets = service.length_buckets
    if buckets is None:
        return None
    entry = next((m for m in buckets.measured if m.accelerator == allocation.accelerator), None)
    if entry is None:
        return None
    load = 0.0
    for route in allocation.routes:
        rate = entry.rates_rps[route.input_row][route.output_column]
        if route.rate_rps > 0:
            load += route.rate_rps / rate if rate else math.inf
    return load


def _as_routed(service: ServiceSpec, allocation: Allocation) -> ServiceSpec:
    """Return the service with the mean and variability of the lengths that are routed here."""
    buckets, routes = service.length_buckets, allocation.routes
    if buckets is None or buckets.input_tokens is None or buckets.output_tokens is None:
        return service
    rates = np.array([route.rate_rps for route in routes])
    if not rates.sum() > 0:
        return service
    lengths: dict[str, float] = {}
    for name, tokens, places in (
        ("input_tokens", buckets.input_tokens, [route.input_row for route in routes]),
        ("output_tokens", buckets.output_tokens, [route.output_column for route in routes]),
    ):
        values = np.array(tokens, dtype=np.float64)[places]
        mean = float(np.average(values, weights=rates))
        variance = float(np.average((values - mean) ** 2, weights=rates))
        lengths |= {name: mean, f"{name}_scv": variance / mean**2 if mean > 0 else 0.0}
    return service.model_copy(update={"load": service.load.model_copy(update=lengths)})
