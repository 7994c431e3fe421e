"""A plan against a simulation of it: what was predicted, what comes out, which services miss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.engine.errors import SimulationError, SimulationStoppedError
from optimizer.engine.measurement import Estimate
from optimizer.engine.offered_load import OfferedLoad
from optimizer.engine.plan_servers import PlanServers
from optimizer.engine.replications import replicated
from optimizer.engine.run import Run, RunUsage
from optimizer.engine.simulated_plan import (
    DecodePool,
    LatencyDistribution,
    PlanSimulation,
    SimulatedService,
    SimulatedStatistic,
    Usage,
)
from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole
from optimizer.fleet.targets import latency_bound, statistic_of, targets_of
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.loading import from_data
from optimizer.spec.service_class import SloMetric, TargetSpec
from queue_models import Metric, Statistic

__all__ = ["PlanProgress", "fleet_of", "simulate"]

PlanProgress = Callable[[str, int, int, int, float], None]
"""Called with a service, its place among those to be simulated, how many these are, the requests
simulated of it so far, and the relative precision reached (inf at first)."""

# Without objectives these are shown, too.
_ALWAYS = (
    Statistic(Metric.TTFT),
    Statistic(Metric.TTFT, 99.0),
    Statistic(Metric.ITL),
    Statistic(Metric.ITL, 99.0),
    Statistic(Metric.E2E),
    Statistic(Metric.E2E, 99.0),
)
_PREDICTED: Mapping[Metric, str] = {
    Metric.WAIT: "queueing_ms",
    Metric.TTFT: "ttft_ms",
    Metric.ITL: "itl_ms",
    Metric.E2E: "e2e_ms",
}
# Shares at which distributions are told.
_SHARES = (
    0.01, 0.02, 0.05, *(k / 20 for k in range(2, 19)), 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985,
    0.99, 0.9925, 0.995, 0.9975, 0.999,
)  # fmt: skip
# Independent runs where the rate comes round: batches of one day are not alike.
_PERIODIC_RUNS = 5


def fleet_of(plan: FleetPlan) -> FleetSpec:
    """Return the fleet that a plan was made for.

    Raises
    ------
    SimulationError
        If the plan does not carry it.
    """
    if plan.fleet_document is None:
        raise SimulationError(
            "this plan does not carry its fleet, which has the iteration times: solve it again, "
            "or give the fleet too (--fleet)"
        )
    return from_data(plan.fleet_document, "<plan>")


@dataclass(frozen=True, kw_only=True)
class _Effort:
    """How long, and how exactly, services are simulated."""

    precision: float
    precise: tuple[Statistic, ...] | None
    least: int
    most: int
    runs: int | None
    seed: int
    stopped: Callable[[], bool]


def simulate(
    plan: FleetPlan,
    fleet: FleetSpec | None = None,
    *,
    services: Sequence[str] | None = None,
    loads: Mapping[str, OfferedLoad] | None = None,
    precision: float = 0.02,
    precise: Sequence[Statistic] | None = None,
    least_requests: int = 50_000,
    most_requests: int = 1_000_000,
    replications: int | None = None,
    seed: int = 0,
    progress: PlanProgress | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> PlanSimulation:
    """Simulate every service of a plan at the load that the plan gives its replicas.

    Parameters
    ----------
    plan
        Fresh, or read from a file.
    fleet
        The fleet it was made for; by default the one that it carries.
    services
        Names of those wanted; by default all.
    loads
        What services are asked for in place of the fleet's loads, by name; "" for those not named.
    precision
        Relative half-width of the 95 % confidence interval at which a service is done.
    precise
        Statistics it is asked of; by default all that are shown.
    least_requests, most_requests
        Requests simulated of each, between these. A trace has its own number; where the rate comes
        round, a run lasts whole periods.
    replications
        Independent runs of each service, at least; their means make the intervals. By default one
        long run in batches, but five runs where the rate comes round.
    seed
        Of arrivals, lengths and all draws.
    progress
        See `PlanProgress`.
    stopped
        Asked again and again whether to end with what there is.

    Returns
    -------
    PlanSimulation
        What cannot be simulated is there with the reason.

    Raises
    ------
    SimulationError
        If the plan has no such service, does not carry its fleet and none is given, or a number
        is out of range.
    """
    _check(precision, least_requests, most_requests, replications)
    spec = fleet_of(plan) if fleet is None else fleet
    known = {allocation.service for allocation in plan.allocations}
    for name in (*(services or ()), *(name for name in loads or () if name)):
        if name not in known:
            raise SimulationError(
                f"service {name!r} has no allocation in this plan; it has "
                f"{', '.join(sorted(known)) or 'none'}"
            )
    effort = _Effort(
        precision=precision,
        precise=None if precise is None else tuple(precise),
        least=least_requests,
        most=most_requests,
        runs=replications,
        seed=seed,
        stopped=stopped,
    )
    chosen = list(_units(plan, services))
    simulator = _PlanSimulator(PlanServers(plan, spec), spec, effort, loads or {})
    results = []
    for place, unit in enumerate(chosen):
        name = unit[0].service

        def told(requests: int, reached: float, name: str = name, place: int = place) -> None:
            if progress is not None:
                progress(name, place, len(chosen), requests, reached)

        told(0, math.inf)
        results.append(simulator.simulated(unit, told))
    return PlanSimulation(
        fleet=plan.fleet,
        queue_model=plan.queue_model,
        precision=precision,
        seed=seed,
        interrupted=stopped(),
        services=tuple(results),
    )


def _check(precision: float, least: int, most: int, replications: int | None) -> None:
    if not 0 < precision < 1:
        raise SimulationError(
            f"precision = {precision:g}: must lie between 0 and 1, as in 0.01 for a hundredth"
        )
    if least < 1 or most < least:
        raise SimulationError(
            f"requests from {least} to {most}: must be at least 1, and the most no fewer than the "
            f"least"
        )
    if replications is not None and not 2 <= replications <= 1000:
        raise SimulationError(
            f"replications = {replications}: an interval needs from 2 to 1000 of them"
        )


def _units(plan: FleetPlan, services: Sequence[str] | None) -> Iterator[tuple[Allocation, ...]]:
    """Yield what is simulated together: an allocation, or a prefill and its decode pool."""
    prefill: Allocation | None = None
    for allocation in plan.allocations:
        if services is not None and allocation.service not in services:
            continue
        if allocation.role is PoolRole.PREFILL:
            prefill = allocation
        elif allocation.role is PoolRole.DECODE and prefill is not None:
            yield prefill, allocation
            prefill = None
        else:
            yield (allocation,)


class _PlanSimulator:
    """Simulates allocations of one fleet."""

    def __init__(
        self,
        servers: PlanServers,
        spec: FleetSpec,
        effort: _Effort,
        loads: Mapping[str, OfferedLoad],
    ) -> None:
        self._servers = servers
        self._classes = {entry.name: entry for entry in spec.classes}
        self._effort, self._loads = effort, loads

    def simulated(
        self, unit: tuple[Allocation, ...], progress: Callable[[int, float], None]
    ) -> SimulatedService:
        """Simulate an allocation, or a pair of pools."""
        first = unit[0]
        load = self._loads.get(first.service, self._loads.get("", OfferedLoad()))
        about: dict[str, Any] = {
            "service": first.service,
            "accelerator": first.accelerator,
            "replicas": self._servers.with_replicas(first).replicas,
            "arrival_rate_rps": first.admitted_rate_rps,
            "load": load.words,
        }
        if len(unit) > 1:
            decode = unit[1]
            about["decode"] = DecodePool(
                accelerator=decode.accelerator or "", replicas=decode.replicas
            )
        reason = self._servers.why_not(unit, load)
        if reason is None and self._effort.stopped():
            reason = "interrupted before its turn"
        if reason is not None:
            return SimulatedService(**about, skipped=reason)
        targets = self._targets(first)
        try:
            run, runs, notes = self._run(unit, load, targets, progress)
        except SimulationStoppedError:
            return SimulatedService(**about, skipped="interrupted before anything was measured")
        about["replicas"] = self._servers.carrying(first)
        if load.trace is not None:
            about["arrival_rate_rps"] = run.requests / run.duration_s
        if run.decode_usage is not None:
            about["decode"] = about["decode"].model_copy(update={"usage": _usage(run.decode_usage)})
        results = _of_run(run, first, targets, _bounds(targets))
        return SimulatedService(**about, **results, replications=runs, notes=notes)

    def _run(
        self,
        unit: tuple[Allocation, ...],
        load: OfferedLoad,
        targets: Sequence[TargetSpec],
        progress: Callable[[int, float], None],
    ) -> tuple[Run, int, tuple[str, ...]]:
        effort = self._effort
        statistics = tuple(
            dict.fromkeys((*_ALWAYS, *(statistic_of(t) for t in targets), *(effort.precise or ())))
        )
        asked = self._servers.simulation(unit, load, self._loads)
        least, most, runs = effort.least, effort.most, effort.runs
        if load.period_s is not None:
            # Days are not alike hour by hour: whole ones are compared.
            period = load.period_s * unit[0].admitted_rate_rps
            least = math.ceil(least / period) * math.ceil(period)
            runs = runs or _PERIODIC_RUNS
        single = runs is None

        def once(seed: int) -> Run:
            return asked.run(
                statistics,
                bounds=_bounds(targets),
                precision=effort.precision,
                precise=effort.precise,
                least_requests=least,
                most_requests=max(most, least) if single else least,
                seed=seed,
                progress=progress,
                stopped=effort.stopped,
            )

        if runs is None:
            return once(effort.seed), 1, asked.notes
        run, made = replicated(
            once,
            precision=effort.precision,
            precise=effort.precise,
            least_runs=runs,
            most_requests=most,
            seed=effort.seed,
            stopped=effort.stopped,
        )
        return run, made, asked.notes

    def _targets(self, allocation: Allocation) -> tuple[TargetSpec, ...]:
        """Return the objectives on latencies of requests."""
        of_class = targets_of(self._classes[allocation.service_class], allocation.model)
        return tuple(t for t in of_class if not t.metric.is_service_rate)


def _bounds(targets: Sequence[TargetSpec]) -> dict[Metric, float]:
    """Return the bounds of one request's latencies that make up goodput."""
    bounds: dict[Metric, float] = {}
    for target in targets:
        # Between tokens: the mean of a request stands for its gaps.
        metric = statistic_of(target).metric
        metric = Metric.TPOT if metric is Metric.ITL else metric
        bounds[metric] = min(latency_bound(target), bounds.get(metric, math.inf))
    return bounds


def _of_run(
    run: Run,
    allocation: Allocation,
    targets: Sequence[TargetSpec],
    bounds: Mapping[Metric, float],
) -> dict[str, object]:
    bound_of: dict[Statistic, float] = {}
    for target in targets:
        statistic = statistic_of(target)
        bound_of[statistic] = min(latency_bound(target), bound_of.get(statistic, math.inf))
    rows = [
        _statistic(run, statistic, allocation, bound_of.get(statistic), bounds)
        for statistic in run.statistics
    ]
    return {
        "requests": run.requests,
        "keeps_up": run.keeps_up,
        "precise": run.converged,
        "throughput_rps": run.throughput_rps,
        "goodput_rps": run.goodput_rps,
        "attainment": run.good_share.value,
        "attainment_half_width": _finite(run.good_share.half_width),
        "refused_share": run.refused_share,
        "statistics": tuple(rows),
        "usage": _usage(run.usage),
        "distributions": tuple(_distributions(run)) if run.keeps_up else (),
    }


def _usage(usage: RunUsage) -> Usage:
    return Usage(
        busy=usage.busy,
        batch=usage.batch,
        kv=usage.kv or None,
        iteration_ms=usage.iteration_ms,
        output_tokens_per_s=usage.output_tokens_per_s,
        preemptions=usage.preemptions,
        prefix_hit_share=usage.prefix_hit_share,
        loading_ms=usage.loading_ms,
        store_busy=usage.store_busy,
    )


def _distributions(run: Run) -> Iterator[LatencyDistribution]:
    for metric in (Metric.TTFT, Metric.ITL, Metric.E2E):
        values = [run.quantile(metric, share) for share in _SHARES]
        known = tuple(value for value in values if value is not None)
        if len(known) == len(_SHARES):
            yield LatencyDistribution(metric=str(metric), shares=_SHARES, values=known)


def _statistic(
    run: Run,
    statistic: Statistic,
    allocation: Allocation,
    bound: float | None,
    bounds: Mapping[Metric, float],
) -> SimulatedStatistic:
    estimate = run.statistics[statistic]
    known = run.keeps_up and math.isfinite(estimate.value)
    holds = certain = None
    within: Estimate | None = None
    if bound is not None:
        holds = known and estimate.value <= bound
        certain = not known or abs(estimate.value - bound) > estimate.half_width
        if bounds.get(statistic.metric) == bound:
            within = run.within[statistic.metric]
    return SimulatedStatistic(
        metric=str(statistic.metric),
        statistic="mean" if statistic.percentile is None else f"p{statistic.percentile:g}",
        predicted=_predicted(allocation, statistic),
        simulated=estimate.value if known else None,
        half_width=_finite(estimate.half_width) if known else None,
        bound=bound,
        kept_by=None if within is None else within.value,
        kept_by_half_width=None if within is None else _finite(within.half_width),
        holds=holds,
        certain=certain,
    )


def _predicted(allocation: Allocation, statistic: Statistic) -> float | None:
    """Return what the plan says of a statistic [ms], where it says something."""
    if statistic.percentile is None and statistic.metric in _PREDICTED:
        mean: float | None = getattr(allocation, _PREDICTED[statistic.metric])
        return mean
    for target in allocation.targets:
        words = TargetSpec(metric=target.metric, statistic=target.statistic, bound=target.bound)
        if target.metric.is_service_rate or statistic_of(words) != statistic:
            continue
        if target.metric is SloMetric.REQUEST_TOKENS_PER_S and target.value:
            return 1000.0 / target.value
        return target.value
    return None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
