"""The mixed-integer programme of a problem whose groups split, or whose columns are linked.

Variables, in this order: x (n); for columns with spares, the units that carry load and whether any
do; for columns of groups that limit how many may be used, whether it is used; per item that may
stay unserved, the unserved share; per edge of an item in a shared component, the share it carries;
the further columns z of links.

An item whose columns serve nothing else needs no shares: its load fits if the rates of the carrying
units sum to its demand. That row alone is left, with rates above the demand cut down to it, because
one such unit is enough and the relaxation gains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.integer_scaling import ScaledObjective, exact_scaling, scale_row
from solvers.lexicographic import group_weights
from solvers.mixed_programme import MixedProgramme
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem
from solvers.split_items import SplitItems

__all__ = ["LoadCut", "SplitProgramme", "scaled_objective"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Whole coefficients up to this go to the back end as they are; without such the largest becomes
# about the usual cost, in the middle of what the back ends' tolerances were chosen for.
_LARGEST_COEFFICIENT = 1e6
_USUAL_COST = 1e3


@dataclass(frozen=True, slots=True, eq=False)
class LoadCut:
    """Units that some items need together, whatever their rates: valid for every solution.

    For prices w >= 0 of carrying units, an item's demand takes at least d_i * min_k w_k / R_ik of
    their worth: sum of w_k * carrying_k >= sum of d_i * (1 - unserved share) * that minimum.

    Parameters
    ----------
    price
        (n,), >= 0.
    worth
        (items,), what serving each item takes at these prices, >= 0.
    """

    price: FloatArray
    worth: FloatArray


class SplitProgramme:
    """Builds the programme of each stage; variables stay the same, rows and objective change.

    Parameters
    ----------
    problem
        With a split part, a linked part, or both.
    items
        What follows from its split part, or from an empty one.

    Attributes
    ----------
    carrier
        (n,), the variable of each column's units that carry load.
    unserved
        (items,), the variable of each item's unserved share; -1 where there is none.
    shares
        (edges,), the variable of each edge's share of its item; -1 where there is none.
    z
        (k,), the variables of the further columns.
    integer
        (variables,), which must be whole.
    counts
        Number of variables before those of unserved shares: what x decides.
    capacity_row, capacity_factor
        (m,), the row of each capacity, -1 where it is unlimited or unused, and what its entries are
        multiplied by.
    first_link, link_factor
        The first row of links, and (rows,) what the entries of each are multiplied by.
    """

    def __init__(self, problem: AllocationProblem, items: SplitItems) -> None:
        self.problem = problem
        self.items = self._items = items
        self._split = items.split
        self._lower: list[float] = []
        self._upper: list[float] = []
        self._integer: list[bool] = []
        self._entries: list[tuple[IntArray, IntArray, FloatArray]] = []
        self._row_lower: list[float] = []
        self._row_upper: list[float] = []
        self.capacity_row = np.full(problem.rows, -1, dtype=np.int64)
        self.capacity_factor: FloatArray = np.ones(problem.rows)
        self._add_counts()
        self.carrier = np.arange(problem.columns)
        self._carries = np.full(problem.columns, -1, dtype=np.int64)
        self._used = np.full(problem.columns, -1, dtype=np.int64)
        self._add_carriers()
        self._limit_different()
        self.counts = len(self._lower)
        self.unserved = self._add_unserved()
        self.shares = self._add_shares()
        self.z = self._add_further_columns()
        self._add_rows_of_problem()
        self._add_drops()
        self._add_totals()
        self._add_single_items()
        self._add_shared_items()
        self._add_links()
        self.integer = np.array(self._integer, dtype=np.bool_)

    # --- variables ---

    def _variables(self, lower: FloatArray, upper: FloatArray, *, integer: bool) -> IntArray:
        first = len(self._lower)
        self._lower += lower.tolist()
        self._upper += upper.tolist()
        self._integer += [integer] * len(lower)
        return np.arange(first, first + len(lower))

    def _add_counts(self) -> None:
        items = self._items
        self._variables(items.lower.astype(np.float64), items.upper, integer=True)

    def _add_carriers(self) -> None:
        """Count the units that carry load apart from the spares, where there are any."""
        spares = self._items.spares
        columns = np.flatnonzero(self._items.counted & (spares > 0) & (self._items.upper > spares))
        kept = spares[columns].astype(np.float64)
        most = self._items.upper[columns] - kept
        none = np.zeros(len(columns))
        own = self._variables(none, most, integer=True)
        carries = self._variables(none, none + 1, integer=True)
        self.carrier[columns], self._carries[columns] = own, carries
        # carrying + spares * carries <= x, carrying <= most * carries
        self._rows_of((columns, -none - 1.0), (own, none + 1), (carries, kept), upper=0.0)
        self._rows_of((own, none + 1), (carries, -most), upper=0.0)

    def _limit_different(self) -> None:
        limit = self._split.most_different
        if limit is None:
            return
        items, group = self._items, self.problem.group
        sizes = np.bincount(group, minlength=self.problem.groups)
        binding = self._split.groups & (limit < sizes)
        columns = np.flatnonzero(binding[group] & (items.upper > 0) & ~items.dropping)
        one = np.ones(len(columns))
        used = self._variables(0 * one, one, integer=True)
        self._used[columns] = used
        self._rows_of((columns, one), (used, -items.upper[columns]), upper=0.0)
        for number in np.flatnonzero(binding).tolist():
            mine = used[group[columns] == number]
            self._row(mine, np.ones(len(mine)), upper=float(limit[number]))

    def _add_unserved(self) -> IntArray:
        variable = np.full(self._split.items, -1, dtype=np.int64)
        may_stay = np.flatnonzero(self._items.may_stay & (self._split.demand > 0))
        one = np.ones(len(may_stay))
        variable[may_stay] = self._variables(0 * one, one, integer=False)
        return variable

    def _add_shares(self) -> IntArray:
        """Add shares, at most what all the units that the column may have can carry."""
        variable = np.full(self._split.edges, -1, dtype=np.int64)
        edges = np.flatnonzero(self._items.shared_edges)
        column = self._split.edge_column[edges]
        room = np.maximum(self._items.upper[column] - self._items.spares[column], 0.0)
        most = np.minimum(room / self._items.edge_load[edges], 1.0)
        variable[edges] = self._variables(0 * most, most, integer=False)
        return variable

    def _add_further_columns(self) -> IntArray:
        links = self.problem.links
        first = len(self._lower)
        if links is None:
            return np.arange(first, first)
        self._lower += links.lower.tolist()
        self._upper += links.upper.tolist()
        self._integer += links.integer.tolist()
        return np.arange(first, first + links.columns)

    # --- rows ---

    def _row(
        self, columns: IntArray, values: FloatArray, lower: float = -math.inf,
        upper: float = math.inf,
    ) -> None:  # fmt: skip
        number = len(self._row_lower)
        self._entries.append((np.full(len(columns), number), columns, values))
        self._row_lower.append(lower)
        self._row_upper.append(upper)

    def _rows_of(self, *terms: tuple[IntArray, FloatArray], upper: float) -> None:
        """Add one row per position of the terms, each a variable and its coefficient."""
        count, first = len(terms[0][0]), len(self._row_lower)
        for columns, values in terms:
            self._entries.append((np.arange(first, first + count), columns, values))
        self._row_lower += [-math.inf] * count
        self._row_upper += [upper] * count

    def _add_rows_of_problem(self) -> None:
        problem, chooses = self.problem, ~self._split.groups
        matrix = problem.usage
        order = np.argsort(matrix.rows, kind="stable")
        bounds = np.searchsorted(matrix.rows[order], np.arange(problem.rows + 1))
        columns = matrix.columns
        for row in np.flatnonzero(np.isfinite(problem.capacity)).tolist():
            mine = order[bounds[row] : bounds[row + 1]]
            if not mine.size:
                continue
            capacity, values = float(problem.capacity[row]), matrix.values[mine]
            scaled = scale_row(values, capacity, largest=_LARGEST_COEFFICIENT)
            self.capacity_row[row] = len(self._row_lower)
            if scaled.exact:
                self.capacity_factor[row] = float(scaled.usage[0]) / values[0]
                self._row(columns[mine], scaled.usage.astype(np.float64),
                          upper=float(scaled.capacity))  # fmt: skip
            else:
                factor = 2.0 ** -np.floor(np.log2(values.max()))
                limit = capacity * (1.0 + CAPACITY_TOLERANCE)
                self.capacity_factor[row] = factor
                self._row(columns[mine], values * factor, upper=float(limit * factor))
        order = np.argsort(problem.group, kind="stable")
        bounds = np.searchsorted(problem.group[order], np.arange(problem.groups + 1))
        for group in np.flatnonzero(chooses).tolist():
            members = order[bounds[group] : bounds[group + 1]]
            self._row(members, np.ones(len(members)), 1.0, 1.0)

    def _add_drops(self) -> None:
        """Drop a group once, where several columns can."""
        columns = np.flatnonzero(self._items.dropping)
        count = np.bincount(self.problem.group[columns], minlength=self.problem.groups)
        for group in np.flatnonzero(count > 1).tolist():
            mine = columns[self.problem.group[columns] == group]
            self._row(mine, np.ones(len(mine)), upper=1.0)

    def _add_totals(self) -> None:
        """Hold the groups' totals, the lower one unless the group is dropped."""
        split, items = self._split, self._items
        if split.lower_total is None and split.upper_total is None:
            return
        order = np.argsort(self.problem.group, kind="stable")
        bounds = np.searchsorted(self.problem.group[order], np.arange(self.problem.groups + 1))
        for group in np.flatnonzero(split.groups).tolist():
            members = order[bounds[group] : bounds[group + 1]]
            drops = items.dropping[members]
            least = 0 if split.lower_total is None else float(split.lower_total[group])
            most = np.inf if split.upper_total is None else float(split.upper_total[group])
            if least > 0:
                self._row(members, np.where(drops, least, 1.0), lower=least)
            if most < items.upper[members][~drops].sum():
                self._row(members[~drops], np.ones(int((~drops).sum())), upper=most)

    def _drops_of(self, item: int) -> IntArray:
        """Return the columns that drop an item's owner."""
        first, last = np.searchsorted(self._items.drop_item, [item, item + 1])
        return self._items.drop_column[first:last]

    def _add_single_items(self) -> None:
        split = self._split
        for item, edges in self._items.single_items():
            rates = np.minimum(split.edge_rate[edges] / split.demand[item], 1.0)
            columns = self.carrier[split.edge_column[edges]]
            if self.unserved[item] >= 0:
                columns, rates = np.append(columns, self.unserved[item]), np.append(rates, 1.0)
            drops = self._drops_of(item)
            columns, rates = np.append(columns, drops), np.append(rates, np.ones(len(drops)))
            self._row(columns, rates, lower=1.0)

    def _add_shared_items(self) -> None:
        split = self._split
        edges = np.flatnonzero(self.shares >= 0)
        shared = np.flatnonzero(self._items.shared & (split.demand > 0))
        number = np.full(split.items, -1, dtype=np.int64)
        number[shared] = np.arange(len(shared)) + len(self._row_lower)
        one = np.ones(len(edges))
        self._entries.append((number[split.edge_item[edges]], self.shares[edges], one))
        stay = shared[self.unserved[shared] >= 0]
        self._entries.append((number[stay], self.unserved[stay], np.ones(len(stay))))
        drops = self._items.shared[self._items.drop_item]
        drops &= split.demand[self._items.drop_item] > 0
        drop = self._items.drop_column[drops]
        self._entries.append((number[self._items.drop_item[drops]], drop, np.ones(len(drop))))
        self._row_lower += [1.0] * len(shared)
        self._row_upper += [1.0] * len(shared)
        used = np.unique(split.edge_column[edges])
        row = np.full(self.problem.columns, -1, dtype=np.int64)
        row[used] = np.arange(len(used)) + len(self._row_lower)
        of_edge = row[split.edge_column[edges]]
        self._entries.append((of_edge, self.shares[edges], self._items.edge_load[edges]))
        self._entries.append((row[used], self.carrier[used], -np.ones(len(used))))
        self._row_lower += [-math.inf] * len(used)
        self._row_upper += [0.0] * len(used)

    def _add_links(self) -> None:
        """Add the rows of links, each scaled by a power of two to entries of at most about 1."""
        links = self.problem.links
        self.first_link = len(self._row_lower)
        self.link_factor: FloatArray = np.ones(0 if links is None else links.rows)
        if links is None:
            return
        blocks = [(links.of_x, np.arange(self.problem.columns)), (links.of_z, self.z)]
        parts = [(m.rows, variable[m.columns], m.values) for m, variable in blocks]
        if links.of_rates is not None:
            rates = links.of_rates
            edge = rates.columns
            known = self.shares[edge] >= 0  # items without a demand have no rates
            demand = self._split.demand[self._split.edge_item[edge]]
            parts.append((rates.rows[known], self.shares[edge[known]],
                          (rates.values * demand)[known]))  # fmt: skip
        rows, columns, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        largest = np.zeros(links.rows)
        np.maximum.at(largest, rows, np.abs(values))
        factor = 2.0 ** -np.floor(np.log2(np.where(largest > 0, largest, 1.0)))
        self.link_factor = factor
        self._entries.append((rows + len(self._row_lower), columns, values * factor[rows]))
        self._row_lower += (links.row_lower * factor).tolist()
        self._row_upper += (links.row_upper * factor).tolist()

    # --- objectives ---

    def cost_objective(self) -> FloatArray:
        """Return (variables,), the cost of units, of what stays unserved, of further columns."""
        values = np.zeros(len(self._lower))
        values[: self.problem.columns] = self.problem.cost
        stay = np.flatnonzero(self.unserved >= 0)
        values[self.unserved[stay]] = self._items.unserved_cost[stay] * self._split.demand[stay]
        if self.problem.links is not None:
            values[self.z] = self.problem.links.cost
        return values

    def stage_objective(self, priority: int) -> FloatArray:
        """Return (variables,), the weight left unserved at one priority."""
        problem = self.problem
        assert problem.priority is not None
        values = np.zeros(len(self._lower))
        weights = group_weights(problem)
        if problem.unserved is not None:
            mine = problem.unserved & (problem.priority[problem.group] == priority)
            values[: problem.columns][mine] = weights[problem.group[mine]]
        stay = np.flatnonzero(self.unserved >= 0)
        stay = stay[problem.priority[self._split.owner[stay]] == priority]
        values[self.unserved[stay]] = self._items.stage_weight[stay]
        return values

    def programme(
        self,
        objective: FloatArray,
        frozen: Sequence[tuple[FloatArray, float]],
        cuts: Sequence[LoadCut],
    ) -> MixedProgramme:
        """Assemble the programme.

        Parameters
        ----------
        objective
            (variables,).
        frozen
            Objectives of earlier stages and what each must stay at or below.
        cuts
            Rows that back ends need to be told of.
        """
        extra = [(np.flatnonzero(v), v[v != 0], -math.inf, limit) for v, limit in frozen]
        extra += [self._cut_row(cut) for cut in cuts]
        first = len(self._row_lower)
        entries = [
            *self._entries,
            *((np.full(len(c), first + i), c, v) for i, (c, v, _, _) in enumerate(extra)),
        ]
        return MixedProgramme(
            objective=scaled_objective(objective, self.integer),
            lower=np.array(self._lower),
            upper=np.array(self._upper),
            integer=self.integer,
            rows=np.concatenate([rows for rows, _, _ in entries]),
            columns=np.concatenate([columns for _, columns, _ in entries]),
            values=np.concatenate([values for _, _, values in entries]),
            row_lower=np.array([*self._row_lower, *(low for _, _, low, _ in extra)]),
            row_upper=np.array([*self._row_upper, *(high for _, _, _, high in extra)]),
        )

    def _cut_row(self, cut: LoadCut) -> tuple[IntArray, FloatArray, float, float]:
        columns = np.flatnonzero(cut.price)
        stay = np.flatnonzero((self.unserved >= 0) & (cut.worth > 0))
        drops = self._items.drop_column
        dropped = np.bincount(drops, weights=cut.worth[self._items.drop_item])
        drop = np.flatnonzero(dropped)
        return (
            np.concatenate([self.carrier[columns], self.unserved[stay], drop]),
            np.concatenate([cut.price[columns], cut.worth[stay], dropped[drop]]),
            math.fsum(cut.worth),
            math.inf,
        )

    def point(
        self, x: IntArray, rates: FloatArray, unserved: FloatArray, z: FloatArray
    ) -> FloatArray:
        """Return (variables,), the values that stand for a feasible solution.

        Parameters
        ----------
        x
            (n,), counts.
        rates
            (edges,), rates.
        unserved
            (items,), unserved share of each item.
        z
            (k,), further columns.
        """
        values = np.zeros(len(self._lower))
        values[: len(x)] = x
        carrying = np.maximum(x - self._items.spares, 0)
        spared, limited = np.flatnonzero(self._carries >= 0), np.flatnonzero(self._used >= 0)
        values[self.carrier[spared]] = carrying[spared]
        values[self._carries[spared]] = carrying[spared] > 0
        values[self._used[limited]] = x[limited] > 0
        stay = np.flatnonzero(self.unserved >= 0)
        values[self.unserved[stay]] = unserved[stay]
        edges = np.flatnonzero(self.shares >= 0)
        values[self.shares[edges]] = rates[edges] / self._split.demand[self._split.edge_item[edges]]
        values[self.z] = z
        return values


def scaled_objective(objective: FloatArray, integer: NDArray[np.bool_]) -> ScaledObjective:
    """Scale an objective: to whole numbers, if only whole variables have coefficients."""
    if not objective.any():
        return ScaledObjective(objective, 1.0, 0.0, exact=True)
    scaling = exact_scaling(objective) if integer[objective != 0].all() else None
    if scaling is not None and np.abs(scaling.integers).max() <= _LARGEST_COEFFICIENT:
        return ScaledObjective(scaling.integers.astype(np.float64), scaling.step, 0.0, exact=True)
    unit = 2.0 ** math.ceil(math.log2(np.abs(objective).max() / _USUAL_COST))
    return ScaledObjective(objective / unit, unit, 0.0, exact=False)
