"""Ways to serve each service in any period, by replicas of a capacity that is theirs alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import CombinationError
from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.candidates_over_loads import candidates_over
from optimizer.fleet.resources import resource_rows
from optimizer.fleet.split_services import splits
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.objective import Objective
from optimizer.spec.options import Serving
from optimizer.spec.service import RoutingPolicy, ServiceSpec

__all__ = ["ReplicaChoices"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Divisions such as 6.0 / 2.0000000001 must not cost a replica.
_ROUNDING = 1e-9
_COUNTED = frozenset({"cards", "cost_per_hour", "power_kw", "carbon_kg_per_hour"})


@dataclass(frozen=True, eq=False)
class ReplicaChoices:
    """Candidates of a table sized once, at each service's largest load.

    Replicas that services share are counted for every load, and stand with the first of them.

    Parameters
    ----------
    spec, table
        The fleet at those loads, and its candidates.
    rates_rps
        (periods, services), as forecast.
    row
        (k,), row of the table.
    service
        (k,).
    accelerator
        (k,).
    instances
        (k,), of one replica.
    needed
        (periods, k), replicas that carry the load of each period; -1 where the service may not
        have so many.
    resources
        Names of the limited resources.
    usage
        (resources, k), of one replica; power and carbon as at full load.
    capacity
        (resources,).
    """

    spec: FleetSpec
    table: CandidateTable
    rates_rps: FloatArray
    row: IntArray
    service: IntArray
    accelerator: IntArray
    instances: IntArray
    needed: IntArray
    resources: tuple[str, ...]
    usage: FloatArray
    capacity: FloatArray

    @classmethod
    def of(cls, spec: FleetSpec, rates_rps: FloatArray) -> ReplicaChoices:
        """Size every service once, and count its replicas for every period.

        Raises
        ------
        CombinationError
            If what a replica carries depends on how many there are, or the fleet has what horizons
            do not know.
        """
        _refuse(spec)
        table, shared_needs = candidates_over(spec, rates_rps)
        able = np.isin(table.verdict, (Verdict.POSSIBLE, Verdict.REPLICAS))
        able &= (table.accelerator >= 0) & (table.decode.accelerator < 0) & (table.replicas > 0)
        able &= (table.reuse.store < 0) & (
            (table.rate_per_replica_rps > 0) | (table.targets.rate_rps[table.service] == 0)
        )
        rows = np.flatnonzero(able | (table.shared >= 0))
        replicas = np.maximum(table.replicas[rows], 1)
        # A replica may be busier in a period of a smaller load than it is at the largest one.
        busy = replace(table.metrics, utilization=np.ones(len(table)))
        of_busy = replace(table, metrics=busy)
        limited = [r for r in resource_rows(of_busy) if np.isfinite(r.capacity)]
        for resource in limited:
            if resource.requirement.kind.name not in _COUNTED:
                raise CombinationError(
                    f"limit {resource.name!r} is not one that a horizon knows: "
                    f"{', '.join(sorted(_COUNTED))}"
                )
        usage = np.array([r.usage[rows] / replicas for r in limited]).reshape(-1, len(rows))
        found = cls(
            spec=spec,
            table=table,
            rates_rps=rates_rps,
            row=rows,
            service=table.service[rows],
            accelerator=table.accelerator[rows],
            instances=table.instances[rows] // replicas,
            needed=_needed(table, rows, rates_rps, shared_needs),
            resources=tuple(r.name for r in limited),
            usage=usage,
            capacity=np.array([r.capacity for r in limited]),
        )
        return found._without_dominated()

    def _without_dominated(self) -> ReplicaChoices:
        """Leave out what another on the same accelerator does with no more of anything.

        What runs today with a stated maximum batch stays: going on with another is a new start.
        """
        rate = self.table.rate_per_replica_rps[self.row]
        alone = self.table.shared[self.row] < 0
        kept_anyway = self._runs_today() | ~alone
        kept = []
        for k in range(len(self.row)):
            rivals = np.flatnonzero(
                alone
                & (self.service == self.service[k])
                & (self.accelerator == self.accelerator[k])
                & (self.instances <= self.instances[k])
                & (rate >= rate[k])
                & (self.usage <= self.usage[:, k : k + 1] * (1 + _ROUNDING)).all(axis=0)
            )
            # Of equals the first stays.
            better = (self.instances[rivals] < self.instances[k]) | (rate[rivals] > rate[k])
            kept.append(kept_anyway[k] or not (better | (rivals < k)).any())
        mask = np.array(kept, dtype=np.bool_)
        return ReplicaChoices(
            self.spec, self.table, self.rates_rps, self.row[mask], self.service[mask],
            self.accelerator[mask], self.instances[mask], self.needed[:, mask], self.resources,
            self.usage[:, mask], self.capacity,
        )  # fmt: skip

    @property
    def splits(self) -> NDArray[np.bool_]:
        """Return (services,), which may use several ways at once."""
        return np.array([splits(self.spec, service) for service in self.spec.services])

    @property
    def together(self) -> list[IntArray]:
        """Return the ways of every shared candidate, one of each service, the first one's first."""
        place = np.full(len(self.table), -1, dtype=np.int64)
        place[self.row] = np.arange(len(self.row))
        return [place[list(rows)] for rows in self.table.sharers.values()]

    def _runs_today(self) -> NDArray[np.bool_]:
        """Return (k,), whether a service runs so today, its maximum batch included."""
        names, batch = self.table.inventory.names, self.table.max_batch[self.row]
        return np.array(
            [
                any(
                    entry.accelerator == names[int(self.accelerator[k])]
                    and entry.max_batch == int(batch[k])
                    for entry in self.spec.services[int(self.service[k])].deployed
                )
                for k in range(len(self.row))
            ],
            dtype=np.bool_,
        )


def _needed(
    table: CandidateTable, rows: IntArray, rates_rps: FloatArray, shared_needs: IntArray
) -> IntArray:
    """Return (periods, rows), replicas wanted; of shared ones, with the row in which they stand."""
    spec = table.spec
    service = table.service[rows]
    load = rates_rps[:, service]
    rate = table.rate_per_replica_rps[rows]
    carrying = np.ceil(
        np.divide(load, rate, out=np.zeros_like(load), where=rate > 0) * (1 - _ROUNDING)
    )
    spares = np.array([s.spares for s in spec.services])[service]
    least = np.array([s.replicas.min for s in spec.services])[service]
    # What splits may have a part of its load here: all its replicas are limited together.
    most = np.array(
        [
            np.inf if s.replicas.max is None or splits(spec, s) else float(s.replicas.max)
            for s in spec.services
        ]
    )
    needed = np.maximum(carrying + np.where(load > 0, spares, 0), least)
    found = np.where(needed > most[service], -1, needed).astype(np.int64)
    shared = np.flatnonzero(table.shared[rows] >= 0)
    wanted = shared_needs[:, table.shared[rows[shared]]]
    found[:, shared] = np.where(table.replicas[rows[shared]] > 0, wanted, np.minimum(wanted, 0))
    return found


def _refuse(spec: FleetSpec) -> None:
    if spec.optimizer.objective is not Objective.COST:
        raise CombinationError(
            f"optimizer.objective is {spec.optimizer.objective}; over a horizon money is "
            f"minimised: set objective: cost"
        )
    for service in spec.services:
        reason = _beyond(spec, service)
        if reason:
            raise CombinationError(f"service {service.name!r} {reason}")
    for accelerator in spec.accelerators:
        if accelerator.tiers:
            raise CombinationError(
                f"accelerator {accelerator.name!r} has purchase tiers; over a horizon say "
                f"horizon.commitments"
            )


def _beyond(spec: FleetSpec, service: ServiceSpec) -> str:
    """Return why a service cannot be planned by replicas of a fixed capacity; "" where it can."""
    if service.length_buckets is not None:
        return (
            "comes in length buckets; over a horizon describe it by load.input_tokens and "
            "load.output_tokens"
        )
    if service.survive is not None:
        return (
            f"must survive the loss of any {service.survive}, which a horizon does not know: give "
            f"spares in place of survive"
        )
    if service.routing is not RoutingPolicy.RANDOM or service.load.arrival_scv != 1.0:
        return (
            "has replicas whose capacity depends on their number; over a horizon set routing: "
            "random and arrival_scv: 1"
        )
    if service.kv_reuse is not None:
        return "may load KV caches from a store; a horizon does not know stores: remove kv_reuse"
    if (service.serving or spec.optimizer.serving) is not Serving.AGGREGATED:
        return "may prefill and decode in different pools; over a horizon set serving: aggregated"
    return ""
