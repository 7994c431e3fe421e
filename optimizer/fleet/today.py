"""What runs today, matched with the candidates: what each of them would start, stop and move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.split_services import by_counts
from optimizer.spec.options import PoolRole

__all__ = ["Today"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_S_PER_H = 3600.0


@dataclass(frozen=True, eq=False)
class Today:
    """Today's replicas beside a candidate table.

    An entry of `services[].current` goes on as a candidate on the same accelerator in the same role
    with, where the entry states one, the same maximum batch: an engine must be restarted to change
    its batch, or to prefill or decode alone.

    Parameters
    ----------
    table
        The candidates.
    owner, replicas
        (entries,), service of each entry, by index, and its replicas.
    entry
        (candidates,), the entry that each candidate goes on with; -1: it starts from nothing.
    decode_entry
        (candidates,), likewise of its decode pool; -1 where one pool does both.
    moves
        (candidates,), whether taking it moves the service: it runs today, and not there.
    """

    table: CandidateTable
    owner: IntArray
    replicas: IntArray
    entry: IntArray
    decode_entry: IntArray
    moves: NDArray[np.bool_]

    @classmethod
    def of(cls, table: CandidateTable) -> Today:
        """Match the fleet's current allocations with its candidates."""
        names = {name: index for index, name in enumerate(table.inventory.names)}
        owner: list[int] = []
        replicas: list[int] = []
        entry = np.full(len(table), -1, dtype=np.int64)
        decode_entry, decodes = entry.copy(), table.decode.accelerator
        apart = decodes >= 0
        moves = np.zeros(len(table), dtype=np.bool_)
        here = np.zeros(len(names) + 1, dtype=np.bool_)  # the last: no accelerator
        for index, service in enumerate(table.spec.services):
            if not service.deployed:
                continue
            rows = table.rows_of(index)
            places = [names[current.accelerator or ""] for current in service.deployed]
            here[places] = True
            stays = here[table.accelerator[rows]] & (~apart[rows] | here[decodes[rows]])
            here[places] = False
            moves[rows] = (table.accelerator[rows] >= 0) & ~stays
            # An entry that states its batch goes before one that goes on with any.
            for current in sorted(service.deployed, key=lambda c: c.max_batch is not None):
                second = current.role is PoolRole.DECODE
                pool = table.halves[-1] if second else table
                same = rows[apart[rows] == (current.role is not PoolRole.AGGREGATED)]
                same = same[pool.accelerator[same] == names[current.accelerator or ""]]
                if current.max_batch is not None:
                    same = same[pool.max_batch[same] == current.max_batch]
                (decode_entry if second else entry)[same] = len(owner)
                owner.append(index)
                replicas.append(current.replicas)
        return cls(
            table=table,
            owner=np.array(owner, dtype=np.int64),
            replicas=np.array(replicas, dtype=np.int64),
            entry=entry,
            decode_entry=decode_entry,
            moves=moves,
        )

    @property
    def of_service(self) -> FloatArray:
        """Return (services,), replicas that run today."""
        count = np.zeros(len(self.table.spec.services))
        np.add.at(count, self.owner, self.replicas)
        return count

    @property
    def left(self) -> FloatArray:
        """Return (services,), what stops where each stays unserved; 0 for those by counts."""
        counted = np.zeros(len(self.table.spec.services), dtype=np.bool_)
        counted[self.table.service[by_counts(self.table)]] = True
        return np.where(counted, 0.0, self.of_service)

    @property
    def kept(self) -> FloatArray:
        """Return (candidates,), today's replicas that go on where a service chooses one.

        Replicas that services share go on from those of all of them.
        """
        found = np.append(self.replicas, 0)[self.entry].astype(np.float64)
        return np.minimum(self._of_sharers(found), self.table.replicas)

    @property
    def kept_to_decode(self) -> FloatArray:
        """Return (candidates,), today's replicas that go on in a decode pool."""
        found = np.append(self.replicas, 0)[self.decode_entry].astype(np.float64)
        return np.minimum(found, self.table.decode.replicas)

    @property
    def started(self) -> FloatArray:
        """Return (candidates,), replicas that are started, of both pools where there are two."""
        return self._started + self._started_to_decode

    @property
    def _started(self) -> FloatArray:
        """Return (candidates,), replicas that are started, but in a decode pool.

        Of services served by counts: those of candidates that start from nothing.
        """
        own = self.table.replicas.astype(np.float64)
        return np.where(by_counts(self.table), np.where(self.entry < 0, own, 0.0), own - self.kept)

    @property
    def _started_to_decode(self) -> FloatArray:
        return self.table.decode.replicas - self.kept_to_decode

    @property
    def stopped(self) -> FloatArray:
        """Return (candidates,), replicas that are stopped; 0 for services served by counts."""
        kept = self.kept + self.kept_to_decode
        mine = self._of_sharers(self.of_service[self.table.service]) - kept
        return np.where(by_counts(self.table), 0.0, mine)

    def _of_sharers(self, of_candidates: FloatArray) -> FloatArray:
        """Return figures with those of shared candidates summed in the row of the first service."""
        summed = of_candidates.copy()
        for first, *others in self.table.sharers.values():
            summed[first] += of_candidates[others].sum()
            summed[others] = 0.0
        return summed

    @property
    def moved(self) -> FloatArray:
        """Return (candidates,), services that are moved; 0 for services served by counts."""
        return np.where(by_counts(self.table), 0.0, self.moves)

    @property
    def start_up_h(self) -> FloatArray:
        """Return (candidates,), time until a started replica serves [h]."""
        return self._start_up_in(self.table)

    def _start_up_in(self, pool: CandidateTable) -> FloatArray:
        spec = pool.spec
        default = spec.optimizer.transition.start_up_s
        of_entry = [default if p.start_up_s is None else p.start_up_s for p in spec.performance]
        times = np.append(np.array(of_entry, dtype=np.float64), default)
        return times[pool.performance] / _S_PER_H

    @property
    def cost_of_start(self) -> FloatArray:
        """Return (candidates,), one-off money per replica started, with its start-up time."""
        return self._cost_of_start_in(self.table.halves[0], self.start_up_h)

    def _cost_of_start_in(self, pool: CandidateTable, start_up_h: FloatArray) -> FloatArray:
        per_replica = pool.cost_per_hour / np.maximum(pool.replicas, 1)
        priced: FloatArray = (
            pool.spec.optimizer.transition.cost_per_start + start_up_h * per_replica
        )
        return np.where(pool.accelerator >= 0, priced, 0.0)

    @property
    def cost_per_hour(self) -> FloatArray:
        """Return (candidates,), the one-off money of the change, spread over its horizon."""
        prices = self.table.spec.optimizer.transition
        second = self.table.halves[-1]
        money = (
            self._started * self.cost_of_start
            + self._started_to_decode * self._cost_of_start_in(second, self._start_up_in(second))
            + self.stopped * prices.cost_per_stop
            + self.moved * prices.cost_per_move
        )
        return money / prices.horizon_h
