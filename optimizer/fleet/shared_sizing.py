"""Replicas that several services share, as few as keep every one's objectives."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import Verdict
from optimizer.fleet.grid import Grid
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.replica_pools import SharingSet
from optimizer.fleet.request_mix import RequestMix
from optimizer.fleet.targets import ServiceTargets
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.objective import TransitionSpec
from queue_models import QueueMetrics, Targets

if TYPE_CHECKING:
    from optimizer.fleet.sizing import Sizing

__all__ = ["SharedRows", "SharedSearch", "size_shared"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# A bound counts as kept up to this relative excess.
_MET = 1e-6
# Divisions such as 6.0 / 2.0000000001 must not cost a replica.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class SharedRows:
    """Shared candidates that keep every objective: one row per member of each.

    Parameters
    ----------
    sizing
        The rows' replicas and predictions; each as its member sees the common replicas.
    sharing
        (rows,), set of each row, by index.
    service
        (rows,), the member, as an index into the fleet's services.
    candidate
        (rows,), the same number for the rows of one candidate.
    """

    sizing: Sizing
    sharing: IntArray
    service: IntArray
    candidate: IntArray


def _mix(spec: FleetSpec, one: SharingSet, rates_rps: FloatArray) -> RequestMix:
    """Return what a set of services asks of its replicas, with the rates of all services."""
    members = list(one.members)
    return RequestMix.of([spec.services[i].load for i in members], rates_rps[members].tolist())


def size_shared(
    sizing: Sizing, inventory: Inventory, sets: Sequence[SharingSet]
) -> SharedRows | None:
    """Size the common replicas of every set on every configuration; None where none is worth it.

    Parameters
    ----------
    sizing
        Of the services by themselves, done.
    inventory
        The fleet's accelerators.
    sets
        Which services may share.

    Notes
    -----
    Replicas of one configuration are worth sharing if they are fewer than the members need there by
    themselves (or as many, where changes from today's plan count): else each of them by itself
    costs no more and takes no more of anything. So a candidate is put to the queue model with as
    many as are still worth it first, and is most often decided by that. A configuration that a
    member cannot have alone it cannot share: others only add to its requests' waits.

    Of maximum batches the largest is tried, and those that are best for a member alone; the fewest
    replicas win, of equal ones the larger batch.
    """
    changes = sizing.spec.optimizer.transition != TransitionSpec()
    search = SharedSearch(sizing, inventory, sets, sizing.targets.rate_rps, even=changes)
    search.run()
    found = search.replicas > 0
    return search.rows_of(found) if found.any() else None


def _views(
    sizing: Sizing, inventory: Inventory, sets: Sequence[SharingSet], rates_rps: FloatArray
) -> Sizing:
    """Return the table of every member of every set, each as a service that gets all requests."""
    spec, targets = sizing.spec, sizing.targets
    member = _members(sets)
    services, own, of_member = [], [], []
    for one in sets:
        mix = _mix(spec, one, rates_rps)
        members = [spec.services[i] for i in one.members]
        spares = max(service.spares for service in members)
        merged = {"arrival_rate_rps": mix.rate_rps, "prefix_hit_rate": mix.prefix_hit_rate}
        for service in members:
            load = service.load.model_copy(update=merged)
            services.append(service.model_copy(update={"load": load, "spares": spares}))
            own.append(service)
            of_member.append(mix)
    everyone = spec.model_copy(update={"services": tuple(services)})
    alone = spec.model_copy(update={"services": tuple(own)})
    together = ServiceTargets(
        bounds={statistic: bounds[member] for statistic, bounds in targets.bounds.items()},
        rate_rps=np.array([mix.rate_rps for mix in of_member]),
        promised_throughput=targets.promised_throughput[member],
    )
    model = sizing.model
    # The same rows whatever the load: also where a set has no requests.
    at_most = np.repeat(
        [targets.rate_rps[list(one.members)].sum() for one in sets],
        [len(one.members) for one in sets],
    )
    return dataclasses.replace(
        sizing,
        spec=everyone,
        targets=together,
        grid=Grid.of(everyone, inventory, at_most, search_open=model.keeps_targets),
        processes=PairProcesses(alone, model, of_member),
        refusals={},
    )


def _members(sets: Sequence[SharingSet]) -> IntArray:
    return np.concatenate([np.array(one.members, dtype=np.int64) for one in sets])


class SharedSearch:
    """The fewest common replicas of every candidate: a set of services on a configuration.

    Parameters
    ----------
    sizing, inventory, sets
        As of `size_shared`.
    rates_rps
        (services,), what is sized for. Objectives of members whose requests do not come are
        those of one that would.
    even
        Whether as many replicas as the members need by themselves are worth it.

    Attributes
    ----------
    sharing, member, candidate
        (rows,), set, service and candidate of each row of the views.
    replicas, batch
        (candidates,), the fewest found, spares included, and with which batch; 0: none worth it.
    wanted
        (candidates,), as many as the members want whatever their loads.
    """

    def __init__(
        self,
        sizing: Sizing,
        inventory: Inventory,
        sets: Sequence[SharingSet],
        rates_rps: FloatArray,
        *,
        even: bool,
    ) -> None:
        views = _views(sizing, inventory, sets, rates_rps)
        self.views, grid = views, views.grid
        of_view = np.repeat(np.arange(len(sets)), [len(one.members) for one in sets])
        self.sharing, self.member = of_view[grid.service], _members(sets)[grid.service]
        keys = np.column_stack([self.sharing, grid.accelerator, grid.performance])
        _, first, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        self.candidate, self._first = number.ravel(), first
        self.replicas = np.zeros(len(first), dtype=np.int64)
        self.batch = np.zeros(len(first), dtype=np.int64)
        self._rows = [np.flatnonzero(self.candidate == c) for c in range(len(first))]
        self._spares = views.spares[grid.service[first]]
        self._load = views.targets.rate_rps[grid.service[first]]
        self._set_range(sizing, even=even)

    def _set_range(self, sizing: Sizing, *, even: bool) -> None:
        """Set the least and most replicas worth trying, and the batches, of every candidate."""
        views, grid = self.views, self.views.grid
        alone = {
            (int(s), int(p)): row
            for row, (s, p) in enumerate(
                zip(sizing.grid.service, sizing.grid.performance, strict=True)
            )
        }
        # A configuration without figures is -1, of which there may be several: it is not possible.
        row = np.array(
            [alone[int(s), int(p)] for s, p in zip(self.member, grid.performance, strict=True)]
        )
        known = sizing.grid.verdict[row] == Verdict.POSSIBLE
        known &= (grid.verdict == Verdict.POSSIBLE) & (grid.performance >= 0)
        size = len(self._first)
        apart, possible = np.zeros(size, dtype=np.int64), np.ones(size, dtype=np.bool_)
        np.add.at(apart, self.candidate, np.where(known, sizing.replicas[row], 0))
        np.logical_and.at(possible, self.candidate, known)
        self._most, self.wanted = apart - (not even), np.zeros(size, dtype=np.int64)
        np.minimum.at(self._most, self.candidate, views.most[grid.service])
        np.maximum.at(self.wanted, self.candidate, views.least[grid.service])
        self._least = np.maximum(self.wanted, self._spares + 1)
        low, high = np.zeros(size, dtype=np.int64), np.full(size, np.iinfo(np.int64).max)
        np.maximum.at(low, self.candidate, grid.least_batch)
        np.minimum.at(high, self.candidate, grid.max_batch)
        self._most[~possible | (low > high)] = 0
        best = np.clip(sizing.grid.max_batch[row], low[self.candidate], high[self.candidate])
        self._batches = [
            sorted({int(high[c]), *best[rows].tolist()}, reverse=True)
            for c, rows in enumerate(self._rows)
        ]

    @property
    def set_of_candidate(self) -> IntArray:
        """Return (candidates,), the set of services of each, by index."""
        sets: IntArray = self.sharing[self._first]
        return sets

    def run(self) -> None:
        """Try batch after batch, from the largest, for as long as fewer replicas may do."""
        for turn in range(max(map(len, self._batches), default=0)):
            going = [c for c, batches in enumerate(self._batches) if len(batches) > turn]
            chosen = np.array(going, dtype=np.int64)
            batch = np.array([self._batches[c][turn] for c in going], dtype=np.int64)
            self._try(chosen, batch)

    def keep_to(self, batch: IntArray) -> None:
        """Search again those that were found with another batch than this; 0: with none."""
        other = np.flatnonzero(self.batch != batch)
        self.replicas[other] = self.batch[other] = 0
        again = other[batch[other] > 0]
        self._try(again, batch[again])

    def _try(self, chosen: IntArray, batch: IntArray) -> None:
        """Find the fewest replicas of some candidates with a batch, fewer than are known to do."""
        known = self.replicas[chosen]
        high = np.where(known > 0, known - 1, self._most[chosen])
        worth = high >= self._least[chosen]
        chosen, batch, high = chosen[worth], batch[worth], high[worth]
        capacity = self._capacity(chosen, batch)
        carrying = np.ceil(
            np.divide(
                self._load[chosen],
                capacity,
                out=np.full(len(chosen), np.inf),
                where=capacity > 0,
            )
            * (1 - _ROUNDING)
        )
        least = np.maximum(carrying + self._spares[chosen], self._least[chosen])
        worth = least <= high
        chosen, batch, high = chosen[worth], batch[worth], high[worth]
        low = least[worth].astype(np.int64) - 1
        holds = self._hold(chosen, batch, high)
        chosen, batch, high, low = chosen[holds], batch[holds], high[holds], low[holds]
        while (open_ := np.flatnonzero(high - low > 1)).size:
            middle = (low[open_] + high[open_]) // 2
            kept = self._hold(chosen[open_], batch[open_], middle)
            high[open_[kept]], low[open_[~kept]] = middle[kept], middle[~kept]

    def _capacity(self, chosen: IntArray, batch: IntArray) -> FloatArray:
        """Return what one replica carries whatever the latencies [requests/s]; 0 where refused."""
        found = np.zeros(len(chosen))
        rows = self._first[chosen]
        promised = np.zeros(len(self._first), dtype=np.bool_)
        of_row = self.views.targets.promised_throughput[self.views.grid.service]
        np.logical_or.at(promised, self.candidate, of_row)
        grid, processes = self.views.grid, self.views.processes
        for places, clock, _ in processes.batches(
            np.arange(len(rows)), grid.service[rows], grid.performance[rows], {}
        ):
            if clock < 0:
                continue
            process = processes.process(
                clock, grid.service[rows[places]], grid.performance[rows[places]], batch[places]
            )
            refused = np.zeros(len(places), dtype=np.bool_)
            for mask in self.views.model.refusals(process).values():
                refused |= mask
            good = np.flatnonzero(~refused)
            if len(good):
                kept = promised[chosen[places[good]]]
                targets = Targets(promised_throughput=kept if kept.any() else None)
                found[places[good]] = self.views.model.max_rate(process.take(good), targets)
        return found

    def _hold(self, chosen: IntArray, batch: IntArray, replicas: IntArray) -> BoolArray:
        """Return which candidates keep every objective so; write down those that do."""
        if not len(chosen):
            return np.zeros(0, dtype=np.bool_)
        parts = [self._rows[c] for c in chosen.tolist()]
        rows = np.concatenate(parts)
        of_row = np.repeat(np.arange(len(chosen)), list(map(len, parts)))
        carrying = np.maximum(replicas - self._spares[chosen], 1)
        holds = np.ones(len(chosen), dtype=np.bool_)
        answers = []
        views, grid, processes = self.views, self.views.grid, self.views.processes
        service, performance = grid.service[rows], grid.performance[rows]
        for places, clock, statistics in processes.batches(
            np.arange(len(rows)), service, performance, views.targets.bounds
        ):
            process = processes.process(
                clock,
                service[places],
                performance[places],
                batch[of_row[places]],
                np.where(processes.replicas_matter[service[places]], carrying[of_row[places]], 1),
            )
            refused = np.zeros(len(places), dtype=np.bool_)
            for mask in views.model.refusals(process, statistics).values():
                refused |= mask
            holds[of_row[places[refused]]] = False
            asked = places[~refused]
            process = process.take(~refused) if refused.any() else process
            rate = self._load[chosen[of_row[asked]]] / carrying[of_row[asked]]
            metrics = views.model.evaluate(process, rate, statistics)
            kept = metrics.stable.copy()
            for statistic in statistics:
                bound = views.targets.bounds[statistic][service[asked]]
                kept &= metrics.value(statistic) <= bound * (1 + _MET)
            holds[of_row[asked[~kept]]] = False
            answers.append((asked, metrics))
        for asked, metrics in answers:
            good = np.flatnonzero(holds[of_row[asked]])
            self._write(rows[asked[good]], metrics.take(good))
        self.replicas[chosen[holds]], self.batch[chosen[holds]] = replicas[holds], batch[holds]
        return holds

    def _write(self, rows: IntArray, metrics: QueueMetrics) -> None:
        """Keep what was predicted of some rows."""
        for name, values in self.views.means.items():
            values[rows] = getattr(metrics, name)
        for statistic, values in metrics.percentiles.items():
            self.views.percentiles[statistic][rows] = values

    def rows_of(self, chosen: BoolArray) -> SharedRows:
        """Return some candidates with their replicas, batches and predictions.

        The rate of a row is what its candidate is sized for, per replica.
        """
        rows = np.flatnonzero(chosen[self.candidate])
        views, numbers = self.views, self.candidate[rows]
        views.replicas[rows] = self.replicas[numbers]
        carrying = np.maximum(self.replicas - self._spares, 1)
        views.rate[rows] = (self._load / carrying)[numbers]
        views.grid.max_batch[rows] = self.batch[numbers]
        return SharedRows(
            sizing=views.part(rows),
            sharing=self.sharing[rows],
            service=self.member[rows],
            candidate=np.unique(numbers, return_inverse=True)[1].ravel(),
        )
