"""Lagrangian relaxation of the capacity rows, repair, and an exact core: certified at any size."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar

from solvers.base import LINKED_FEATURES, Feature, SolveParams, Solver, Start
from solvers.dense_backend import dense_backend
from solvers.distribution_version import distribution_version
from solvers.exact import solve_exactly
from solvers.highs import highs_backend
from solvers.isolated_backend import isolated_when_large
from solvers.lagrangian_search import LagrangianSearch
from solvers.plan_search import plan_backend
from solvers.priorities import solve_in_stages
from solvers.problem import AllocationProblem
from solvers.result import SolveResult
from solvers.split_search import solve_split

__all__ = ["LagrangianOptions", "LagrangianSolver"]


@dataclass(frozen=True, slots=True)
class LagrangianOptions:
    """Options of `lagrangian`.

    Parameters
    ----------
    direct_up_to
        Problems of at most so many groups go to branch and cut as they are, >= 0.
    first_core
        Columns beyond one per group in the first core, >= 1; each next core is four times larger.
    """

    direct_up_to: int = 20
    first_core: int = 300

    def __post_init__(self) -> None:
        if self.direct_up_to < 0:
            raise ValueError(f"direct_up_to = {self.direct_up_to}: must be at least 0")
        if self.first_core < 1:
            raise ValueError(f"first_core = {self.first_core}: must be at least 1")


class LagrangianSolver(Solver):
    """Prices on the capacity rows, a repaired choice, and branch and cut on what prices leave open.

    Notes
    -----
    Any prices give a lower bound; the best come from the linear relaxation of a sample of groups,
    improved in boxes of prices over all of them; those of a start, where near, save the sample. The
    choice at these prices is repaired, and columns whose reduced cost exceeds the gap are out; of
    the others a growing core is solved exactly by
    HiGHS until the gap that was asked for is proven. The bound never depends on the core alone:
    columns left out of it cost at least the dual value plus their reduced cost.

    Groups that split, and groups whose columns are linked, are taken apart into plans: counts of
    one group's columns that carry its load, or what a pool and its classes do together. Plans are
    columns of a problem of choice, whose prices, bound and core are as above; the bound knows that
    counts are whole. Where most groups are linked to others, as over the periods of a horizon,
    what hangs together is a block, and plans are of whole blocks, found by branch and cut on each.
    Where nothing can be taken apart, branch and cut does it alone.

    Where rows are dense, better choices are looked for by lists of partial choices, and up to
    `direct_up_to` groups a branch and bound by prices goes on where branch and cut stops early.
    Both need numba, and 20 s of time the first time, to compile them.

    The bound holds in exact arithmetic up to HiGHS' tolerances, as does that of every back end;
    where it comes from prices alone, the rounding of the sums is subtracted. Safe in threads.
    """

    name: ClassVar[str] = "lagrangian"
    summary: ClassVar[str] = (
        "exact, by prices, repair and a core for branch and cut: hundreds to millions of groups"
    )
    features: ClassVar[frozenset[Feature]] = LINKED_FEATURES
    Options: ClassVar[type[LagrangianOptions]] = LagrangianOptions
    requires: ClassVar[tuple[str, ...]] = ("highspy<1.15",)

    @classmethod
    def is_available(cls) -> bool:
        """Whether highspy is installed."""
        return find_spec("highspy") is not None

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        """Solve; see `Solver.solve`."""
        self.require(problem, params)
        options: LagrangianOptions = self.parse_options(params)

        def solve_plain(
            plain: AllocationProblem, stage_params: SolveParams, stage_start: Start | None
        ) -> SolveResult:
            if plain.groups <= options.direct_up_to:
                no_settings: dict[str, bool | int | float | str] = {}
                arguments = (no_settings, stage_params.threads, stage_params.seed)
                backend = isolated_when_large(dense_backend, arguments)
                return solve_exactly(plain, stage_params, stage_start, backend)
            return LagrangianSearch(plain, stage_params, options.first_core).run(stage_start)

        if problem.split is not None or problem.links is not None:
            backend = isolated_when_large(highs_backend, ({}, params.threads, params.seed))
            if problem.groups > options.direct_up_to:
                backend = plan_backend(backend, params.seed, options.first_core)
            result = solve_split(problem, params, start, backend)
        else:
            result = solve_in_stages(problem, params, start, solve_plain)
        statistics = dataclasses.replace(
            result.statistics,
            solver=self.name,
            version=f"highspy {distribution_version('highspy')}",
        )
        return dataclasses.replace(result, statistics=statistics)
