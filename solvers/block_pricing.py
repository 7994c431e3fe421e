"""The best plan of one block at given prices, by branch and cut on the block alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.errors import SolverBackendError
from solvers.highs_search import split_settings, trusted_settings
from solvers.integer_scaling import ScaledObjective
from solvers.mixed_programme import MixedProgramme, highs_programme
from solvers.problem import FloatArray, IntArray

__all__ = ["BlockPlan", "PricedBlock"]

# What a search may end with: the first two prove something, a node or time limit leaves a bound.
_ENDS = ("Optimal", "Infeasible", "Solution limit reached", "Time limit reached")
# Sub-searches take longer than small blocks are worth, and find what hard ones need.
_SUB_SEARCHES = (
    "mip_heuristic_run_rins", "mip_heuristic_run_rens", "mip_heuristic_run_root_reduced_cost",
    "mip_heuristic_run_feasibility_jump",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class BlockPlan:
    """What a search for the best plan has found.

    Parameters
    ----------
    bound
        No plan costs less; +inf: there is none.
    value
        What the plan costs; +inf without one.
    values
        (block's variables,), whole where they must be; None without a plan.
    """

    bound: float
    value: float
    values: FloatArray | None


class PricedBlock:
    """One block, kept in HiGHS from one price to the next.

    Parameters
    ----------
    programme
        Of which the block is a part.
    variables, rows
        The block's.
    unit
        Costs are handed over divided by this.
    seed
        Of HiGHS.
    """

    def __init__(
        self, programme: MixedProgramme, variables: IntArray, rows: IntArray, unit: float, seed: int
    ) -> None:
        import highspy

        self.variables, self._unit = variables, unit
        self._integer = programme.integer[variables]
        self._highs: Any = highspy.Highs()
        part = _part_of(programme, variables, rows)
        settings: dict[str, bool | int | float | str] = {
            "output_flag": False, "threads": 1, "random_seed": seed, "mip_allow_restart": False,
            **trusted_settings(), **split_settings(part),
        }  # fmt: skip
        for name, value in settings.items():
            self._highs.setOptionValue(name, value)
        self._highs.passModel(highs_programme(part))
        self._start: FloatArray | None = None

    def price(
        self,
        cost: FloatArray,
        *,
        start: FloatArray | None = None,
        relative_gap: float,
        nodes: int,
        thorough: bool,
        time_limit_s: float | None,
    ) -> BlockPlan:
        """Return the best plan at a cost of the variables.

        Parameters
        ----------
        start
            A plan to begin at; None: the last one found.
        relative_gap
            At which the search ends.
        nodes
            After which it ends.
        thorough
            Whether to look for solutions by sub-searches.
        time_limit_s
            After which it ends; None: no limit.

        Raises
        ------
        SolverBackendError
            If HiGHS fails.
        """
        import highspy

        highs = self._highs
        count = len(self.variables)
        highs.clearSolver()
        highs.changeColsCost(count, np.arange(count, dtype=np.int32), cost / self._unit)
        for name in _SUB_SEARCHES:
            highs.setOptionValue(name, thorough)
        highs.setOptionValue("mip_rel_gap", relative_gap)
        highs.setOptionValue("mip_max_nodes", nodes)
        limit = math.inf if time_limit_s is None else highs.getRunTime() + time_limit_s
        highs.setOptionValue("time_limit", limit)
        known = self._start if start is None else start
        if known is not None:
            solution = highspy.HighsSolution()
            solution.col_value = known
            highs.setSolution(solution)
        highspy.Highs.resetGlobalScheduler(True)
        highs.run()
        return self._read(cost)

    def _read(self, cost: FloatArray) -> BlockPlan:
        import highspy

        highs = self._highs
        status = str(highs.modelStatusToString(highs.getModelStatus()))
        if status not in _ENDS:
            raise SolverBackendError(f"HiGHS: plan of a block: {status}")
        if status == "Infeasible":
            return BlockPlan(math.inf, math.inf, None)
        info = highs.getInfo()
        bound = self._unit * float(
            info.mip_dual_bound if self._integer.any() else info.objective_function_value
        )
        if status != "Optimal" and not self._integer.any():
            bound = -math.inf
        if info.primal_solution_status != int(highspy.SolutionStatus.kSolutionStatusFeasible):
            return BlockPlan(bound, math.inf, None)
        values = np.array(highs.getSolution().col_value)
        values = np.where(self._integer, np.rint(values), values)
        self._start = values
        return BlockPlan(bound, float(cost @ values), values)


def _part_of(programme: MixedProgramme, variables: IntArray, rows: IntArray) -> MixedProgramme:
    """Return the block as a programme of its own, without costs."""
    place = np.full(programme.variables, -1)
    place[variables] = np.arange(len(variables))
    row_place = np.full(len(programme.row_lower), -1)
    row_place[rows] = np.arange(len(rows))
    mine = row_place[programme.rows] >= 0
    return MixedProgramme(
        objective=ScaledObjective(np.zeros(len(variables)), 1.0, 0.0, exact=False),
        lower=programme.lower[variables],
        upper=programme.upper[variables],
        integer=programme.integer[variables],
        rows=row_place[programme.rows[mine]],
        columns=place[programme.columns[mine]],
        values=programme.values[mine],
        row_lower=programme.row_lower[rows],
        row_upper=programme.row_upper[rows],
    )
