"""The continuous relaxation through cvxpy: prices of the rows, their bound, and a rounding."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import ClassVar

from solvers.base import Feature, SolveParams, Solver, Start
from solvers.chance_search import solve_with_chance
from solvers.convex_search import ConvexSearch
from solvers.cvxpy_relaxation import LEAST_COST, LEAST_OVERLOAD, cvxpy_backend
from solvers.exact import Backend
from solvers.highs import HighsSolver
from solvers.isolated_backend import isolated, isolated_when_large
from solvers.lagrangian import LagrangianSolver
from solvers.priorities import solve_in_stages
from solvers.problem import AllocationProblem
from solvers.result import SolveResult

__all__ = ["ConvexOptions", "ConvexSolver"]

# Columns and usage entries together from which a relaxation gets a process of its own when someone
# is in a hurry: below, the default takes at most 0.3 s (family `fleet`, 1 000 groups: 26 000 and
# 0.1 s); how long other solvers are deaf is not known. HiGHS 1.14, November 2026.
_LARGE = 40_000
_DEFAULT, _OF_CONES = "HIGHS", "CLARABEL"
# As `auto` chooses among the exact solvers.
_PRICED_FROM_GROUPS = 150
# Others always get one: OSQP 1.1 beside SCS 3.3, HiGHS and OR-Tools ended whole processes by a
# segmentation fault, which then costs an error only.
_SAFE = ("HIGHS", "CLARABEL")
# Importing cvxpy takes about a second of CPU, in which nothing looks at the clock: under a shorter
# limit than this it is not done here.
_ROOM_TO_IMPORT_S = 3.0


@dataclass(frozen=True, slots=True)
class ConvexOptions:
    """Options of `convex`.

    Parameters
    ----------
    backend
        Name of a solver that cvxpy knows, without regard to case: "HIGHS", "CLARABEL", "SCS", ...
    """

    backend: str = _DEFAULT

    def __post_init__(self) -> None:
        if not isinstance(self.backend, str):
            raise TypeError(f"backend = {self.backend!r}: must be a name such as 'HIGHS'")


class ConvexSolver(Solver):
    """The relaxation in which columns may be chosen in fractions, and a rounding of it.

    Notes
    -----
    The dual values of the rows are the result's prices. Whatever cvxpy's solver answers, within
    whatever tolerance, only what can be verified counts: the bound is the Lagrangian dual function
    at these prices, evaluated over all columns; "infeasible" needs prices at which every group's
    least usage costs more than all there is. The rounding takes each group's largest fraction,
    repairs and fills by reduced costs, and looks through the nearest columns by branch and cut; it
    is a heuristic, and may find nothing where a solution exists.

    Rows that are kept with a probability (`AllocationProblem.chance`) are second-order cones of the
    relaxation, which Clarabel solves; whole columns then come of exact solves with linear rows,
    `highs` or `lagrangian`, until every cone is kept. Given time, that proves the optimum.

    HiGHS, an exact method for the relaxation, leaves at most as many groups in fractions as there
    are rows. cvxpy cannot be interrupted: under a time limit or a cancel flag, large models and
    Clarabel run in a process of their own, other back ends always do. In this process one
    relaxation is solved at a time; otherwise safe in threads.
    """

    name: ClassVar[str] = "convex"
    summary: ClassVar[str] = (
        "relaxation and rounding (cvxpy): prices of capacity and their bound, up to some ten "
        "thousand groups"
    )
    features: ClassVar[frozenset[Feature]] = frozenset(
        {
            Feature.DUAL_BOUND,
            Feature.TIME_LIMIT,
            Feature.WARM_START,
            Feature.STRICT_PRIORITIES,
            Feature.PROGRESS,
            Feature.CANCEL,
            Feature.CHANCE,
        }
    )
    Options: ClassVar[type[ConvexOptions]] = ConvexOptions
    requires: ClassVar[tuple[str, ...]] = ("cvxpy>=1.7,<2", "highspy<1.15")

    @classmethod
    def is_available(cls) -> bool:
        """Whether cvxpy is installed, and highspy."""
        return find_spec("cvxpy") is not None and find_spec("highspy") is not None

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        """Solve the relaxation and round it; see `Solver.solve`."""
        self.require(problem, params)
        options: ConvexOptions = self.parse_options(params)
        if problem.chance is not None:
            return self._with_chance(problem, params, start, options)
        relax, relax_overload = (
            _placed(params, (options.backend, params.seed, objective))
            for objective in (LEAST_COST, LEAST_OVERLOAD)
        )

        def solve_plain(
            plain: AllocationProblem, stage_params: SolveParams, stage_start: Start | None
        ) -> SolveResult:
            return ConvexSearch(plain, stage_params, relax, relax_overload).run(stage_start)

        result = solve_in_stages(problem, params, start, solve_plain)
        statistics = dataclasses.replace(
            result.statistics,
            solver=self.name,
            version=f"cvxpy {version('cvxpy')}, {options.backend}",
        )
        return dataclasses.replace(result, statistics=statistics)

    def _with_chance(
        self,
        problem: AllocationProblem,
        params: SolveParams,
        start: Start | None,
        options: ConvexOptions,
    ) -> SolveResult:
        """Solve with uncertain rows: cones in fractions, linear rows in whole columns."""
        # HiGHS knows no cones.
        name = _OF_CONES if options.backend.upper() == _DEFAULT else options.backend
        relax = _placed(params, (name, params.seed, LEAST_COST))
        large = problem.groups >= _PRICED_FROM_GROUPS
        linear = LagrangianSolver() if large else HighsSolver()
        result = solve_with_chance(problem, params, start, relax, linear)
        statistics = dataclasses.replace(
            result.statistics,
            solver=self.name,
            version=f"cvxpy {version('cvxpy')}, {name}; {linear.name}",
        )
        return dataclasses.replace(result, statistics=statistics)


def _placed(params: SolveParams, arguments: tuple[str, int, str]) -> Backend:
    """Return the back end in this process where that is safe for it and for the clock."""
    name = arguments[0].upper()
    if name not in _SAFE:
        return isolated(cvxpy_backend, arguments)
    large = _LARGE if name == _DEFAULT and not _too_short_to_import(params) else 0
    return isolated_when_large(cvxpy_backend, arguments, large=large)


def _too_short_to_import(params: SolveParams) -> bool:
    limit = params.time_limit_s
    return limit is not None and limit < _ROOM_TO_IMPORT_S and "cvxpy" not in sys.modules
