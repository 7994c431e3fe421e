"""A plan against a simulation of it: what was predicted, what comes out, which services miss."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from optimizer.engine.errors import SimulationError
from optimizer.engine.mixed_workload import MixedWorkload
from optimizer.engine.queue_model import SimulationModel
from optimizer.engine.simulated_pair import SimulatedPair
from optimizer.engine.simulation import Run
from optimizer.engine.workload import DrawnWorkload
from optimizer.fleet.plan import Allocation, FleetPlan
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.targets import latency_bound, statistic_of, targets_of
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.loading import from_data
from optimizer.spec.service_class import SloMetric, TargetSpec
from queue_models import Metric, Statistic

__all__ = [
    "PlanProgress",
    "PlanSimulation",
    "SimulatedService",
    "SimulatedStatistic",
    "Usage",
    "fleet_of",
    "simulate",
]

PlanProgress = Callable[[str, int, int, int], None]
"""Called with a service, its place among those to be simulated, how many these are, and the
requests simulated of it so far."""

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


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SimulatedStatistic(_Part):
    """One latency of a service, predicted and simulated."""

    metric: str = Field(description="wait_ms, ttft_ms, itl_ms, tpot_ms or e2e_ms.")
    statistic: str = Field(description="mean, or a percentile such as p99.")
    predicted: float | None = Field(description="By the plan's queue model [ms].")
    simulated: float | None = Field(description="[ms]; null without a steady state.")
    half_width: float | None = Field(description="Of the 95 % confidence interval [ms].")
    bound: float | None = Field(description="What an objective asks for [ms].")
    kept_by: float | None = Field(description="Share of requests within the bound.")
    holds: bool | None = Field(description="Whether the simulated value keeps the bound.")
    certain: bool | None = Field(description="Whether the bound lies outside the interval.")


class Usage(_Part):
    """How the replicas were used; shares of 1, over time."""

    busy: float = Field(description="Time with an iteration in flight.")
    batch: float = Field(description="Requests running, of the largest batch.")
    kv: float | None = Field(description="KV cache in use; null without a limit.")
    iteration_ms: float = Field(description="Mean length of an iteration [ms].")
    output_tokens_per_s: float = Field(description="All replicas together.")
    preemptions: int = Field(description="Over the requests that count.")
    prefix_hit_share: float = Field(description="Prompt tokens found in the cache.")


class SimulatedService(_Part):
    """One allocation of a plan, simulated; `skipped` says why it was not."""

    service: str
    accelerator: str | None
    replicas: int
    arrival_rate_rps: float = Field(description="What all its replicas together are asked for.")
    skipped: str | None = None
    requests: int = 0
    keeps_up: bool | None = Field(
        default=None, description="false: the backlog grows, there is no steady state."
    )
    precise: bool | None = Field(default=None, description="Whether the precision was reached.")
    throughput_rps: float | None = None
    goodput_rps: float | None = Field(
        default=None, description="Requests per second within every bound at once."
    )
    attainment: float | None = Field(
        default=None, description="Share of all requests that were completed within every bound."
    )
    attainment_half_width: float | None = None
    refused_share: float | None = None
    statistics: tuple[SimulatedStatistic, ...] = ()
    usage: Usage | None = None

    @property
    def misses(self) -> bool:
        """Whether it cannot keep up or an objective does not hold."""
        return self.keeps_up is False or any(s.holds is False for s in self.statistics)


class PlanSimulation(_Part):
    """Every allocation of a plan, simulated."""

    schema_version: Literal[1] = 1
    fleet: str
    queue_model: str = Field(description="What predicted.")
    precision: float = Field(description="Relative half-width asked for.")
    seed: int
    services: tuple[SimulatedService, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Services that would miss an objective or cannot keep up."""
        return tuple(dict.fromkeys(s.service for s in self.services if s.misses))

    @property
    def holds(self) -> bool:
        """Whether every service that was simulated keeps every objective."""
        return not self.missing

    def service(self, name: str) -> SimulatedService:
        """Return what was simulated of a service, the first where it splits.

        Raises
        ------
        KeyError
            If there is nothing of it.
        """
        for service in self.services:
            if service.service == name:
                return service
        raise KeyError(f"service {name!r} was not simulated")

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the result as JSON, and write it to a file when a path is given."""
        document = self.model_dump(mode="json") | {"missing": self.missing, "holds": self.holds}
        import json

        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> PlanSimulation:
        """Read a result back.

        Raises
        ------
        SimulationError
            If the text is not one.
        """
        import json

        try:
            document = json.loads(text)
            if isinstance(document, dict):
                document = {k: v for k, v in document.items() if k not in ("missing", "holds")}
            return cls.model_validate(document)
        except (ValueError, ValidationError) as error:
            raise SimulationError(f"not a simulated plan: {error}") from error


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


def simulate(
    plan: FleetPlan,
    fleet: FleetSpec | None = None,
    *,
    services: Sequence[str] | None = None,
    precision: float = 0.02,
    least_requests: int = 50_000,
    most_requests: int = 1_000_000,
    seed: int = 0,
    progress: PlanProgress | None = None,
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
    precision
        Relative half-width of the 95 % confidence interval at which a service is done.
    least_requests, most_requests
        Requests simulated of each, between these.
    seed
        Of arrivals, lengths and all draws.
    progress
        See `PlanProgress`.

    Raises
    ------
    SimulationError
        If the plan has no such service, or does not carry its fleet and none is given.
    """
    if not 0 < precision < 1 or least_requests < 1 or most_requests < least_requests:
        raise SimulationError(
            f"precision = {precision}, requests from {least_requests} to {most_requests}: the "
            f"precision must lie between 0 and 1, and the requests rise from 1 on"
        )
    spec = fleet_of(plan) if fleet is None else fleet
    known = {allocation.service for allocation in plan.allocations}
    for name in services or ():
        if name not in known:
            raise SimulationError(
                f"service {name!r} has no allocation in this plan; it has "
                f"{', '.join(sorted(known)) or 'none'}"
            )
    chosen = [a for a in plan.allocations if services is None or a.service in services]
    simulator = _PlanSimulator(plan, spec, precision, least_requests, most_requests, seed)
    results = []
    for place, allocation in enumerate(chosen):

        def told(requests: int, reached: float, a: Allocation = allocation, p: int = place) -> None:
            del reached
            if progress is not None:
                progress(a.service, p, len(chosen), requests)

        results.append(simulator.simulated(allocation, told))
    return PlanSimulation(
        fleet=plan.fleet,
        queue_model=plan.queue_model,
        precision=precision,
        seed=seed,
        services=tuple(results),
    )


class _PlanSimulator:
    """Simulates allocations of one fleet."""

    def __init__(
        self,
        plan: FleetPlan,
        spec: FleetSpec,
        precision: float,
        least: int,
        most: int,
        seed: int,
    ) -> None:
        self._plan, self._spec = plan, spec
        self._processes = PairProcesses(spec, SimulationModel())
        self._service = {service.name: i for i, service in enumerate(spec.services)}
        self._classes = {entry.name: entry for entry in spec.classes}
        self._precision, self._least, self._most, self._seed = precision, least, most, seed

    def simulated(
        self, allocation: Allocation, progress: Callable[[int, float], None]
    ) -> SimulatedService:
        """Simulate one allocation."""
        about = {
            "service": allocation.service,
            "accelerator": allocation.accelerator,
            "replicas": self._with_replicas(allocation).replicas,
            "arrival_rate_rps": allocation.admitted_rate_rps,
        }
        entry = self._performance(allocation)
        reason = self._why_not(allocation, entry)
        if reason is not None:
            return SimulatedService(**about, skipped=reason)
        targets = self._targets(allocation)
        statistics = tuple(dict.fromkeys((*_ALWAYS, *(statistic_of(t) for t in targets))))
        bounds: dict[Metric, float] = {}
        for target in targets:
            # Between tokens: the mean of a request stands for its gaps.
            metric = statistic_of(target).metric
            metric = Metric.TPOT if metric is Metric.ITL else metric
            bounds[metric] = min(latency_bound(target), bounds.get(metric, math.inf))
        pair, kind = self._pair(allocation, entry)
        run = pair.run(
            statistics,
            bounds=bounds,
            precision=self._precision,
            least_requests=self._least,
            most_requests=self._most,
            seed=self._seed,
            kind=kind,
            progress=progress,
        )
        return SimulatedService(**about, **_of_run(run, allocation, targets, bounds))

    def _with_replicas(self, allocation: Allocation) -> Allocation:
        """Return the allocation in which the replicas stand that serve one."""
        if allocation.replicas_of is None:
            return allocation
        lead = self._plan.allocations_of(allocation.replicas_of)
        return lead[0] if lead else allocation

    def _pair(self, allocation: Allocation, entry: int) -> tuple[SimulatedPair, int]:
        """Return the replicas with all that they serve, and the number of the service's kind."""
        replicas = self._with_replicas(allocation).replicas
        own = self._own_pair(allocation, entry, replicas)
        if not allocation.shared_with:
            return own, 0
        others = [a for name in allocation.shared_with for a in self._plan.allocations_of(name)]
        sharers = sorted((allocation, *others), key=lambda a: self._service[a.service])
        kinds = [self._own_pair(sharer, entry, replicas).workload for sharer in sharers]
        drawn = tuple(kind for kind in kinds if isinstance(kind, DrawnWorkload))
        return replace(own, workload=MixedWorkload(drawn)), 1 + sharers.index(allocation)

    def _own_pair(self, allocation: Allocation, entry: int, replicas: int) -> SimulatedPair:
        """Return so many replicas that serve the allocation's service alone."""
        service = np.array([self._service[allocation.service]])
        process = self._processes.process(
            int(self._processes.clock[entry]),
            service,
            np.array([entry]),
            np.array([allocation.max_batch or 1]),
            np.array([replicas]),
        )
        return SimulatedPair.of(process, allocation.admitted_rate_rps / replicas, blocks=True)

    def _performance(self, allocation: Allocation) -> int:
        """Return the performance entry of an allocation; -1 without any.

        Where a fleet with other figures has a single entry for the model on the accelerator, it
        is that one.
        """
        found = [
            index
            for index, entry in enumerate(self._spec.performance)
            if (entry.model, entry.accelerator) == (allocation.model, allocation.accelerator)
        ]
        for index in found:
            if self._spec.performance[index].configuration == allocation.configuration:
                return index
        return found[0] if len(found) == 1 else -1

    def _why_not(self, allocation: Allocation, entry: int) -> str | None:
        if allocation.service not in self._service:
            return "the fleet has no such service"
        if allocation.accelerator is None or self._with_replicas(allocation).replicas == 0:
            return "it has no replicas"
        if allocation.admitted_rate_rps <= 0:
            return "nothing arrives"
        if entry < 0:
            return "the fleet has no performance figures for it"
        if self._processes.clock[entry] < 0:
            return "its times are by phase (prefill_decode); a simulation takes iteration times"
        if allocation.routes:
            return "its requests are routed by length; that is not simulated yet"
        return None

    def _targets(self, allocation: Allocation) -> tuple[TargetSpec, ...]:
        """Return the objectives on latencies of requests."""
        of_class = targets_of(self._classes[allocation.service_class], allocation.model)
        return tuple(t for t in of_class if not t.metric.is_service_rate)


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
    usage = run.usage
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
        "usage": Usage(
            busy=usage.busy,
            batch=usage.batch,
            kv=usage.kv or None,
            iteration_ms=usage.iteration_ms,
            output_tokens_per_s=usage.output_tokens_per_s,
            preemptions=usage.preemptions,
            prefix_hit_share=usage.prefix_hit_share,
        ),
    }


def _statistic(
    run: Run,
    statistic: Statistic,
    allocation: Allocation,
    bound: float | None,
    bounds: Mapping[Metric, float],
) -> SimulatedStatistic:
    estimate = run.statistics[statistic]
    known = run.keeps_up and math.isfinite(estimate.value)
    holds = certain = kept = None
    if bound is not None:
        holds = known and estimate.value <= bound
        certain = not known or abs(estimate.value - bound) > estimate.half_width
        if bounds.get(statistic.metric) == bound:
            kept = run.within[statistic.metric].value
    return SimulatedStatistic(
        metric=str(statistic.metric),
        statistic="mean" if statistic.percentile is None else f"p{statistic.percentile:g}",
        predicted=_predicted(allocation, statistic),
        simulated=estimate.value if known else None,
        half_width=_finite(estimate.half_width) if known else None,
        bound=bound,
        kept_by=kept,
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
