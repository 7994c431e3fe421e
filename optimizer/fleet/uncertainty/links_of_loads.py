"""Rows that link services, of several loads at once: purchases and shared replicas of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.problem import FleetProblem
from solvers import Links, SparseColumns

__all__ = ["LinksOfLoads"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LinksOfLoads:
    """The linked parts of the problems of several loads, over columns that they have in common.

    Every load has its own rows and further columns: what is bought is decided for each load.

    Parameters
    ----------
    links
        Of each load that has some.
    load
        Its number.
    """

    links: tuple[Links, ...]
    load: IntArray

    @classmethod
    def of(cls, problems: Sequence[FleetProblem], columns: IntArray, size: int) -> LinksOfLoads:
        """Read the linked parts.

        Parameters
        ----------
        columns
            (loads, n), the common columns in the problem of each load.
        size
            How many there are with "unserved", which come last, by service.
        """
        found, numbers = [], []
        for number, (problem, mine) in enumerate(zip(problems, columns, strict=True)):
            arrays = problem.arrays
            if arrays is None or arrays.links is None:
                continue
            place = np.full(arrays.columns, -1, dtype=np.int64)
            place[mine] = np.arange(len(mine))
            staying = np.flatnonzero(problem.columns.unserved)[: size - len(mine)]
            place[staying] = len(mine) + np.arange(len(staying))
            found.append(_placed(arrays.links, place, size))
            numbers.append(number)
        return cls(tuple(found), np.array(numbers, dtype=np.int64))

    def expected(self, probability: FloatArray) -> Links | None:
        """Return all of them, further columns at their costs times the loads' probabilities."""
        together: Links | None = None
        for links, load in zip(self.links, self.load.tolist(), strict=True):
            part = _with_cost(links, links.cost * probability[load])
            together = part if together is None else together.beside(part)
        return together

    def worst(self, cost: FloatArray) -> Links:
        """Return all of them, and a further column of cost 1 that no load costs more than.

        Parameters
        ----------
        cost
            (loads, size), of the common columns.
        """
        together = self.expected(np.zeros(len(cost)))
        before = 0 if together is None else together.columns
        of_z = np.zeros((len(cost), before + 1))
        of_z[:, -1] = 1.0
        # From below, so that a cost that may be negative does not make the problem unbounded.
        least, first = np.minimum(cost, 0.0).sum(axis=1), 0
        for links, load in zip(self.links, self.load.tolist(), strict=True):
            of_z[load, first : first + links.columns] = -links.cost
            first += links.columns
            priced = links.cost != 0
            least[load] += np.minimum(links.cost * links.upper, 0.0, where=priced, out=np.zeros(
                links.columns
            )).sum()  # fmt: skip
        rows = Links(
            np.zeros(len(cost)), np.full(len(cost), np.inf), -cost, of_z,
            cost=np.append(np.zeros(before), 1.0),
            lower=np.append(np.zeros(before), least.min()),
        )  # fmt: skip
        return rows if together is None else _over_same(together, rows)


def _placed(links: Links, place: IntArray, size: int) -> Links:
    """Return links over columns that have other numbers; -1: that are left out."""
    of_x = links.of_x
    kept = place[of_x.columns] >= 0
    moved = SparseColumns.from_triplets(
        (links.rows, size),
        rows=of_x.rows[kept],
        columns=place[of_x.columns[kept]],
        values=of_x.values[kept],
    )
    return Links(
        links.row_lower, links.row_upper, moved, links.of_z,
        cost=links.cost, lower=links.lower, upper=links.upper, integer=links.integer,
    )  # fmt: skip


def _with_cost(links: Links, cost: FloatArray) -> Links:
    return Links(
        links.row_lower, links.row_upper, links.of_x, links.of_z,
        cost=cost, lower=links.lower, upper=links.upper, integer=links.integer,
    )  # fmt: skip


def _over_same(first: Links, second: Links) -> Links:
    """Return the rows of both, where the further columns of the first are those of the second too.

    The second has one more, and says what all cost.
    """
    return Links(
        np.concatenate([first.row_lower, second.row_lower]),
        np.concatenate([first.row_upper, second.row_upper]),
        _below(first.of_x, second.of_x),
        _below(first.of_z, second.of_z),
        cost=second.cost,
        lower=np.append(first.lower, second.lower[-1]),
        upper=np.append(first.upper, np.inf),
        integer=np.append(first.integer, False),
    )


def _below(first: SparseColumns, second: SparseColumns) -> SparseColumns:
    """Return the rows of both, with the columns of the second."""
    return SparseColumns.from_triplets(
        (first.shape[0] + second.shape[0], second.shape[1]),
        rows=np.concatenate([first.rows, second.rows + first.shape[0]]),
        columns=np.concatenate([first.columns, second.columns]),
        values=np.concatenate([first.values, second.values]),
    )
