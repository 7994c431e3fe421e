"""From a fleet's description to its candidate table, by way of a queue model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import ModelError
from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.grid import Grid
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.targets import ServiceTargets
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import (
    IterationTiming,
    PrefillDecodeTiming,
    QueueMetrics,
    QueueModel,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
)
from queue_models import get as get_queue_model
from queue_models.auto import AutoModel

__all__ = ["PairProcesses", "build_candidates"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
_TimingKind = type[IterationTiming] | type[PrefillDecodeTiming]

# The kinds of timing and the spec's field for each, in rising order of preference.
_TIMINGS: tuple[tuple[_TimingKind, str], ...] = (
    (PrefillDecodeTiming, "prefill_decode"),
    (IterationTiming, "iteration"),
)
# A rate that a model's own inverse allows must keep the targets by its own evaluation up to
# this relative excess; more means that the model contradicts itself.
_SELF_CONSISTENCY = 1e-3
# Divisions such as 6.0 / 2.0000000001 must not cost a replica.
_ROUNDING = 1e-9
# Beyond this many replicas a candidate is arithmetic, not a plan; kept exact in floats.
_MOST_REPLICAS = 2**40


def build_candidates(spec: FleetSpec, queue_model: str | None = None) -> CandidateTable:
    """Size every (service, accelerator, maximum batch) of a fleet.

    Parameters
    ----------
    spec
        A validated fleet.
    queue_model
        Name of a registered queue model; by default the fleet's own option.

    Returns
    -------
    CandidateTable
        Every candidate, the impossible ones with their reason.

    Raises
    ------
    queue_models.QueueModelError
        If the model is unknown or broken.
    ModelError
        If the model's answers have the wrong shape or are not numbers.
    """
    model = get_queue_model(queue_model or spec.optimizer.queue_model)
    inventory = Inventory.of(spec)
    targets = ServiceTargets.of(spec)
    grid = Grid.of(spec, inventory, targets.rate_rps)
    sizing = _Sizing(spec, model, targets, grid)
    sizing.size_all()
    return sizing.table(inventory)


class PairProcesses:
    """Turns (service, performance entry, batch) rows into `ServiceProcess` arrays."""

    def __init__(self, spec: FleetSpec, model: QueueModel) -> None:
        loads = [service.load for service in spec.services]
        self._load = {
            name: np.array([getattr(load, name) for load in loads], dtype=np.float64)
            for name in (
                "input_tokens",
                "output_tokens",
                "input_tokens_scv",
                "output_tokens_scv",
                "arrival_scv",
            )
        }
        self._queue = np.array(
            [np.nan if s.max_queue is None else s.max_queue for s in spec.services],
            dtype=np.float64,
        )
        self._clocks: dict[_TimingKind, FloatArray] = {}
        # The timing of each entry, as an index into _TIMINGS: of those that the model knows and
        # the entry has, the last; -1 where there is none.
        self.kind = np.full(max(len(spec.performance), 1), -1, dtype=np.int64)
        for number, (kind, attribute) in enumerate(_TIMINGS):
            if kind not in model.timings:
                continue
            names = [f.name for f in fields(kind)]
            clocks = np.full((len(names), len(spec.performance)), np.nan)
            for index, entry in enumerate(spec.performance):
                timing = getattr(entry, attribute)
                if timing is not None:
                    clocks[:, index] = [getattr(timing, name) for name in names]
                    self.kind[index] = number
            self._clocks[kind] = clocks

    def process(
        self, kind: _TimingKind, service: IntArray, performance: IntArray, max_batch: IntArray
    ) -> ServiceProcess:
        """Return the process of these rows, which share a kind of timing."""
        queue = self._queue[service]
        return ServiceProcess(
            kind(*self._clocks[kind][:, performance]),
            max_batch=max_batch,
            queue_capacity=None if np.isnan(queue).any() else queue,
            **{name: values[service] for name, values in self._load.items()},
        )

    def batches(
        self,
        rows: IntArray,
        service: IntArray,
        performance: IntArray,
        max_batch: IntArray,
        bounds: Mapping[Statistic, FloatArray],
    ) -> Iterator[tuple[IntArray, ServiceProcess, tuple[Statistic, ...]]]:
        """Split rows that have a timing into calls that share it, queue rule and statistics.

        Parameters
        ----------
        rows
            Rows of the arrays `service`, `performance` and `max_batch` that are asked about.
        bounds
            Per statistic, (services,) upper bounds; `inf` where a service has none.
        """
        keys = np.column_stack(
            [self.kind[performance[rows]], np.isfinite(self._queue)[service[rows]]]
            + [np.isfinite(bound)[service[rows]] for bound in bounds.values()]
        )
        distinct, member = np.unique(keys, axis=0, return_inverse=True)
        for call, (kind, _, *bounded) in enumerate(distinct.tolist()):
            chosen = rows[member.ravel() == call]
            process = self.process(
                _TIMINGS[kind][0], service[chosen], performance[chosen], max_batch[chosen]
            )
            yield chosen, process, tuple(s for s, b in zip(bounds, bounded, strict=True) if b)


@dataclass
class _Sizing:
    """The table under construction."""

    spec: FleetSpec
    model: QueueModel
    targets: ServiceTargets
    grid: Grid
    refusals: dict[int, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.grid.service)
        self.processes = PairProcesses(self.spec, self.model)
        self.least = np.array([s.replicas.min for s in self.spec.services], dtype=np.int64)
        self.most = np.array(
            [
                _MOST_REPLICAS if s.replicas.max is None else s.replicas.max
                for s in self.spec.services
            ],
            dtype=np.int64,
        )
        self.rate = np.zeros(n)
        self.replicas = np.zeros(n, dtype=np.int64)
        self.means = {
            f.name: np.full(n, np.nan) for f in fields(QueueMetrics) if f.name != "percentiles"
        }
        self.percentiles = {
            statistic: np.full(n, np.nan)
            for statistic in self.targets.bounds
            if statistic.percentile is not None
        }

    def size_all(self) -> None:
        """Fill in every row that is still possible and placed."""
        grid = self.grid
        rows = np.flatnonzero((grid.verdict == Verdict.POSSIBLE) & (grid.accelerator >= 0))
        timed = self.processes.kind[grid.performance[rows]] >= 0
        grid.verdict[rows[~timed]] = Verdict.NO_TIMING
        for call in self.processes.batches(
            rows[timed], grid.service, grid.performance, grid.max_batch, self.targets.bounds
        ):
            self.size(*call)

    def size(
        self, rows: IntArray, process: ServiceProcess, statistics: tuple[Statistic, ...]
    ) -> None:
        """Fill in the rows of one call to the queue model."""
        if isinstance(self.model, AutoModel):
            name, reason = self.model.choose(type(process.timing), statistics)
            self.choices[name] = reason
        refused = np.zeros(len(rows), dtype=np.bool_)
        for reason, mask in self.model.refusals(process, statistics).items():
            for row in rows[mask & ~refused].tolist():
                self.refusals[row] = reason
            refused |= mask
        self.grid.verdict[rows[refused]] = Verdict.OUTSIDE_VALIDITY
        if refused.any():
            rows, process = rows[~refused], process.take(~refused)
        if not len(rows):
            return
        service = self.grid.service[rows]
        bounds = {s: self.targets.bounds[s][service] for s in statistics}
        promised = self.targets.promised_throughput[service]
        rate = self.model.max_rate(
            process,
            Targets(
                tuple(Target(statistic, bound) for statistic, bound in bounds.items()),
                promised_throughput=promised if promised.any() else None,
            ),
        )
        self.rate[rows] = self._checked("max_rate", rate, len(rows))
        rows, process, load = self._count_replicas(rows, process)
        if len(rows):
            self._predict(rows, process, load, bounds, statistics)

    def _count_replicas(
        self, rows: IntArray, process: ServiceProcess
    ) -> tuple[IntArray, ServiceProcess, FloatArray]:
        """Set the replicas of each row; return the rows still possible with their load."""
        service = self.grid.service[rows]
        load, rate = self.targets.rate_rps[service], self.rate[rows]
        vacuous = (load == 0) & (not self.model.keeps_targets)
        unreachable = (rate <= 0) & ~vacuous
        needed = np.ceil(
            np.divide(load, rate, out=np.zeros_like(load), where=rate > 0) * (1 - _ROUNDING)
        )
        replicas = np.maximum(np.minimum(needed, _MOST_REPLICAS), load > 0).astype(np.int64)
        replicas = np.maximum(replicas, self.least[service])
        too_many = (replicas > self.most[service]) | (needed > _MOST_REPLICAS)
        self.grid.verdict[rows[too_many]] = Verdict.REPLICAS
        self.grid.verdict[rows[unreachable]] = Verdict.SLO
        self.replicas[rows[~unreachable]] = replicas[~unreachable]
        kept = ~(unreachable | too_many)
        return (
            rows[kept],
            process if kept.all() else process.take(kept),
            load[kept] / replicas[kept],
        )

    def _predict(
        self,
        rows: IntArray,
        process: ServiceProcess,
        load: FloatArray,
        bounds: dict[Statistic, FloatArray],
        statistics: tuple[Statistic, ...],
    ) -> None:
        """Evaluate the rows at their share of the load and check the model against itself."""
        metrics = self.model.evaluate(process, load, statistics)
        for name, values in self.means.items():
            values[rows] = self._checked(name, getattr(metrics, name), len(rows))
        service = self.grid.service[rows]
        for statistic in bounds:
            value = self._checked(str(statistic), metrics.value(statistic), len(rows))
            if statistic.percentile is not None:
                self.percentiles[statistic][rows] = value
            bound = self.targets.bounds[statistic][service]
            if not self.model.keeps_targets:
                continue
            broken = value > bound * (1 + _SELF_CONSISTENCY)
            for row in rows[broken].tolist():
                self.refusals[row] = (
                    f"the model contradicts itself: its own inverse allows "
                    f"{self.rate[row]:.6g} requests/s, where it predicts {statistic} above the SLO"
                )
            self.grid.verdict[rows[broken]] = Verdict.OUTSIDE_VALIDITY

    def _checked(self, what: str, values: object, size: int) -> FloatArray:
        """Refuse what a queue model must not return."""
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (size,) or np.isnan(array).any():
            raise ModelError(
                f"queue model '{self.model.name}' returned {what} of shape {array.shape}, "
                f"{int(np.isnan(array).sum())} of them NaN, for {size} pairs; "
                f"choose another with --queue-model"
            )
        return array

    def table(self, inventory: Inventory) -> CandidateTable:
        """Freeze the result."""
        grid = self.grid
        per_replica = np.array([p.instances for p in self.spec.performance] or [0], dtype=np.int64)
        placed = grid.accelerator >= 0
        instances = np.where(placed, per_replica[grid.performance] * self.replicas, 0)
        cards = np.where(placed, inventory.cards[grid.accelerator] * instances, 0)
        cost = np.where(instances > 0, inventory.cost_per_hour[grid.accelerator] * instances, 0.0)
        stable = self.means.pop("stable")
        return CandidateTable(
            spec=self.spec,
            inventory=inventory,
            targets=self.targets,
            queue_model=self.model.name,
            queue_model_reason="; ".join(f"{name}: {why}" for name, why in self.choices.items()),
            service=grid.service,
            accelerator=grid.accelerator,
            performance=grid.performance,
            max_batch=grid.max_batch,
            verdict=grid.verdict,
            rate_per_replica_rps=self.rate,
            replicas=self.replicas,
            instances=instances,
            cards=cards,
            cost_per_hour=cost,
            metrics=QueueMetrics(stable=stable == 1.0, percentiles=self.percentiles, **self.means),
            refusals=self.refusals,
        )
