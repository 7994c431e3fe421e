"""The candidate table for other loads, without asking the queue model what it has said before.

What one replica carries within its objectives depends on the lengths of the requests and on how
fast the model is, not on how many come: it is looked up, and only the count of replicas is new.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import PlanError
from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.everyone_served import with_services
from optimizer.fleet.grid import Grid
from optimizer.fleet.objective import counted_kinds
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.sizing import Sizing, priced
from optimizer.fleet.targets import ServiceTargets
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import QueueMetrics, Statistic
from queue_models import get as get_queue_model

__all__ = ["resized", "with_rates"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Divisions such as 6.0 / 2.0000000001 must not cost a replica.
_ROUNDING = 1e-9
_MOST_REPLICAS = 2**40
# What sizing at another load can find; the other verdicts are of the fleet itself.
_BY_LOAD = (Verdict.POSSIBLE, Verdict.SLO, Verdict.REPLICAS, Verdict.OUTSIDE_VALIDITY)


def resized(table: CandidateTable, spec: FleetSpec) -> CandidateTable:
    """Return the table of a fleet whose services' loads, or whose models' speeds, have changed.

    Parameters
    ----------
    table
        Sized before, of loads above zero.
    spec
        The fleet with other loads, current allocations, ranges of replicas, spares, capacities or
        limits; or with other times in its performance entries. Everything else is as in the table.

    Returns
    -------
    CandidateTable
        With the same rows and maximum batches. Of services that changed in their rate alone, rates
        per replica stay, replicas and costs are new, and the predicted latencies stay those of the
        load that they were last sized at, unless power is counted, which depends on them.

    Raises
    ------
    PlanError
        If services of the table are disaggregated, share replicas or come in length buckets: build
        it anew.
    """
    together = (table.decode.accelerator >= 0).any() or (table.shared >= 0).any()
    if together or any(s.length_buckets is not None for s in spec.services):
        raise PlanError(
            "a table with decode pools, shared replicas or length buckets cannot be resized; "
            "build it anew"
        )
    anew = _sized_anew(table, spec)
    state = _State.of(table, spec)
    state.count_replicas()
    if anew.size:
        state.size(anew)
    return state.table()


def _sized_anew(table: CandidateTable, spec: FleetSpec) -> IntArray:
    """Return the services, by index, of which more than the rate counts."""
    old = table.spec
    power = {"power_kw", "carbon_kg_per_hour"} & counted_kinds(spec)
    faster = {
        new.model
        for was, new in zip(old.performance, spec.performance, strict=True)
        if was is not new and was != new
    }
    classes = old.classes is not spec.classes and old.classes != spec.classes
    found = []
    for index, (was, now) in enumerate(zip(old.services, spec.services, strict=True)):
        if was is now and now.model not in faster and not classes:
            continue
        together = now.routing != "random" or now.load.arrival_scv != 1.0
        rate_changed = was.load.arrival_rate_rps != now.load.arrival_rate_rps
        before = was.load.model_copy(update={"arrival_rate_rps": now.load.arrival_rate_rps})
        if (
            before != now.load
            or now.model in faster
            or classes
            or (rate_changed and (together or power))
        ):
            found.append(index)
    return np.array(found, dtype=np.int64)


@dataclasses.dataclass
class _State:
    """Columns of the table that change, being made."""

    old: CandidateTable
    spec: FleetSpec
    targets: ServiceTargets
    verdict: IntArray
    rate: FloatArray
    replicas: IntArray
    means: dict[str, NDArray[np.generic]]
    percentiles: dict[Statistic, FloatArray]
    refusals: dict[int, str]

    @classmethod
    def of(cls, table: CandidateTable, spec: FleetSpec) -> _State:
        metrics = table.metrics
        return cls(
            old=table,
            spec=spec,
            targets=_targets(table, spec),
            verdict=table.verdict.copy(),
            rate=table.rate_per_replica_rps.copy(),
            replicas=table.replicas.copy(),
            means={
                f.name: getattr(metrics, f.name)
                for f in dataclasses.fields(QueueMetrics)
                if f.name != "percentiles"
            },
            percentiles=dict(metrics.percentiles),
            refusals=dict(table.refusals),
        )

    def count_replicas(self) -> None:
        """Count the replicas of every row whose rate per replica is known."""
        table, services = self.old, self.spec.services
        rows = np.flatnonzero(
            np.isin(self.verdict, (Verdict.POSSIBLE, Verdict.REPLICAS)) & (self.rate > 0)
        )
        service = table.service[rows]
        load = self.targets.rate_rps[service]
        spares = np.array([s.spares for s in services], dtype=np.int64)[service]
        least = np.array([s.replicas.min for s in services], dtype=np.int64)[service]
        most = np.array(
            [_MOST_REPLICAS if s.replicas.max is None else s.replicas.max for s in services],
            dtype=np.int64,
        )[service]
        needed = np.ceil(load / self.rate[rows] * (1 - _ROUNDING))
        carrying = np.maximum(np.minimum(needed, _MOST_REPLICAS), load > 0).astype(np.int64)
        # A service without load that may scale to zero keeps no spares either.
        idle = (load == 0) & (least == 0)
        self.replicas[rows] = np.where(idle, 0, np.maximum(carrying + spares, least))
        self.verdict[rows] = np.where(
            self.replicas[rows] > most, Verdict.REPLICAS, Verdict.POSSIBLE
        )

    def size(self, services: IntArray) -> None:
        """Ask the queue model again about some services, with the batches that they have."""
        table = self.old
        rows = np.flatnonzero(
            np.isin(table.service, services)
            & np.isin(table.verdict, _BY_LOAD)
            & (table.accelerator >= 0)
        )
        part = with_services(self.spec, [self.spec.services[i] for i in services.tolist()])
        model = get_queue_model(table.queue_model)
        grid = Grid(
            service=np.searchsorted(services, table.service[rows]),
            accelerator=table.accelerator[rows],
            performance=table.performance[rows],
            max_batch=table.max_batch[rows],
            least_batch=table.max_batch[rows],
            batch_step=np.zeros(len(rows), dtype=np.int64),
            verdict=np.full(len(rows), int(Verdict.POSSIBLE), dtype=np.int64),
            reuse=table.reuse.take(rows),
        )
        sizing = Sizing(part, model, ServiceTargets.of(part), grid, PairProcesses(part, model))
        sizing.size_all()
        self._adopt(rows, sizing)

    def _adopt(self, rows: IntArray, sizing: Sizing) -> None:
        for row in rows.tolist():
            self.refusals.pop(row, None)
        self.refusals.update({int(rows[at]): why for at, why in sizing.refusals.items()})
        self.verdict[rows] = sizing.grid.verdict
        self.rate[rows], self.replicas[rows] = sizing.rate, sizing.replicas
        for name, values in sizing.means.items():
            self.means[name] = self.means[name].copy()
            self.means[name][rows] = values == 1.0 if name == "stable" else values
        for statistic, values in sizing.percentiles.items():
            known = self.percentiles.get(statistic, np.full(len(self.rate), np.nan)).copy()
            known[rows] = values
            self.percentiles[statistic] = known

    def table(self) -> CandidateTable:
        """Freeze the result."""
        old = self.old
        instances, cards, cost = priced(
            self.spec, old.inventory, self.targets.rate_rps, old, self.replicas
        )
        return dataclasses.replace(
            old,
            spec=self.spec,
            targets=self.targets,
            verdict=self.verdict,
            rate_per_replica_rps=self.rate,
            replicas=self.replicas,
            instances=instances,
            cards=cards,
            cost_per_hour=cost,
            metrics=QueueMetrics(percentiles=self.percentiles, **self.means),  # type: ignore[arg-type]
            refusals=self.refusals,
        )


def _targets(table: CandidateTable, spec: FleetSpec) -> ServiceTargets:
    """Return the objectives; those of the table where only rates differ and none is promised."""
    same = spec.classes is table.spec.classes and not table.targets.promised_throughput.any()
    if not same:
        return ServiceTargets.of(spec)
    rates = np.array([s.load.arrival_rate_rps for s in spec.services], dtype=np.float64)
    return dataclasses.replace(table.targets, rate_rps=rates)


def with_rates(spec: FleetSpec, rates: Sequence[float]) -> FleetSpec:
    """Return the fleet with other arrival rates [requests/s], one per service."""
    return with_services(
        spec,
        (
            service
            if service.load.arrival_rate_rps == rate
            else service.model_copy(
                update={"load": service.load.model_copy(update={"arrival_rate_rps": float(rate)})}
            )
            for service, rate in zip(spec.services, rates, strict=True)
        ),
    )
