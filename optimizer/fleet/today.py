"""What runs today, matched with the candidates: what each of them would start, stop and move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.split_services import by_counts

__all__ = ["Today"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_S_PER_H = 3600.0


@dataclass(frozen=True, eq=False)
class Today:
    """Today's replicas beside a candidate table.

    An entry of `services[].current` goes on as a candidate on the same accelerator with, where the
    entry states one, the same maximum batch: an engine must be restarted to change its batch.

    Parameters
    ----------
    table
        The candidates.
    owner, replicas
        (entries,), service of each entry, by index, and its replicas.
    entry
        (candidates,), the entry that each candidate goes on with; -1: it starts from nothing.
    moves
        (candidates,), whether taking it moves the service: it runs today, and not there.
    """

    table: CandidateTable
    owner: IntArray
    replicas: IntArray
    entry: IntArray
    moves: NDArray[np.bool_]

    @classmethod
    def of(cls, table: CandidateTable) -> Today:
        """Match the fleet's current allocations with its candidates."""
        names = {name: index for index, name in enumerate(table.inventory.names)}
        owner: list[int] = []
        replicas: list[int] = []
        entry = np.full(len(table), -1, dtype=np.int64)
        moves = np.zeros(len(table), dtype=np.bool_)
        for index, service in enumerate(table.spec.services):
            if not service.deployed:
                continue
            rows = table.rows_of(index)
            moves[rows] = table.accelerator[rows] >= 0
            # An entry that states its batch goes before one that goes on with any.
            for current in sorted(service.deployed, key=lambda c: c.max_batch is not None):
                same = rows[table.accelerator[rows] == names[current.accelerator or ""]]
                moves[same] = False
                if current.max_batch is not None:
                    same = same[table.max_batch[same] == current.max_batch]
                entry[same] = len(owner)
                owner.append(index)
                replicas.append(current.replicas)
        return cls(
            table=table,
            owner=np.array(owner, dtype=np.int64),
            replicas=np.array(replicas, dtype=np.int64),
            entry=entry,
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
    def started(self) -> FloatArray:
        """Return (candidates,), replicas that are started.

        Of services served by counts: those of candidates that start from nothing.
        """
        own = self.table.replicas.astype(np.float64)
        return np.where(by_counts(self.table), np.where(self.entry < 0, own, 0.0), own - self.kept)

    @property
    def stopped(self) -> FloatArray:
        """Return (candidates,), replicas that are stopped; 0 for services served by counts."""
        mine = self._of_sharers(self.of_service[self.table.service]) - self.kept
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
        spec = self.table.spec
        default = spec.optimizer.transition.start_up_s
        of_entry = [default if p.start_up_s is None else p.start_up_s for p in spec.performance]
        times = np.append(np.array(of_entry, dtype=np.float64), default)
        return times[self.table.performance] / _S_PER_H

    @property
    def cost_of_start(self) -> FloatArray:
        """Return (candidates,), one-off money per replica started, with its start-up time."""
        table = self.table
        per_replica = table.cost_per_hour / np.maximum(table.replicas, 1)
        priced: FloatArray = (
            table.spec.optimizer.transition.cost_per_start + self.start_up_h * per_replica
        )
        return np.where(table.accelerator >= 0, priced, 0.0)

    @property
    def cost_per_hour(self) -> FloatArray:
        """Return (candidates,), the one-off money of the change, spread over its horizon."""
        prices = self.table.spec.optimizer.transition
        money = (
            self.started * self.cost_of_start
            + self.stopped * prices.cost_per_stop
            + self.moved * prices.cost_per_move
        )
        return money / prices.horizon_h
