"""Mixed-integer programming through PuLP: HiGHS by default, any installed back end by name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar

from solvers.base import LINKED_FEATURES, Feature, SolveParams, Solver, Start
from solvers.distribution_version import distribution_version
from solvers.exact import solve_exactly
from solvers.priorities import solve_in_stages
from solvers.problem import AllocationProblem
from solvers.pulp_backends import pulp_backend
from solvers.result import SolveResult
from solvers.split_search import solve_split

__all__ = ["MilpOptions", "MilpSolver"]


@dataclass(frozen=True, slots=True)
class MilpOptions:
    """Options of `milp`.

    Parameters
    ----------
    backend
        Name of a back end that PuLP knows, without regard to case: "HiGHS", "CBC", ...
    """

    backend: str = "HiGHS"

    def __post_init__(self) -> None:
        if not isinstance(self.backend, str):
            raise TypeError(f"backend = {self.backend!r}: must be a name such as 'HiGHS'")


class MilpSolver(Solver):
    """Branch and cut on the binary programme, through PuLP.

    Notes
    -----
    Bounds are the back end's own; a back end that reports none through PuLP (all but HiGHS and CBC)
    proves what its claim of optimality implies. Only HiGHS reports progress while it runs. Under a
    time limit or a cancel flag large models, and back ends other than HiGHS and CBC, run in a
    process of their own. Safe in threads.
    """

    name: ClassVar[str] = "milp"
    summary: ClassVar[str] = (
        "exact, by branch and cut (PuLP with HiGHS, CBC, ...): up to about ten thousand groups"
    )
    features: ClassVar[frozenset[Feature]] = LINKED_FEATURES
    Options: ClassVar[type[MilpOptions]] = MilpOptions
    requires: ClassVar[tuple[str, ...]] = ("pulp", "highspy<1.15")

    @classmethod
    def is_available(cls) -> bool:
        """Whether PuLP is installed."""
        return find_spec("pulp") is not None

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        """Solve with the back end that the options name; see `Solver.solve`."""
        self.require(problem, params)
        options: MilpOptions = self.parse_options(params)
        backend_name, backend = pulp_backend(options.backend, params)

        def solve_plain(
            plain: AllocationProblem, stage_params: SolveParams, stage_start: Start | None
        ) -> SolveResult:
            return solve_exactly(plain, stage_params, stage_start, backend)

        if problem.split is not None or problem.links is not None:
            result = solve_split(problem, params, start, backend)
        else:
            result = solve_in_stages(problem, params, start, solve_plain)
        statistics = dataclasses.replace(
            result.statistics,
            solver=self.name,
            version=f"PuLP {distribution_version('pulp')}, {backend_name}",
        )
        return dataclasses.replace(result, statistics=statistics)
