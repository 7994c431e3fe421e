"""The core of an allocation problem: the columns of small reduced cost, solved exactly.

At prices with dual value L, a solution that uses a column whose reduced cost lies s above its
group's least costs at least L + s. So the best solution within the columns of s <= t, or L + t if
that is less, bounds the whole problem; once t passes the gap, the core holds an optimum.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from solvers.base import SolveParams, Start
from solvers.exact import BackendAnswer, BackendRequest, solve_exactly
from solvers.grouped_columns import GroupedColumns
from solvers.highs import highs_backend
from solvers.isolated_backend import isolated_when_large
from solvers.priced_columns import PricedColumns
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray, IntArray
from solvers.progress import Progress, ProgressCallback
from solvers.result import SolveResult
from solvers.sparse_columns import SparseColumns
from solvers.swap_model import swap_backend

__all__ = [
    "Core",
    "CoreAnswer",
    "nearest_columns",
    "rows_changed",
    "solve_core",
    "suits_swaps",
]

_DISTANCE_GROWTH = 4.0
# Reduced costs are sums of a few products: what is left out is that much nearer at most.
_ROUNDING = 1e-12
# A core begins with an incumbent and a tight bound: presolving it anew after the root, and looking
# for a neighbourhood by reduced costs, take a fifth of the time of cores of `fleet` and `lumpy` for
# nothing. With many entries a column that neighbourhood is where the better solutions come from
# (public instances I10, INST25, INST30). HiGHS 1.14, November 2026.
_SETTINGS: dict[str, bool | int | float | str] = {"mip_allow_restart": False}
# Entries a column, on average, up to which a core counts as sparse, and rows up to which a sparse
# core is written as swaps: with 200 rows (`many-rows`) presolve is worth its time.
_SPARSE = 3
_SWAPPED_ROWS = 50


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """Columns of small reduced cost.

    Parameters
    ----------
    positions
        Ascending, every group's least among them.
    slack
        Distance of each to its group's least.
    rest
        No column outside is nearer than this; inf when none is outside.
    """

    positions: IntArray
    slack: FloatArray
    rest: float


@dataclass(frozen=True, slots=True, eq=False)
class CoreAnswer:
    """What solving a core brought.

    Parameters
    ----------
    result
        Of the core's problem, without the groups that have no choice in it; None where the others
        leave no room.
    choice
        (G,), positions; None without a solution.
    bound
        On the cost of any solution, within the core or not.
    """

    result: SolveResult | None
    choice: IntArray | None
    bound: float


def suits_swaps(usage: SparseColumns) -> bool:
    """Whether cores are solved as swaps without presolve: few rows, and few entries a column."""
    return _is_sparse(usage) and usage.shape[0] <= _SWAPPED_ROWS


def _is_sparse(usage: SparseColumns) -> bool:
    return len(usage.values) <= _SPARSE * usage.shape[1]


def nearest_columns(priced: PricedColumns, count: int, within: float) -> Core:
    """Return the nearest columns: each group's least, and about `count` more.

    Parameters
    ----------
    within
        Columns further away than this are not wanted, >= 0; `inf` allowed.
    """
    columns = priced.columns
    wanted = columns.groups + count
    least_step = max(_ROUNDING * priced.least.magnitude / columns.groups, 1e-300)
    distance = within
    if wanted < columns.size:
        distance = min(within, priced.guessed_distance(wanted))
    while True:
        positions, slack = priced.below(distance)
        finite = np.isfinite(slack)
        positions, slack = positions[finite], slack[finite]
        if len(positions) >= wanted or distance >= within:
            break
        distance = min(within, max(distance * _DISTANCE_GROWTH, least_step))
        if len(positions) == columns.size - len(columns.barred):
            break
    complete = len(positions) == columns.size - len(columns.barred)
    rest = math.inf if complete else distance
    if len(positions) > wanted:
        furthest = float(np.partition(slack, wanted)[wanted])
        kept = (slack < furthest) | (slack == 0.0)
        if not kept.all():
            positions, slack, rest = positions[kept], slack[kept], furthest
    return Core(positions, slack, rest)


def rows_changed(priced: PricedColumns, core: Core) -> IntArray:
    """Return how many of a core's columns use each row instead of their group's least, or less."""
    columns = priced.columns
    others = core.positions[core.positions != priced.least.choice[columns.group_of(core.positions)]]
    left = priced.least.choice[columns.group_of(others)]
    rows = np.concatenate([columns.usage.take(part).rows for part in (others, left)])
    return np.bincount(rows, minlength=columns.usage.shape[0])


def solve_core(
    columns: GroupedColumns,
    capacity: FloatArray,
    core: Core,
    incumbent: IntArray | None,
    dual: float,
    absolute_gap: float,
    params: SolveParams,
    most_nodes: int | None,
) -> CoreAnswer:
    """Solve the problem restricted to a core.

    Parameters
    ----------
    capacity
        (m,), of the whole problem.
    incumbent
        (G,), a feasible choice, whose columns join the core; or None.
    dual
        Dual value at the core's prices.
    absolute_gap
        Gap in cost that is good enough.
    params
        With the time that it may take; the relative gap is not looked at.
    most_nodes
        Of branch and cut; None: as many as it takes.
    """
    part = _restricted(columns, capacity, core, incumbent)
    outside = dual + core.rest * (1.0 - _ROUNDING)
    if part is None:
        return CoreAnswer(None, None, outside)
    settings, make = dict(_SETTINGS), highs_backend
    if _is_sparse(part.problem.usage):
        settings["mip_heuristic_run_root_reduced_cost"] = False
    elif incumbent is None:
        settings = {}  # it has to find what others start from
    if suits_swaps(part.problem.usage):
        make = swap_backend
    if most_nodes is not None:
        settings["mip_max_nodes"] = most_nodes
    backend = isolated_when_large(make, (settings, params.threads, params.seed))

    def ask(request: BackendRequest) -> BackendAnswer:
        return backend(dataclasses.replace(request, relative_gap=0.0, absolute_gap=absolute_gap))

    progress = _shifted(params.progress, part.fixed_cost, outside)
    start = None
    if incumbent is not None:
        chosen = np.zeros(columns.size, dtype=np.int64)
        chosen[incumbent] = 1
        start = Start(chosen[part.positions])
    result = solve_exactly(part.problem, dataclasses.replace(params, progress=progress), start, ask)
    choice = None
    if result.x is not None:
        choice = np.sort(np.concatenate([part.fixed, part.positions[result.x > 0]]))
    return CoreAnswer(result, choice, min(result.dual_bound + part.fixed_cost, outside))


@dataclass(frozen=True, slots=True, eq=False)
class _Restricted:
    """The problem over some columns: those of groups with a choice, and what is fixed."""

    problem: AllocationProblem
    positions: IntArray
    fixed: IntArray
    fixed_cost: float


def _restricted(
    columns: GroupedColumns, capacity: FloatArray, core: Core, incumbent: IntArray | None
) -> _Restricted | None:
    """Return the problem restricted to the core; None when the fixed columns leave no room."""
    positions = core.positions
    if incumbent is not None:
        present = np.zeros(columns.size, dtype=bool)
        present[positions] = present[incumbent] = True
        positions = np.flatnonzero(present)
    group = columns.group_of(positions)
    free = np.bincount(group, minlength=columns.groups)[group] > 1
    fixed, chosen_from = positions[~free], positions[free]
    # The tolerance is the whole row's, not that of what is left of it.
    left = capacity - columns.used(fixed) / (1.0 + CAPACITY_TOLERANCE)
    if (left < -CAPACITY_TOLERANCE * capacity).any():
        return None
    _, members = np.unique(group[free], return_inverse=True)
    problem = AllocationProblem(
        columns.cost[chosen_from], columns.usage.take(chosen_from), np.maximum(left, 0.0), members
    )
    return _Restricted(problem, chosen_from, fixed, math.fsum(columns.cost[fixed].tolist()))


def _shifted(
    callback: ProgressCallback | None, fixed_cost: float, outside: float
) -> ProgressCallback | None:
    """Return a callback for the core's progress that reports the whole problem's."""
    if callback is None:
        return None

    def report(progress: Progress) -> None:
        bound = min(progress.bound + fixed_cost, outside)
        callback(
            dataclasses.replace(progress, incumbent=progress.incumbent + fixed_cost, bound=bound)
        )

    return report
