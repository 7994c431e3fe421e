"""The best further columns for given counts, with the rates where links tie the two together."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from solvers.lexicographic import priority_levels
from solvers.links import LINK_TOLERANCE, Links
from solvers.mixed_programme import MixedProgramme
from solvers.problem import AllocationProblem, IntArray
from solvers.small_programme import FEASIBILITY, solve_closely
from solvers.split import RATE_TOLERANCE
from solvers.split_items import SplitItems
from solvers.split_programme import SplitProgramme
from solvers.split_rates import Rates

__all__ = ["LinkValues", "keeps_links", "solve_rest"]

FloatArray = NDArray[np.float64]

# Unserved shares this close to none or to all are rounding; less than the rates' own tolerance.
_NOTHING = 1e-8


def keeps_links(links: Links, x: IntArray, z: FloatArray, rates: FloatArray) -> bool:
    """Whether every row is kept within `LINK_TOLERANCE`, and z its bounds."""
    total, largest = np.zeros(links.rows), np.zeros(links.rows)
    for matrix, vector in ((links.of_x, x), (links.of_z, z), (links.of_rates, rates)):
        if matrix is not None:
            terms = matrix.values * vector[matrix.columns]
            total += np.bincount(matrix.rows, weights=terms, minlength=links.rows)
            np.maximum.at(largest, matrix.rows, np.abs(terms))
    bounded = bool(((z >= links.lower) & (z <= links.upper)).all())
    for limit, missing in (
        (links.row_lower, links.row_lower - total),
        (links.row_upper, total - links.row_upper),
    ):
        size = np.maximum(largest, np.where(np.isfinite(limit), np.abs(limit), 0.0))
        bounded &= bool((missing <= LINK_TOLERANCE * size).all())
    return bounded


class LinkValues:
    """Finds z for given counts: the cheapest, and first the rates that leave least unserved.

    Where no row knows of rates, these stay as they were found; else both come out of one programme,
    which keeps the counts and takes priority after priority, then the cost.
    """

    def __init__(
        self, problem: AllocationProblem, items: SplitItems, programme: SplitProgramme
    ) -> None:
        assert problem.links is not None
        self._problem, self._links = problem, problem.links
        self._items, self._programme = items, programme
        of_rates = problem.links.of_rates
        self.coupled = of_rates is not None and len(of_rates.values) > 0
        stages = [programme.stage_objective(level) for level in priority_levels(problem)]
        self._objectives = [*stages, programme.cost_objective()]

    def best(self, x: IntArray, rates: Rates) -> tuple[Rates, FloatArray] | None:
        """Return rates and z for counts (n,), given rates that keep the loads; None without any."""
        links = self._links
        if not self.coupled and not links.columns:
            z = np.zeros(0)
        else:
            solved = self._solve(x, rates)
            if solved is None:
                return None
            z = solved[self._programme.z]
            z = np.clip(np.where(links.integer, np.rint(z), z), links.lower, links.upper)
            if self.coupled:
                found = self._rates(x, rates, solved)
                if found is None:
                    return None
                rates = found
        return (rates, z) if keeps_links(links, x, z, rates.rates) else None

    def _solve(self, x: IntArray, rates: Rates) -> FloatArray | None:
        """Return (variables,), the rest of the programme solved for these counts."""
        programme = self._programme
        point = programme.point(x, rates.rates, rates.unserved, np.zeros(self._links.columns))
        fixed = np.zeros(len(point), dtype=np.bool_)
        fixed[: programme.counts if self.coupled else programme.z[0]] = True
        frozen: list[tuple[FloatArray, float]] = []
        objectives = self._objectives if self.coupled else self._objectives[-1:]
        for objective in objectives:
            last = objective is objectives[-1]
            if not objective[~fixed].any() and not last:
                continue
            solved = solve_rest(programme.programme(objective, frozen, []), point, fixed)
            if solved is None:
                return None
            reached = float(objective @ solved)
            frozen.append((objective, reached + FEASIBILITY * max(1.0, abs(reached))))
        return solved

    def _rates(self, x: IntArray, rates: Rates, solved: FloatArray) -> Rates | None:
        """Read rates and unserved shares, so that they sum up and no column carries too much."""
        items, split = self._items, self._items.split
        unserved = rates.unserved.copy()
        stay = np.flatnonzero((self._programme.unserved >= 0) & items.shared)
        left = np.clip(solved[self._programme.unserved[stay]], 0.0, 1.0)
        left = np.where(left < _NOTHING, 0.0, np.where(left > 1.0 - _NOTHING, 1.0, left))
        unserved[stay] = left
        edges = np.flatnonzero(self._programme.shares >= 0)
        item = split.edge_item[edges]
        shares = np.maximum(solved[self._programme.shares[edges]], 0.0)
        sums = np.bincount(item, weights=shares, minlength=split.items)
        wanted = np.where(items.dropped(x), 0.0, 1.0 - unserved)
        scale = np.divide(wanted, sums, out=np.zeros(split.items), where=sums > 0)
        found = rates.rates.copy()
        found[edges] = shares * scale[item] * split.demand[item]
        load = np.bincount(
            split.edge_column, weights=found / split.edge_rate, minlength=self._problem.columns
        )
        room = np.maximum(x - items.spares, 0) * (1.0 + RATE_TOLERANCE)
        carried = bool((load <= room).all())
        served = bool((sums[items.shared & (wanted > 0) & (split.demand > 0)] > 0).all())
        return Rates(found, unserved) if carried and served else None


def solve_rest(
    programme: MixedProgramme, point: FloatArray, fixed: NDArray[np.bool_]
) -> FloatArray | None:
    """Solve for what is not fixed at `point`; rows that hold nothing else are not looked at."""
    free = np.flatnonzero(~fixed)
    if not len(free):
        return point
    constant = np.bincount(
        programme.rows, weights=np.where(fixed, point, 0.0)[programme.columns] * programme.values,
        minlength=len(programme.row_lower),
    )  # fmt: skip
    kept = ~fixed[programme.columns]
    rows, row = np.unique(programme.rows[kept], return_inverse=True)
    number = np.full(programme.variables, -1)
    number[free] = np.arange(len(free))
    objective = programme.objective
    rest = dataclasses.replace(
        programme,
        objective=dataclasses.replace(objective, coefficients=objective.coefficients[free]),
        lower=programme.lower[free],
        upper=programme.upper[free],
        integer=programme.integer[free],
        rows=row,
        columns=number[programme.columns[kept]],
        values=programme.values[kept],
        row_lower=programme.row_lower[rows] - constant[rows],
        row_upper=programme.row_upper[rows] - constant[rows],
    )
    solved = solve_closely(rest)
    if solved is None:
        return None
    found = point.copy()
    found[free] = solved[0]
    return found
