"""Branch and cut over swaps: an allocation problem as changes to one choice, without presolve.

One column of each group is its base; a binary variable swaps to another column and carries the
difference in cost and usage. Groups with one other column need no row of their own, and equal swaps
of such groups are one integer variable. That is what presolve makes of a sparse core in the end, at
five to forty times the price of solving it afterwards (HiGHS 1.14, family `fleet`, November 2026).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.base import SolveParams
from solvers.exact import Backend, BackendAnswer, BackendRequest
from solvers.highs_arrays import new_highs
from solvers.highs_search import search_with_highs, skips_jump
from solvers.problem import CAPACITY_TOLERANCE, BoolArray, FloatArray, IntArray
from solvers.scaled_model import ScaledModel, scale_model
from solvers.search_monitor import Monitor
from solvers.sparse_columns import SparseColumns

__all__ = ["SwapModel", "swap_backend"]

# Swaps with more changed rows than this are not compared with one another.
_COMPARED_ENTRIES = 8


@dataclass(frozen=True, slots=True, eq=False)
class SwapModel:
    """`min offset + cost @ y` over whole 0 <= y <= most, `usage @ y <= limit`, one swap a group.

    Parameters
    ----------
    base
        (G,), column that each group has without a swap.
    columns, replaced
        Columns swapped to, those of one variable together, and the base columns they replace.
    variable
        Variable of each of these swaps, ascending.
    cost
        (v,), may be negative.
    usage
        (m, v), may be negative.
    limit
        (m,), what the base choice leaves; may be negative.
    most
        (v,), equal swaps that a variable stands for.
    member
        (v,), row in which at most one of several swaps is made; -1 where there is only one.
    offset
        Cost of the base choice.
    """

    base: IntArray
    columns: IntArray
    replaced: IntArray
    variable: IntArray
    cost: FloatArray
    usage: SparseColumns
    limit: FloatArray
    most: IntArray
    member: IntArray
    offset: float

    @classmethod
    def of(
        cls,
        coefficients: FloatArray,
        usage: SparseColumns,
        limit: FloatArray,
        group: IntArray,
        base: IntArray,
        *,
        merged: bool,
    ) -> SwapModel:
        """Write a model of one column per group as swaps from a base choice (G,).

        Parameters
        ----------
        merged
            Whether equal swaps become one variable: pays where a search follows.
        """
        is_base = np.zeros(len(group), dtype=bool)
        is_base[base] = True
        others = np.flatnonzero(~is_base)
        replaced = base[group[others]]
        changed = _differences(usage, others, replaced)
        cost = coefficients[others] - coefficients[replaced]
        single = np.bincount(group[others], minlength=len(base))[group[others]] == 1
        order, first = np.arange(len(others)), np.ones(len(others), dtype=bool)
        if merged:
            order, first = _equal_runs(cost, changed, single)
        variable = np.cumsum(first) - 1
        leading = order[first]
        member = np.full(len(leading), -1)
        shared = ~single[leading]
        _, member[shared] = np.unique(group[others[leading[shared]]], return_inverse=True)
        return cls(
            base=base,
            columns=others[order],
            replaced=replaced[order],
            variable=variable,
            cost=cost[leading],
            usage=changed.take(leading) if merged else changed,
            limit=limit - usage.take(base).dot(np.ones(len(base))),
            most=np.bincount(variable, minlength=len(leading)),
            member=member,
            offset=float(coefficients[base].sum()),
        )

    def solution(self, y: IntArray, size: int) -> IntArray:
        """Return swaps (v,) as a choice (size,) of 0 and 1."""
        first = np.searchsorted(self.variable, np.arange(len(y)))
        rank = np.arange(len(self.variable)) - first[self.variable]
        made = rank < y[self.variable]
        x = np.zeros(size, dtype=np.int64)
        x[self.base] = 1
        x[self.replaced[made]] = 0
        x[self.columns[made]] = 1
        return x

    def programme(self, *, whole: bool) -> Any:
        """Return the model as HiGHS' own arrays, of whole numbers or its relaxation."""
        import highspy

        m, n = self.usage.shape
        own = np.flatnonzero(self.member >= 0)
        groups = int(self.member.max(initial=-1)) + 1
        width = np.diff(self.usage.indptr)
        width[own] += 1
        start = np.concatenate([[0], np.cumsum(width)])
        index = np.empty(int(start[-1]), dtype=np.int32)
        value = np.ones(len(index))
        usage = np.ones(len(index), dtype=bool)
        usage[start[own + 1] - 1] = False
        index[usage], value[usage] = self.usage.rows, self.usage.values
        index[~usage] = m + self.member[own]
        programme = highspy.HighsLp()
        programme.num_col_, programme.num_row_ = n, m + groups
        programme.offset_ = self.offset
        programme.col_cost_ = self.cost
        programme.col_lower_, programme.col_upper_ = np.zeros(n), self.most.astype(np.float64)
        programme.row_lower_ = np.full(m + groups, -np.inf)
        programme.row_upper_ = np.concatenate([self.limit, np.ones(groups)])
        programme.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        programme.a_matrix_.start_ = start.astype(np.int32)
        programme.a_matrix_.index_ = index
        programme.a_matrix_.value_ = value
        if whole:
            programme.integrality_ = [highspy.HighsVarType.kInteger] * n
        return programme


def _differences(usage: SparseColumns, columns: IntArray, replaced: IntArray) -> SparseColumns:
    """Return the usage of some columns less that of the ones they replace."""
    plus, minus = usage.take(columns), usage.take(replaced)
    rows, count = usage.shape[0], len(columns)
    cell = np.concatenate([part.columns * rows + part.rows for part in (plus, minus)])
    cells, place = np.unique(cell, return_inverse=True)
    values = np.zeros(len(cells))
    values[place[: len(plus.values)]] = plus.values
    values[place[len(plus.values) :]] -= minus.values
    column, row = np.divmod(cells, max(rows, 1))
    return SparseColumns.from_triplets((rows, count), rows=row, columns=column, values=values)


def _equal_runs(
    cost: FloatArray, usage: SparseColumns, single: BoolArray
) -> tuple[IntArray, BoolArray]:
    """Order swaps so that equal ones of single groups are neighbours; and where each run begins."""
    count = len(cost)
    width = np.diff(usage.indptr)
    widest = int(width.max(initial=0))
    if widest > _COMPARED_ENTRIES:
        return np.arange(count), np.ones(count, dtype=bool)
    place = np.arange(len(usage.values)) - np.repeat(usage.indptr[:-1], width)
    key = np.zeros((2 * widest + 2, count))
    key[0] = np.where(single, 0, np.arange(1, count + 1))
    key[1] = cost
    owner = usage.columns
    key[2 + place, owner] = usage.rows + 1
    key[2 + widest + place, owner] = usage.values
    order = np.lexsort(key)
    first = np.ones(count, dtype=bool)
    first[1:] = (key[:, order[1:]] != key[:, order[:-1]]).any(axis=0)
    return order, first


def swap_backend(
    settings: Mapping[str, bool | int | float | str], threads: int, seed: int
) -> Backend:
    """Return a back end for `solve_exactly` that hands HiGHS the swaps from the start.

    Without a start the swaps are from the cheapest columns.

    Parameters
    ----------
    settings
        HiGHS' own options by its names.
    """

    def ask(request: BackendRequest) -> BackendAnswer:
        began = time.perf_counter()
        problem = request.problem
        scaled = scale_model(problem)
        model = SwapModel.of(
            scaled.objective.coefficients,
            scaled.usage,
            scaled.limit,
            problem.group,
            _base(request, scaled),
            merged=True,
        )
        if not len(model.cost):
            return _only_choice(model, scaled, problem.columns)
        start = None if request.start is None else np.zeros(len(model.cost), dtype=np.int64)
        options: dict[str, object] = {
            "presolve": "off",
            "mip_rel_gap": scaled.relative_gap(request.relative_gap),
            "mip_abs_gap": scaled.absolute_gap(request.absolute_gap),
        }
        if skips_jump(problem.columns, start):
            options["mip_heuristic_run_feasibility_jump"] = False
        params = SolveParams(threads=threads, seed=seed)
        highs = new_highs(params, None, **{**options, **settings})
        highs.passModel(model.programme(whole=True))
        build_s = time.perf_counter() - began
        left = None if request.time_limit_s is None else max(request.time_limit_s - build_s, 0.01)
        answer = search_with_highs(
            highs,
            scaled.objective,
            _SwapMonitor(model, problem.columns, request.monitor),
            time_limit_s=left,
            start=start,
            build_s=build_s,
        )
        if answer.x is None:
            return answer
        return dataclasses.replace(answer, x=model.solution(answer.x, problem.columns))

    return ask


def _only_choice(model: SwapModel, scaled: ScaledModel, size: int) -> BackendAnswer:
    """Return the base choice, or that it leaves too little; it is verified against the rows."""
    if (model.limit < -CAPACITY_TOLERANCE * scaled.limit).any():
        return BackendAnswer(infeasible=True)
    x = model.solution(np.zeros(0, dtype=np.int64), size)
    return BackendAnswer(x=x, dual_bound=scaled.objective.cost_bound(model.offset))


def _base(request: BackendRequest, scaled: ScaledModel) -> IntArray:
    """Return the start's columns, or each group's cheapest."""
    group = request.problem.group
    if request.start is not None:
        chosen = np.flatnonzero(request.start)
        base = np.empty(len(chosen), dtype=np.int64)
        base[group[chosen]] = chosen
        return base
    order = np.lexsort((scaled.objective.coefficients, group))
    _, first = np.unique(group[order], return_index=True)
    cheapest: IntArray = order[first]
    return cheapest


class _SwapMonitor:
    """Passes on what is told about swaps as what it means for columns."""

    def __init__(self, model: SwapModel, size: int, monitor: Monitor) -> None:
        self._model, self._size, self._monitor = model, size, monitor
        self.can_cancel = monitor.can_cancel

    def cancelled(self) -> bool:
        return self._monitor.cancelled()

    def incumbent(self, x: IntArray) -> None:
        self._monitor.incumbent(self._model.solution(x, self._size))

    def bound(self, bound: float) -> None:
        self._monitor.bound(bound)
