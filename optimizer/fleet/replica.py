"""One replica: what it carries, what its latencies are, and which objective binds first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from optimizer.errors import Fault, SpecError
from optimizer.fleet.candidates import CONSERVATIVE, Verdict
from optimizer.fleet.grid import Grid
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.targets import ServiceTargets
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import Metric, QueueMetrics, QueueModel, ServiceProcess, Statistic
from queue_models import Target as Bound
from queue_models import Targets as Bounds
from queue_models import get as get_queue_model
from queue_models.auto import AutoModel

__all__ = [
    "STANDARD_LOADS",
    "OperatingPoint",
    "ReplicaSize",
    "ReplicaStudy",
    "ReplicaTarget",
    "latency_name",
    "size_replica",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STANDARD_LOADS: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Shares of capacity at which a replica is looked at."""

# "Vanishing load", as a share of capacity.
_IDLE_SHARE = 1e-6
# A bound counts as kept up to this relative excess: rate searches stop that close to it.
_MET = 1e-6

_METRIC_NAMES = {
    Metric.WAIT: "queueing",
    Metric.TTFT: "ttft",
    Metric.ITL: "itl",
    Metric.TPOT: "tpot",
    Metric.E2E: "e2e",
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OperatingPoint(_Part):
    """Steady state of the replica at one rate; null where there is none."""

    rate_rps: float = Field(description="Requests per second offered to one replica.")
    load: float = Field(description="Share of the capacity that the first queue model gives.")
    stable: bool = Field(description="Whether the replica keeps up.")
    utilization: float | None = Field(description="Mean share of the batch in use.")
    concurrency: float | None = Field(description="Mean number of requests in service.")
    queue_length: float | None = Field(description="Mean number of requests waiting.")
    refused_share: float | None = Field(description="Share of arrivals that a full queue refuses.")
    latencies_ms: dict[str, float | None] = Field(
        description="Means, as ttft_ms, and percentiles, as ttft_p99_ms."
    )


class ReplicaTarget(_Part):
    """One objective, and what it allows by itself."""

    name: str = Field(description="As in `latencies_ms`.")
    bound_ms: float
    idle_ms: float | None = Field(description="Value at vanishing load: no load does better.")
    value_ms: float | None = Field(description="Value at the rate of `at`.")
    met: bool = Field(description="Whether that keeps the bound.")
    margin: float | None = Field(description="Room left, relative to the bound.")
    max_rate_rps: float = Field(description="Largest rate with this objective alone.")
    binds: bool = Field(description="Whether it is what limits the largest rate.")


class ReplicaSize(_Part):
    """What one queue model says of the replica."""

    queue_model: str
    queue_model_reason: str = Field(description="Why this one, when it was chosen automatically.")
    conservative: bool = Field(
        default=False, description="Latencies are upper bounds, rates lower ones."
    )
    refusal: str = Field(default="", description="Why the model does not answer; then all is null.")
    capacity_rps: float | None = Field(default=None, description="What one replica can carry.")
    max_rate_rps: float | None = Field(
        default=None, description="Largest rate with every objective kept; 0: none does."
    )
    at: OperatingPoint | None = Field(
        default=None, description="At the rate asked for, else the largest within the objectives."
    )
    targets: tuple[ReplicaTarget, ...] = ()
    curve: tuple[OperatingPoint, ...] = ()

    @property
    def binding(self) -> str:
        """Name of the objective that limits the rate; "capacity" where none does."""
        return next((target.name for target in self.targets if target.binds), "capacity")

    @property
    def possible(self) -> bool:
        """Whether some positive rate keeps every objective."""
        return self.max_rate_rps is not None and self.max_rate_rps > 0


class ReplicaStudy(_Part):
    """One replica of a service on an accelerator, by one queue model or several."""

    schema_version: Literal[1] = 1
    service: str
    model: str
    accelerator: str
    max_batch: int
    replicas: int = Field(description="Replicas that share the load; rates are those of one.")
    routing: str = Field(description="How requests are spread over them.")
    rate_rps: float | None = Field(description="The rate asked for, per replica; null: none.")
    sizes: tuple[ReplicaSize, ...] = Field(description="By queue model.")
    notes: tuple[str, ...] = ()


def size_replica(
    spec: FleetSpec,
    *,
    queue_models: Sequence[str] = (),
    replicas: int = 1,
    rate_rps: float | None = None,
    percentiles: Sequence[float] = (),
    loads: Sequence[float] = STANDARD_LOADS,
    conservative: bool = False,
) -> ReplicaStudy:
    """Size one replica.

    Parameters
    ----------
    spec
        A fleet of one service and one performance entry; see `pair_data`.
    queue_models
        Names; by default the fleet's own. Loads are shares of the capacity by the first that
        answers.
    replicas
        Replicas that share the service's requests, by its routing.
    rate_rps
        Look at this rate per replica instead of the largest within the objectives.
    percentiles
        Percentiles of TTFT and ITL wanted beside what the objectives bound, e.g. 99.
    loads
        Shares of capacity, in (0, 1), at which the curve is made.
    conservative
        Ask the conservative bounds of these models in their place.

    Raises
    ------
    SpecError
        If replicas, rate, percentiles or loads are out of range, or no bound of a model is known.
    queue_models.QueueModelError
        If a model is unknown or broken.
    """
    _check(replicas, rate_rps, percentiles, loads)
    inventory, targets = Inventory.of(spec), ServiceTargets.of(spec)
    grid = Grid.of(spec, inventory, targets.rate_rps)
    row = int(np.flatnonzero(grid.performance >= 0)[-1])  # the largest batch of a range
    service, entry = spec.services[0], spec.performance[0]
    wanted = [Statistic(m, p) for m in (Metric.TTFT, Metric.ITL) for p in percentiles]
    chosen = [get_queue_model(n) for n in queue_models or (spec.optimizer.queue_model,)]
    if conservative:
        chosen = [get_queue_model(_bound_of(model)) for model in chosen]
    models = {model.name: model for model in chosen}.values()
    cases = [_Case(model, spec, targets, int(grid.max_batch[row])) for model in models]
    for case in cases:
        case.prepare(replicas, wanted)
    reference = next((case.capacity for case in cases if not case.refusal), 1.0)
    notes = _notes(spec, int(grid.verdict[row]))
    return ReplicaStudy(
        service=service.name,
        model=service.model,
        accelerator=entry.accelerator,
        max_batch=int(grid.max_batch[row]),
        replicas=replicas,
        routing=service.routing.value,
        rate_rps=rate_rps,
        sizes=tuple(case.size(rate_rps, reference, loads) for case in cases),
        notes=notes,
    )


def latency_name(statistic: Statistic) -> str:
    """Name a statistic as documents do: `ttft_ms`, `ttft_p99_ms`."""
    which = "" if statistic.percentile is None else f"_p{statistic.percentile:g}"
    return f"{_METRIC_NAMES[statistic.metric]}{which}_ms"


def _check(
    replicas: int, rate_rps: float | None, percentiles: Sequence[float], loads: Sequence[float]
) -> None:
    faults = []
    if not 1 <= replicas <= 10**6:
        faults.append(Fault("must be between 1 and 1000000", "replicas", f"{replicas}"))
    if rate_rps is not None and not 0 <= rate_rps < np.inf:
        faults.append(
            Fault("must be at least 0 and finite (requests/s)", "rate_rps", f"{rate_rps}")
        )
    faults += [
        Fault("must be between 0 and 100, both excluded", "percentiles", f"{percentile}")
        for percentile in percentiles
        if not 0 < percentile < 100
    ]
    faults += [
        Fault("must be between 0 and 1, both excluded", "loads", f"{load}")
        for load in loads
        if not 0 < load < 1
    ]
    if faults:
        raise SpecError(faults)


def _bound_of(model: QueueModel) -> str:
    """Return the name of a model's conservative bound."""
    if model.conservative:
        return model.name
    if not model.bound:
        message = "no conservative bound of it is known; one is of auto and iteration-level"
        raise SpecError([Fault(message, "queue_model", f"'{model.name}'")])
    return model.bound


def _notes(spec: FleetSpec, verdict: int) -> tuple[str, ...]:
    notes = [
        f"{target.metric.value} concerns the whole service and not one replica: left out"
        for slo in spec.classes[0].slos
        for target in slo.targets
        if target.metric.is_service_rate
    ]
    if verdict == Verdict.WEIGHTS:
        notes.append("the model's weights are larger than the memory of one replica")
    return tuple(notes)


class _Case:
    """One queue model's view of the replica."""

    def __init__(
        self, model: QueueModel, spec: FleetSpec, targets: ServiceTargets, max_batch: int
    ) -> None:
        self.model = model
        self.refusal = self.reason = ""
        self.capacity = np.nan
        self._pairs = PairProcesses(spec, model)
        self._max_batch = max_batch
        self._bounds = {s: float(b[0]) for s, b in targets.bounds.items() if np.isfinite(b[0])}
        self._promised = bool(targets.promised_throughput[0])

    def prepare(self, replicas: int, wanted: Sequence[Statistic]) -> None:
        """Set up the service process, and ask what the replica carries."""
        clock = int(self._pairs.clock[0])
        order = list(Metric)
        self._percentiles = sorted(
            {s for s in (*self._bounds, *wanted) if s.percentile is not None},
            key=lambda s: (order.index(s.metric), s.percentile),
        )
        statistics = tuple(dict.fromkeys((*self._bounds, *self._percentiles)))
        if clock < 0:
            kinds = " or ".join(sorted(kind.__name__ for kind in self.model.timings))
            self.refusal = f"the performance data have no timing that it reads: {kinds}"
            return
        zero = np.zeros(1, dtype=np.int64)
        self._process = self._pairs.process(
            clock, zero, zero, np.array([self._max_batch]), np.array([replicas])
        )
        if isinstance(self.model, AutoModel):
            (choice,) = self.model.choose(self._process, statistics)
            self.reason = f"{choice.name}: {choice.reason}"
        if self.model.conservative:
            self.reason = CONSERVATIVE
        self.refusal = "; ".join(self.model.refusals(self._process, statistics))
        if not self.refusal:
            self._rates = self._max_rates()
            self.capacity = float(self._rates[-1])

    def size(self, rate_rps: float | None, reference: float, loads: Sequence[float]) -> ReplicaSize:
        """Return the answer, its curve at shares of a capacity."""
        if self.refusal:
            return ReplicaSize(
                queue_model=self.model.name,
                queue_model_reason=self.reason,
                conservative=self.model.conservative,
                refusal=self.refusal,
            )
        best = float(self._rates[0])
        here = best if rate_rps is None else rate_rps
        rates = [_IDLE_SHARE * self.capacity, here, *(load * reference for load in loads)]
        idle, at, *curve = self._points(np.array(rates), reference)
        return ReplicaSize(
            queue_model=self.model.name,
            queue_model_reason=self.reason,
            conservative=self.model.conservative,
            capacity_rps=self.capacity,
            max_rate_rps=best,
            at=at,
            targets=self._targets(idle, at),
            curve=tuple(curve),
        )

    def _repeated(self, times: int) -> ServiceProcess:
        return self._process.take(np.zeros(times, dtype=np.int64))

    def _max_rates(self) -> FloatArray:
        """Return the largest rates with all objectives, with each alone, and with none."""
        size = len(self._bounds) + 2
        bounds = []
        for place, (statistic, bound) in enumerate(self._bounds.items(), start=1):
            column = np.full(size, np.inf)
            column[[0, place]] = bound
            bounds.append(Bound(statistic, column))
        promised = np.full(size, self._promised)
        return self.model.max_rate(
            self._repeated(size),
            Bounds(tuple(bounds), promised_throughput=promised if self._promised else None),
        )

    def _points(self, rates: FloatArray, reference: float) -> list[OperatingPoint]:
        """Return the steady states; there is none above capacity."""
        # At capacity itself, as a search returns it, there still is one.
        kept = np.flatnonzero(rates <= self.capacity * (1 + 1e-12))
        metrics = self.model.evaluate(
            self._repeated(len(kept)), np.minimum(rates[kept], self.capacity), self._percentiles
        )
        place = dict(zip(kept.tolist(), range(len(kept)), strict=True))
        return [
            self._point(rate, reference, metrics, place.get(index))
            for index, rate in enumerate(rates.tolist())
        ]

    def _point(
        self, rate: float, reference: float, metrics: QueueMetrics, place: int | None
    ) -> OperatingPoint:
        stable = place is not None and bool(metrics.stable[place])

        def known(values: FloatArray) -> float | None:
            if place is None or not stable or not np.isfinite(values[place]):
                return None
            return float(values[place])

        statistics = [*map(Statistic, Metric), *self._percentiles]
        return OperatingPoint(
            rate_rps=rate,
            load=rate / reference if reference > 0 else 0.0,
            stable=stable,
            utilization=known(metrics.utilization),
            concurrency=known(metrics.concurrency),
            queue_length=known(metrics.queue_length),
            refused_share=known(metrics.blocking_probability),
            latencies_ms={latency_name(s): known(metrics.value(s)) for s in statistics},
        )

    def _targets(self, idle: OperatingPoint, at: OperatingPoint) -> tuple[ReplicaTarget, ...]:
        alone = self._rates[1:-1]
        limited = bool(len(alone)) and float(alone.min()) < self.capacity * (1 - _MET)
        binding = int(alone.argmin()) if limited else -1
        return tuple(
            _target(latency_name(s), bound, idle, at, float(alone[place]), place == binding)
            for place, (s, bound) in enumerate(self._bounds.items())
        )


def _target(
    name: str, bound: float, idle: OperatingPoint, at: OperatingPoint, alone: float, binds: bool
) -> ReplicaTarget:
    value = at.latencies_ms[name]
    room = None if value is None else (bound - value) / bound
    met = room is not None and room >= -_MET
    return ReplicaTarget(
        name=name,
        bound_ms=bound,
        idle_ms=idle.latencies_ms[name],
        value_ms=value,
        met=met,
        margin=max(room, 0.0) if room is not None and met else room,
        max_rate_rps=alone,
        binds=binds,
    )
