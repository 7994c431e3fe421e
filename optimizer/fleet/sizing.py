"""From a fleet's description to its candidate table, by way of a queue model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import ModelError
from optimizer.fleet.batch_search import search_batches
from optimizer.fleet.candidates import CONSERVATIVE, CandidateTable, Verdict
from optimizer.fleet.decode_pool import DecodePool
from optimizer.fleet.estimates import with_estimates
from optimizer.fleet.grid import Grid
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.pool_candidates import with_pools
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.replica_pools import sharing_sets
from optimizer.fleet.replica_search import fewest_replicas
from optimizer.fleet.reuse import LOADING_DELAYS, Reuse, loading_ms
from optimizer.fleet.shared_candidates import with_shared
from optimizer.fleet.shared_sizing import size_shared
from optimizer.fleet.storage_use import storage_cost_per_hour
from optimizer.fleet.targets import ServiceTargets
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import (
    QueueMetrics,
    QueueModel,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
)
from queue_models import get as get_queue_model
from queue_models.auto import AutoModel

__all__ = ["build_candidates", "size_services"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
# A rate that a model's own inverse allows must keep the targets by its own evaluation up to
# this relative excess; more means that the model contradicts itself.
_SELF_CONSISTENCY = 1e-3
# Divisions such as 6.0 / 2.0000000001 must not cost a replica.
_ROUNDING = 1e-9
_NOT_HELD = (
    "the model contradicts itself: by it, replicas that each see Poisson arrivals keep the "
    "objectives, and eight times as many with this routing and variability of arrivals do not"
)
# What is left of a bound that loading alone breaks [ms].
_NO_TIME = 1e-9
# Beyond this many replicas a candidate is arithmetic, not a plan; kept exact in floats.
_MOST_REPLICAS = 2**40


def build_candidates(
    spec: FleetSpec, queue_model: str | None = None, *, batches_by_rate: bool = False
) -> CandidateTable:
    """Size every (service, configuration) of a fleet, each with its best maximum batch.

    Parameters
    ----------
    spec
        A validated fleet; pairs without performance data are estimated where that is allowed.
    queue_model
        Name of a registered queue model; by default the fleet's own option.
    batches_by_rate
        Whether every configuration gets the batch with which a replica carries most, whatever the
        load, instead of the one that needs fewest replicas at this load.

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
    sizing, inventory = size_services(spec, queue_model, batches_by_rate=batches_by_rate)
    sets = sharing_sets(sizing.spec, sizing.targets)
    shared = size_shared(sizing, inventory, sets) if sets else None
    table = with_pools(sizing.table(inventory), sizing.model)
    return table if shared is None else with_shared(table, shared, sets)


def size_services(
    spec: FleetSpec, queue_model: str | None = None, *, batches_by_rate: bool = False
) -> tuple[Sizing, Inventory]:
    """Return every service by itself, sized; see `build_candidates`."""
    spec = with_estimates(spec)
    model = get_queue_model(queue_model or spec.optimizer.queue_model)
    inventory = Inventory.of(spec)
    targets = ServiceTargets.of(spec)
    # A model that reproduces another system's sizing keeps to that system's batches.
    grid = Grid.of(spec, inventory, targets.rate_rps, search_open=model.keeps_targets)
    sizing = Sizing(spec, model, targets, grid, PairProcesses(spec, model))
    sizing.size_all()
    search_batches(sizing, by_rate=batches_by_rate)
    return sizing, inventory


class Placed(Protocol):
    """Rows of a grid or of a table."""

    @property
    def service(self) -> IntArray:
        """Index of the service."""

    @property
    def accelerator(self) -> IntArray:
        """Index of the accelerator; -1: none."""

    @property
    def performance(self) -> IntArray:
        """Index of the performance entry."""

    @property
    def reuse(self) -> Reuse:
        """What is loaded from a store."""


def priced(
    spec: FleetSpec, inventory: Inventory, rate_rps: FloatArray, rows: Placed, replicas: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return instances, cards and cost per hour of so many replicas of every row.

    Parameters
    ----------
    rate_rps
        (services,), what each is sized for.
    """
    per_replica = np.array([p.instances for p in spec.performance] or [0], dtype=np.int64)
    placed = rows.accelerator >= 0
    instances = np.where(placed, per_replica[rows.performance] * replicas, 0)
    cards = np.where(placed, inventory.cards[rows.accelerator] * instances, 0)
    cost = np.where(instances > 0, inventory.cost_per_hour[rows.accelerator] * instances, 0.0)
    arriving = np.array([s.load.arrival_rate_rps for s in spec.services])
    admitted = np.minimum(arriving, rate_rps)[rows.service]
    cost += storage_cost_per_hour(spec, rows.reuse, replicas, admitted)
    return instances, cards, cost


@dataclass
class Sizing:
    """The table under construction.

    Parameters
    ----------
    spec, model, targets, grid, processes
        What is sized, and by which model.
    refusals
        Words for rows that the model refuses.
    choices
        Models that `auto` chose, with its reasons.
    """

    spec: FleetSpec
    model: QueueModel
    targets: ServiceTargets
    grid: Grid
    processes: PairProcesses
    refusals: dict[int, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.grid.service)
        self.spares = np.array([s.spares for s in self.spec.services], dtype=np.int64)
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
        timed = self.processes.clock[grid.performance[rows]] >= 0
        grid.verdict[rows[~timed]] = Verdict.NO_TIMING
        for chosen, clock, statistics in self.processes.batches(
            rows[timed], grid.service, grid.performance, self.targets.bounds
        ):
            self.size(chosen, clock, statistics)

    def size(self, rows: IntArray, clock: int, statistics: tuple[Statistic, ...]) -> None:
        """Fill in the rows of one call to the queue model."""
        process = self.process(rows, clock)
        if isinstance(self.model, AutoModel):
            for choice in self.model.choose(process, statistics):
                self.choices[choice.name] = choice.reason
        rows, process = self._without_refused(rows, process, statistics)
        if not len(rows):
            return
        self.rate[rows] = self._max_rate(rows, process, statistics)
        rows, process = self._count_replicas(rows, process)
        varying = self.processes.replicas_matter[self.grid.service[rows]]
        varying &= self.replicas[rows] > 1
        alone = ~varying
        self._predict(rows[alone], process.take(alone) if varying.any() else process, statistics)
        self._spread(rows[varying], clock, statistics)

    def process(
        self, rows: IntArray, clock: int, replicas: IntArray | None = None
    ) -> ServiceProcess:
        """Return the process of some rows that share a timing."""
        grid = self.grid
        return self.processes.process(
            clock,
            grid.service[rows],
            grid.performance[rows],
            grid.max_batch[rows],
            replicas,
            grid.reuse.prefix_hit_rate[rows],
        )

    def bound(self, statistic: Statistic, rows: IntArray) -> FloatArray:
        """Return what the queue model must keep: the objective less what loading takes [ms]."""
        bound = self.targets.bounds[statistic][self.grid.service[rows]]
        return np.maximum(bound - loading_ms(self.grid.reuse.take(rows), statistic), _NO_TIME)

    def _without_refused(
        self, rows: IntArray, process: ServiceProcess, statistics: tuple[Statistic, ...]
    ) -> tuple[IntArray, ServiceProcess]:
        """Write down what the model refuses; return the rest."""
        refused = np.zeros(len(rows), dtype=np.bool_)
        for reason, mask in self.model.refusals(process, statistics).items():
            self._refuse(rows[mask & ~refused], reason)
            refused |= mask
        return (rows[~refused], process.take(~refused)) if refused.any() else (rows, process)

    def _refuse(self, rows: IntArray, reason: str) -> None:
        self.refusals.update(dict.fromkeys(rows.tolist(), reason))
        self.grid.verdict[rows] = Verdict.OUTSIDE_VALIDITY

    def _max_rate(
        self, rows: IntArray, process: ServiceProcess, statistics: tuple[Statistic, ...]
    ) -> FloatArray:
        """Return the largest rate at which one replica of each row keeps every objective."""
        service = self.grid.service[rows]
        promised = self.targets.promised_throughput[service]
        targets = Targets(
            tuple(Target(s, self.bound(s, rows)) for s in statistics),
            promised_throughput=promised if promised.any() else None,
        )
        rate = self._checked("max_rate", self.model.max_rate(process, targets), len(rows))
        return np.minimum(rate, self.grid.reuse.rate_limit_rps[rows])

    def _count_replicas(
        self, rows: IntArray, process: ServiceProcess
    ) -> tuple[IntArray, ServiceProcess]:
        """Set the replicas that do where each gets a Poisson stream; return the rows possible."""
        service = self.grid.service[rows]
        load, rate = self.targets.rate_rps[service], self.rate[rows]
        vacuous = (load == 0) & (not self.model.keeps_targets)
        unreachable = (rate <= 0) & ~vacuous
        needed = np.ceil(
            np.divide(load, rate, out=np.zeros_like(load), where=rate > 0) * (1 - _ROUNDING)
        )
        replicas = np.maximum(np.minimum(needed, _MOST_REPLICAS), load > 0).astype(np.int64)
        replicas = np.maximum(replicas + self.spares[service], self.least[service])
        too_many = (replicas > self.most[service]) | (needed > _MOST_REPLICAS)
        # Where replicas are not like single ones, another count may do: `_spread` finds it.
        searched = self.processes.replicas_matter[service] & (replicas > 1)
        too_many &= ~searched | (needed > _MOST_REPLICAS)
        self.grid.verdict[rows[too_many]] = Verdict.REPLICAS
        self.grid.verdict[rows[unreachable]] = Verdict.SLO
        self.replicas[rows[~unreachable]] = replicas[~unreachable]
        kept = ~(unreachable | too_many)
        return rows[kept], process if kept.all() else process.take(kept)

    def _spread(self, rows: IntArray, clock: int, statistics: tuple[Statistic, ...]) -> None:
        """Size rows of several replicas that share the load otherwise than by Poisson streams."""
        rows, _ = self._without_refused(
            rows, self.process(rows, clock, self.replicas[rows]), statistics
        )
        if not len(rows):
            return
        service = self.grid.service[rows]
        load, alone = self.targets.rate_rps[service], self.rate[rows]
        busy = np.flatnonzero(load > alone * (1 + _ROUNDING))
        found = np.ones(len(rows), dtype=np.int64)
        found[busy] = fewest_replicas(
            self.model,
            lambda pairs, replicas: self.process(rows[busy[pairs]], clock, replicas),
            load[busy],
            {s: self.bound(s, rows[busy]) for s in statistics},
            self.targets.promised_throughput[service[busy]],
            alone[busy],
        )
        self._refuse(rows[found == 0], _NOT_HELD)
        kept = found > 0
        rows, service, load, found = rows[kept], service[kept], load[kept], found[kept]
        fed = np.ceil(load / self.grid.reuse.rate_limit_rps[rows] * (1 - _ROUNDING))
        self.replicas[rows] = np.maximum(
            np.maximum(found, fed) + self.spares[service], self.least[service]
        )
        self.rate[rows] = self._max_rate(
            rows, self.process(rows, clock, self._carrying(rows)), statistics
        )
        too_many = self.replicas[rows] > self.most[service]
        self.grid.verdict[rows[too_many]] = Verdict.REPLICAS
        rows = rows[~too_many]
        self._predict(rows, self.process(rows, clock, self._carrying(rows)), statistics)

    def _carrying(self, rows: IntArray) -> IntArray:
        """Return the replicas that carry the load: all but the spares, at least 1."""
        carrying: IntArray = self.replicas[rows] - self.spares[self.grid.service[rows]]
        return np.maximum(carrying, 1)

    def _predict(
        self, rows: IntArray, process: ServiceProcess, statistics: tuple[Statistic, ...]
    ) -> None:
        """Evaluate the rows at their share of the load and check the model against itself."""
        if not len(rows):
            return
        service = self.grid.service[rows]
        load = self.targets.rate_rps[service] / self._carrying(rows)
        metrics = self.model.evaluate(process, load, statistics)
        reuse = self.grid.reuse.take(rows)
        for name, values in self.means.items():
            values[rows] = self._checked(name, getattr(metrics, name), len(rows))
        for metric in LOADING_DELAYS:
            self.means[str(metric)][rows] += loading_ms(reuse, Statistic(metric))
        for statistic in statistics:
            value = self._checked(str(statistic), metrics.value(statistic), len(rows))
            if statistic.percentile is not None:
                self.percentiles[statistic][rows] = value + loading_ms(reuse, statistic)
            if not self.model.keeps_targets:
                continue
            broken = value > self.bound(statistic, rows) * (1 + _SELF_CONSISTENCY)
            for row in rows[broken].tolist():
                self.refusals[row] = (
                    f"the model contradicts itself: its own inverse allows "
                    f"{self.rate[row]:.6g} requests/s, where it predicts {statistic} above the SLO"
                )
            self.grid.verdict[rows[broken]] = Verdict.OUTSIDE_VALIDITY

    def with_batches(self, rows: IntArray, max_batch: IntArray) -> Sizing:
        """Size some rows with other batches."""
        other = dataclasses.replace(
            self, grid=self.grid.take(rows, max_batch), refusals={}, choices=self.choices
        )
        other.size_all()
        return other

    def part(self, rows: IntArray) -> Sizing:
        """Return some rows as they are."""
        other = dataclasses.replace(
            self, grid=self.grid.take(rows, self.grid.max_batch[rows]), refusals={}
        )
        other.adopt(np.arange(len(rows)), self, rows)
        return other

    def adopt(self, rows: IntArray, other: Sizing, found: IntArray) -> None:
        """Put rows of another sizing in the place of own ones."""
        for row in rows.tolist():
            self.refusals.pop(row, None)
        self.grid.max_batch[rows] = other.grid.max_batch[found]
        self.grid.verdict[rows] = other.grid.verdict[found]
        self.rate[rows], self.replicas[rows] = other.rate[found], other.replicas[found]
        for name, values in self.means.items():
            values[rows] = other.means[name][found]
        for statistic, values in self.percentiles.items():
            values[rows] = other.percentiles[statistic][found]

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
        instances, cards, cost = priced(
            self.spec, inventory, self.targets.rate_rps, grid, self.replicas
        )
        stable = self.means.pop("stable")
        return CandidateTable(
            spec=self.spec,
            inventory=inventory,
            targets=self.targets,
            queue_model=self.model.name,
            queue_model_reason=CONSERVATIVE
            if self.model.conservative
            else "; ".join(f"{name}: {why}" for name, why in self.choices.items()),
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
            reuse=grid.reuse,
            decode=DecodePool.none(len(grid.service)),
            metrics=QueueMetrics(stable=stable == 1.0, percentiles=self.percentiles, **self.means),
            refusals=self.refusals,
            shared=np.full(len(grid.service), -1, dtype=np.int64),
        )
