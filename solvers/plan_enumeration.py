"""The best plans of all groups at given prices, group beside group, kind after kind.

Kinds of a group are looked at from the one that carries its load at least reduced cost. What is
begun is dropped when even the best of what is left could not end it within the threshold; where
too many plans are begun, those of the largest bound are given up, and the least bound among them
is kept: so the answer is a lower bound in any case, and says up to where its list is complete.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.plan_groups import PlanGroups
from solvers.problem import BoolArray, FloatArray, IntArray
from solvers.split import RATE_TOLERANCE

__all__ = ["CellPlans", "enumerate_plans"]

# A load is carried when this share of it is left at most, as where rates are assigned.
_CARRIED = RATE_TOLERANCE / 2


@dataclass(frozen=True, slots=True, eq=False)
class CellPlans:
    """Plans of groups by cells, see `Clusters`.

    Parameters
    ----------
    cell, value
        (plans,), and their reduced cost; in order of both.
    begin
        (plans,), how each begins, see `PlanGroups`.
    left
        (plans,), share of the group's demand left unserved.
    plan, column, count
        (entries,), counts of each plan that are not 0, but for what it begins with.
    least
        (cells,), a lower bound on the value of any plan of the cell.
    complete
        (cells,), every plan of a smaller value than this is listed.
    """

    cell: IntArray
    value: FloatArray
    begin: IntArray
    left: FloatArray
    plan: IntArray
    column: IntArray
    count: IntArray
    least: FloatArray
    complete: FloatArray


def enumerate_plans(
    groups: PlanGroups,
    reduced: FloatArray,
    extras: FloatArray,
    begin_extras: FloatArray,
    stay: FloatArray,
    distance: float,
    most: int,
    listed: int,
) -> CellPlans:
    """Return the best plans of each cell, within a distance of the very best.

    Parameters
    ----------
    reduced
        (n,), reduced cost of one unit of each column.
    extras
        (options,), what each count costs beside that.
    begin_extras
        (begins,), what each beginning costs beside its column.
    stay
        (G,), cost of leaving all of the group's demand; inf where it must be served.
    distance
        From the best of a cell, >= 0.
    most
        Plans begun of one cell at a time.
    listed
        Plans returned of one cell.
    """
    return _Enumeration(groups, reduced, extras, begin_extras, stay, distance, most, listed).run()


class _Enumeration:
    """One run: ranks, bounds of what is left, the plans begun."""

    def __init__(
        self,
        groups: PlanGroups,
        reduced: FloatArray,
        extras: FloatArray,
        begin_extras: FloatArray,
        stay: FloatArray,
        distance: float,
        most: int,
        listed: int,
    ) -> None:
        self.groups, self.most, self.listed, self.stay = groups, most, listed, stay
        self.total = groups.problem.groups
        self.cell_group = groups.clusters.cell_group
        self.cells = len(self.cell_group)
        first = groups.option_first[:-1]
        kind = groups.option_kind
        price = reduced[groups.kind_column[kind]]
        units = groups.option_count
        with np.errstate(invalid="ignore"):
            value = np.where(units > 0, price * units, 0.0) + extras
        best = np.minimum.reduceat(value, first) if len(first) else np.zeros(0)
        with np.errstate(invalid="ignore"):
            self.gain = np.where(np.isinf(value), np.inf, value - best[kind])
        # Every kind at its best count: plans pay more than that by the gains of their counts.
        self.base = np.bincount(groups.kind_group, weights=best, minlength=self.total)
        self.idle = self.gain[first] <= 0.0
        self._rank()
        self._threshold(reduced, begin_extras, distance)

    def _rank(self) -> None:
        """Order the kinds of each group, and bound what those from each place on can do."""
        groups, first = self.groups, self.groups.option_first[:-1]
        kinds = len(groups.kind_column)
        carries = groups.option_share > 0
        per_share = np.full(len(self.gain), np.inf)
        np.divide(self.gain, groups.option_share, out=per_share, where=carries)
        ratio = np.minimum.reduceat(per_share, first) if kinds else np.zeros(0)
        step = np.where(carries, self.gain, np.inf)
        cheapest = np.minimum.reduceat(step, first) if kinds else np.zeros(0)
        order = np.lexsort((ratio, groups.kind_group))
        count = np.bincount(groups.kind_group, minlength=self.total)
        self.width = int(count.max(initial=0))
        start = np.cumsum(count) - count
        place = np.arange(kinds) - start[groups.kind_group[order]]
        self.kind_at = np.full((self.total, self.width), -1)
        self.kind_at[groups.kind_group[order], place] = order
        shape = (self.total, self.width + 1)
        self.ratio, self.step = np.full(shape, np.inf), np.full(shape, np.inf)
        self.ratio[:, -1] = self.stay
        self.step[:, -1] = np.where(np.isfinite(self.stay), 0.0, np.inf)
        for j in range(self.width - 1, -1, -1):
            mine = self.kind_at[:, j]
            there = mine >= 0
            self.ratio[:, j], self.step[:, j] = self.ratio[:, j + 1], self.step[:, j + 1]
            self.ratio[there, j] = np.minimum(self.ratio[there, j], ratio[mine[there]])
            self.step[there, j] = np.minimum(self.step[there, j], cheapest[mine[there]])
        self.extra_allowed = groups.linked | ~self.idle | self._needs_units()[groups.kind_group]

    def _needs_units(self) -> BoolArray:
        least = self.groups.items.split.lower_total
        none = np.zeros(self.total, dtype=np.bool_)
        return none if least is None else least > 0

    def _threshold(self, reduced: FloatArray, begin_extras: FloatArray, distance: float) -> None:
        """Bound each cell's best plan from above by one that takes a single kind, and add."""
        groups = self.groups
        taken = groups.begin_column
        price = np.where(taken >= 0, reduced[np.maximum(taken, 0)], 0.0)
        self.begin_cost: FloatArray = self.base[groups.begin_group] + price + begin_extras
        best = np.full(self.total, np.inf)
        open_share = np.zeros(self.total)
        serving = taken < 0
        open_share[groups.begin_group[serving]] = groups.begin_open[serving]
        kind_group = groups.kind_group[groups.option_kind]
        covers = groups.option_share >= open_share[kind_group] - _CARRIED
        np.minimum.at(best, kind_group[covers], self.gain[covers])
        cheap = np.full(self.cells, np.inf)
        done = groups.begin_open <= _CARRIED
        upper = self.begin_cost + np.where(done, 0.0, best[groups.begin_group])
        stays = np.isfinite(self.stay)
        ended = np.where(stays, self.stay, 0.0)[groups.begin_group] * groups.begin_open
        ended = np.where(stays[groups.begin_group], ended, np.inf)
        upper = np.minimum(upper, self.begin_cost + np.where(done, 0.0, ended))
        np.minimum.at(cheap, groups.clusters.begin_cell, upper)
        if self._restricted():
            cheap[:] = np.inf  # a single kind may break a limit on totals or kinds
        noise = 1e-9 * np.abs(np.where(np.isfinite(cheap), cheap, 0.0))
        self.threshold = cheap + distance + noise
        self.distance = distance

    def _restricted(self) -> bool:
        split = self.groups.items.split
        return any(
            limit is not None for limit in (split.most_different, split.lower_total,
                                            split.upper_total)
        )  # fmt: skip

    def run(self) -> CellPlans:
        """Begin all plans, and carry them through the kinds."""
        groups = self.groups
        begin = np.arange(len(groups.begin_group))
        cell, cost, left = groups.clusters.begin_cell, self.begin_cost, groups.begin_open
        units, kinds = np.zeros(len(begin)), np.zeros(len(begin))
        self.given_up = np.full(self.cells, np.inf)
        history: list[tuple[IntArray, IntArray, IntArray]] = []
        kept = self._within(cell, cost, left, 0)
        cell, cost, left = cell[kept], cost[kept], left[kept]
        units, kinds, begin = units[kept], kinds[kept], begin[kept]
        for j in range(self.width):
            kind = self.kind_at[self.cell_group[cell], j]
            number = self._options(kind, left)
            parent = np.repeat(np.arange(len(cell)), number)
            place = np.arange(len(parent)) - np.repeat(np.cumsum(number) - number, number)
            option = groups.option_first[np.maximum(kind[parent], 0)] + place
            real = kind[parent] >= 0
            option = np.where(real, option, 0)
            new_cost = cost[parent] + np.where(real, self.gain[option], 0.0)
            new_left = left[parent] - np.where(real, groups.option_share[option], 0.0)
            kept = self._within(cell[parent], new_cost, new_left, j + 1)
            parent, option, real = parent[kept], option[kept], real[kept]
            count = np.where(real, groups.option_count[option], 0)
            units = units[parent] + count
            kinds = kinds[parent] + (count > 0)
            history.append((parent, kind[parent], count))
            cell, cost, left = cell[parent], new_cost[kept], new_left[kept]
            begin = begin[parent]
        return self._finished(cell, cost, left, units, kinds, begin, history)

    def _options(self, kind: IntArray, left: FloatArray) -> IntArray:
        """Return how many options of its kind each plan begun tries, from the least count on."""
        groups = self.groups
        mine = np.maximum(kind, 0)
        all_of_them = groups.option_first[mine + 1] - groups.option_first[mine]
        rate = groups.kind_rate[mine]
        with np.errstate(divide="ignore", invalid="ignore"):
            enough = np.ceil((left - _CARRIED) / rate) + groups.kind_spares[mine]
        enough = np.where((left <= _CARRIED) | (rate <= 0), 0.0, enough)
        # Counts begin at the least, whose share is carried already: at most so many more.
        number = np.minimum(all_of_them, enough + 1).astype(np.int64)
        number = np.where(self.extra_allowed[mine], all_of_them, number)
        return np.where(kind >= 0, number, 1)

    def _within(self, cell: IntArray, cost: FloatArray, left: FloatArray, j: int) -> IntArray:
        """Return which plans begun can still end within the threshold."""
        group = self.cell_group[cell]
        open_share = np.maximum(left, 0.0)
        unfinished = left > _CARRIED
        with np.errstate(invalid="ignore"):
            more = np.maximum(open_share * self.ratio[group, j], self.step[group, j])
            more = np.where(unfinished, more, 0.0)
        bound = cost + more
        kept = np.flatnonzero((bound <= self.threshold[cell]) & (bound < np.inf))
        if not kept.size:
            return kept
        number = np.bincount(cell[kept], minlength=self.cells)
        if number.max() <= self.most:
            return kept
        order = kept[np.lexsort((bound[kept], cell[kept]))]
        first = np.cumsum(number) - number
        rank = np.arange(len(order)) - first[cell[order]]
        lost = order[rank >= self.most]
        np.minimum.at(self.given_up, cell[lost], bound[lost])
        return np.sort(order[rank < self.most])

    def _finished(
        self,
        cell: IntArray,
        cost: FloatArray,
        left: FloatArray,
        units: FloatArray,
        kinds: FloatArray,
        begin: IntArray,
        history: list[tuple[IntArray, IntArray, IntArray]],
    ) -> CellPlans:
        """Keep what is complete, and read the counts back."""
        split = self.groups.items.split
        group = self.cell_group[cell]
        left = np.where(left > _CARRIED, left, 0.0)
        dropped = self.groups.begin_column[begin] >= 0
        good = (left == 0) | np.isfinite(self.stay[group])
        if split.lower_total is not None:
            good &= dropped | (units >= split.lower_total[group]) | ~split.groups[group]
        if split.upper_total is not None:
            good &= (units <= split.upper_total[group]) | ~split.groups[group]
        if split.most_different is not None:
            good &= (kinds <= split.most_different[group]) | ~split.groups[group]
        value = cost + np.where(np.isfinite(self.stay), self.stay, 0.0)[group] * left
        found = np.full(self.cells, np.inf)
        np.minimum.at(found, cell[good], value[good])
        least = np.minimum(found, self.given_up)
        # A cell without any plan below its threshold has none at all, or only those given up.
        complete = np.minimum(found + self.distance, self.given_up)
        kept = np.flatnonzero(good & (value <= found[cell] + self.distance + 1e-9))
        order = kept[np.lexsort((value[kept], cell[kept]))]
        number = np.bincount(cell[order], minlength=self.cells)
        rank = np.arange(len(order)) - (np.cumsum(number) - number)[cell[order]]
        cut = order[rank >= self.listed]
        np.minimum.at(complete, cell[cut], value[cut])
        kept = order[rank < self.listed]
        rows, columns, counts = [], [], []
        state = kept
        for parent, kind, count in reversed(history):
            mine = np.flatnonzero(count[state] > 0)
            rows.append(mine)
            columns.append(self.groups.kind_column[kind[state[mine]]])
            counts.append(count[state[mine]])
            state = parent[state]
        none = np.zeros(0, dtype=np.int64)
        return CellPlans(
            cell=cell[kept],
            value=value[kept],
            begin=begin[kept],
            left=left[kept],
            plan=np.concatenate([*rows, none]),
            column=np.concatenate([*columns, none]),
            count=np.concatenate([*counts, none]),
            least=least,
            complete=complete,
        )
