"""Prices of rows in the linear relaxation of any problem: with a split part, links, or neither."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.errors import MissingExtraError, ProblemError
from solvers.problem import AllocationProblem
from solvers.result import Reason
from solvers.small_programme import relaxed_duals
from solvers.split_items import SplitItems
from solvers.split_programme import SplitProgramme

__all__ = ["RelaxedPrices", "relaxed_prices"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RelaxedPrices:
    """What one unit more of each row's limit saves, in the relaxation.

    Parameters
    ----------
    reason
        OPTIMAL; INFEASIBLE or, out of time, NO_SOLUTION_FOUND: then there are no prices.
    capacity
        (m,), >= 0.
    links
        (rows,), >= 0 where the upper limit binds, <= 0 where the lower one does; empty without
        links.
    """

    reason: Reason
    capacity: FloatArray
    links: FloatArray


def relaxed_prices(problem: AllocationProblem, time_limit_s: float | None = None) -> RelaxedPrices:
    """Return the row duals of the linear relaxation, by HiGHS.

    Counts, choices and whole further columns may be any number between their bounds.

    Parameters
    ----------
    problem
        Without priorities, see `with_stages_frozen`.
    time_limit_s
        Seconds, > 0; None: no limit.

    Raises
    ------
    ProblemError
        If the problem has priorities, or rows kept with a probability.
    MissingExtraError
        If HiGHS is not installed.
    SolverBackendError
        If HiGHS fails.
    """
    if problem.priority is not None or problem.chance is not None:
        raise ProblemError(
            "prices are of linear rows and one objective: freeze the priorities' stages with "
            "with_stages_frozen, and write the problem without `chance`"
        )
    programme = SplitProgramme(problem, SplitItems(problem))
    mixed = programme.programme(programme.cost_objective(), [], [])
    # Whole rows round their capacity down, which a fraction of a unit more would not change.
    known = np.flatnonzero(programme.capacity_row >= 0)
    rows, factor = programme.capacity_row[known], programme.capacity_factor[known]
    upper = mixed.row_upper.copy()
    upper[rows] = problem.capacity[known] * factor
    try:
        duals = relaxed_duals(dataclasses.replace(mixed, row_upper=upper), time_limit_s)
    except ImportError as error:
        raise MissingExtraError("prices need HiGHS; try: pip install 'highspy<1.15'") from error
    if duals is None or not duals.size:
        reason = Reason.NO_SOLUTION_FOUND if duals is None else Reason.INFEASIBLE
        return RelaxedPrices(reason, np.zeros(0), np.zeros(0))
    saved = -duals * mixed.objective.unit
    capacity = np.zeros(problem.rows)
    capacity[known] = np.maximum(saved[rows] * factor, 0.0)
    linked = programme.link_factor
    first = programme.first_link
    return RelaxedPrices(Reason.OPTIMAL, capacity, saved[first : first + len(linked)] * linked)
