"""The best maximum batch of every configuration, found by search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.batch_limits import batch_ladder
from optimizer.fleet.candidates import Verdict
from optimizer.fleet.split_services import splits
from queue_models import ServiceProcess, Statistic, Targets

if TYPE_CHECKING:
    from optimizer.fleet.sizing import Sizing

__all__ = ["search_batches"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Divisions such as 6.0 / 2.0000000001 must not cost a replica.
_ROUNDING = 1e-9
# "Vanishing load", as a share of what a replica can carry at all.
_IDLE_SHARE = 1e-6


def search_batches(sizing: Sizing, *, by_rate: bool = False) -> None:
    """Give every configuration the batch that dominates its others, in place.

    Parameters
    ----------
    sizing
        The table under construction.
    by_rate
        Whether the batch with the largest rate of a replica is wanted for every service, as for
        those that split: one that stays the best when loads change.

    Notes
    -----
    On one configuration, batch b dominates b' if it keeps every objective with fewer replicas, or
    with as many and is larger. Cost, cards and every other use of a resource rise with the
    replicas of a configuration, so no plan is lost: wherever one takes b', taking b instead costs
    no more and fits. Where a service splits over configurations, the rate of a replica stands in
    the place of the replicas, and the larger dominates.

    The search goes down from the largest batch, which is sized already, and over the batches of
    the ladder it is exact where capacity, which is what a replica carries without any objective,
    rises with the batch. It ends for a configuration once the capacity asks for as many replicas as
    the best batch so far needs. A configuration that breaks an objective at vanishing load with the
    least batch is left as it is: no batch does better there.
    """
    _Search(sizing, by_rate).run()


class _Search:
    """The search over a table under construction."""

    def __init__(self, sizing: Sizing, by_rate: bool) -> None:
        self.sizing = sizing
        self.by_rate: BoolArray = np.array(
            [by_rate or splits(sizing.spec, service) for service in sizing.spec.services],
            dtype=np.bool_,
        )

    def run(self) -> None:
        """Try batch after batch, from the second largest down, for all configurations at once."""
        grid = self.sizing.grid
        rows = self._open_rows()
        rows = rows[self._may_win(rows, grid.max_batch[rows])]
        ladders = [
            batch_ladder(least, most, step)[-2::-1]
            for least, most, step in zip(
                grid.least_batch[rows].tolist(),
                grid.max_batch[rows].tolist(),
                grid.batch_step[rows].tolist(),
                strict=True,
            )
        ]
        depth = 0
        going = np.arange(len(rows))
        while going.size:
            batches = np.array([ladders[place][depth] for place in going], dtype=np.int64)
            kept = self._may_win(rows[going], batches)
            self._try(rows[going[kept]], batches[kept])
            depth += 1
            going = going[kept]
            going = going[[len(ladders[place]) > depth for place in going]]

    def _open_rows(self) -> IntArray:
        """Return the rows whose smaller batches may do better."""
        sizing, grid = self.sizing, self.sizing.grid
        searched = (grid.least_batch < grid.max_batch) & (grid.accelerator >= 0)
        rows = np.flatnonzero(searched & (sizing.targets.rate_rps[grid.service] > 0))
        sized = self._sized(sizing, rows)
        more = sizing.replicas[rows] > np.maximum(sizing.least[grid.service[rows]], 1)
        broken = rows[grid.verdict[rows] == Verdict.SLO]
        return np.concatenate(
            [
                rows[sized & (more | self.by_rate[grid.service[rows]])],
                broken[~self._breaks_idle(broken)],
            ]
        )

    def _may_win(self, rows: IntArray, batches: IntArray) -> BoolArray:
        """Return whether the capacity with these batches leaves something to gain."""
        service = self.sizing.grid.service[rows]
        capacity = self._capacity(rows, batches)
        load = self.sizing.targets.rate_rps[service]
        share = np.divide(load, capacity, out=np.full(len(rows), np.inf), where=capacity > 0)
        return np.where(
            self.by_rate[service],
            capacity > self.sizing.rate[rows] * (1 + _ROUNDING),
            np.ceil(share * (1 - _ROUNDING)) < self._replicas(self.sizing, rows),
        )

    def _try(self, rows: IntArray, batches: IntArray) -> None:
        """Size rows with other batches, and keep those that dominate."""
        sizing = self.sizing
        if not len(rows):
            return
        other, found = sizing.with_batches(rows, batches), np.arange(len(rows))
        better = np.where(
            self.by_rate[sizing.grid.service[rows]],
            other.rate > sizing.rate[rows] * (1 + _ROUNDING),
            self._replicas(other, found) < self._replicas(sizing, rows),
        )
        wins = better & self._sized(other, found)
        sizing.adopt(rows[wins], other, found[wins])

    @staticmethod
    def _sized(sizing: Sizing, rows: IntArray) -> BoolArray:
        return np.isin(sizing.grid.verdict[rows], (Verdict.POSSIBLE, Verdict.REPLICAS))

    def _replicas(self, sizing: Sizing, rows: IntArray) -> FloatArray:
        """Return the replicas that rows need, `inf` where no number of them does."""
        return np.where(self._sized(sizing, rows), sizing.replicas[rows], np.inf)

    def _capacity(self, rows: IntArray, batches: IntArray) -> FloatArray:
        """Return what one replica carries without any objective [requests/s]; 0 where refused."""
        found = np.zeros(len(rows))
        for members, process, _ in self._calls(rows, batches):
            found[members] = self.sizing.model.max_rate(process, Targets())
        return np.minimum(found, self.sizing.grid.reuse.rate_limit_rps[rows])

    def _breaks_idle(self, rows: IntArray) -> BoolArray:
        """Return which break an objective at vanishing load with their least batch."""
        sizing, grid = self.sizing, self.sizing.grid
        broken = np.ones(len(rows), dtype=np.bool_)
        for members, process, statistics in self._calls(rows, grid.least_batch[rows]):
            rate = _IDLE_SHARE * sizing.model.max_rate(process, Targets())
            metrics = sizing.model.evaluate(process, rate, statistics)
            broken[members] = False
            for statistic in statistics:
                bound = sizing.bound(statistic, rows[members])
                broken[members] |= metrics.value(statistic) > bound
        return broken

    def _calls(
        self, rows: IntArray, batches: IntArray
    ) -> Iterator[tuple[IntArray, ServiceProcess, tuple[Statistic, ...]]]:
        """Yield positions of rows that can be asked about together, with their process."""
        sizing, grid = self.sizing, self.sizing.grid
        service, performance = grid.service[rows], grid.performance[rows]
        for members, clock, statistics in sizing.processes.batches(
            np.arange(len(rows)), service, performance, sizing.targets.bounds
        ):
            process = sizing.processes.process(
                clock,
                service[members],
                performance[members],
                batches[members],
                prefix_hit_rate=grid.reuse.prefix_hit_rate[rows[members]],
            )
            kept = np.ones(len(members), dtype=np.bool_)
            for mask in sizing.model.refusals(process, statistics).values():
                kept &= ~mask
            if kept.any():
                taken = np.flatnonzero(kept)
                yield members[taken], process.take(taken), statistics
