"""Branch and cut by HiGHS on sparse arrays, without a modelling layer between."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from solvers.base import LINKED_FEATURES, Feature, SolveParams, Solver, Start
from solvers.distribution_version import distribution_version
from solvers.errors import SolverOptionError
from solvers.exact import Backend, BackendAnswer, BackendRequest, solve_exactly
from solvers.highs_arrays import choice_programme
from solvers.highs_search import search_with_highs, skips_jump, split_settings, trusted_settings
from solvers.isolated_backend import isolated_when_large
from solvers.mixed_programme import MixedProgramme, highs_programme
from solvers.priorities import solve_in_stages
from solvers.problem import AllocationProblem
from solvers.result import SolveResult
from solvers.scaled_model import ScaledModel, scale_model
from solvers.split_search import solve_split

__all__ = ["HighsOptions", "HighsSolver", "highs_backend"]

# What is set from the common parameters and the request.
_RESERVED = ("time_limit", "threads", "random_seed", "mip_rel_gap", "mip_abs_gap")


@dataclass(frozen=True, slots=True)
class HighsOptions:
    """Options of `highs`.

    Parameters
    ----------
    settings
        HiGHS' own options by its names, such as {"presolve": "off", "mip_heuristic_effort": 0.2};
        time, threads, seed and gaps are the common parameters.
    """

    settings: Mapping[str, bool | int | float | str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.settings, Mapping):
            raise TypeError(f"settings = {self.settings!r}: must be a mapping of names to values")
        taken = sorted(set(self.settings) & set(_RESERVED))
        if taken:
            raise ValueError(
                f"settings: {', '.join(taken)} come from time_limit_s, threads, seed, relative_gap"
            )


class HighsSolver(Solver):
    """Branch and cut by HiGHS.

    Notes
    -----
    The arrays go to HiGHS as they are, but for scaling: building takes 10 ms per 100 000 columns.
    Under a time limit or a cancel flag a large model is solved in a process of its own, which is
    stopped when HiGHS is deaf. Deterministic. Safe in threads.
    """

    name: ClassVar[str] = "highs"
    summary: ClassVar[str] = (
        "exact, by branch and cut on sparse arrays (HiGHS): up to some ten thousand groups"
    )
    features: ClassVar[frozenset[Feature]] = LINKED_FEATURES
    Options: ClassVar[type[HighsOptions]] = HighsOptions
    requires: ClassVar[tuple[str, ...]] = ("highspy<1.15",)

    @classmethod
    def is_available(cls) -> bool:
        """Whether highspy is installed."""
        return find_spec("highspy") is not None

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        """Solve with HiGHS; see `Solver.solve`."""
        self.require(problem, params)
        options: HighsOptions = self.parse_options(params)
        arguments = (dict(options.settings), params.threads, params.seed)
        backend = isolated_when_large(highs_backend, arguments)

        def solve_plain(
            plain: AllocationProblem, stage_params: SolveParams, stage_start: Start | None
        ) -> SolveResult:
            return solve_exactly(plain, stage_params, stage_start, backend)

        if problem.split is not None or problem.links is not None:
            result = solve_split(problem, params, start, backend)
        else:
            result = solve_in_stages(problem, params, start, solve_plain)
        statistics = dataclasses.replace(
            result.statistics, solver=self.name, version=f"HiGHS {distribution_version('highspy')}"
        )
        return dataclasses.replace(result, statistics=statistics)


def highs_backend(
    settings: Mapping[str, bool | int | float | str], threads: int, seed: int
) -> Backend:
    """Return a back end for `solve_exactly` that hands its arrays to HiGHS."""

    def ask(request: BackendRequest) -> BackendAnswer:
        began = time.perf_counter()
        highs, objective = _build(request, settings, threads, seed)
        build_s = time.perf_counter() - began
        left = None if request.time_limit_s is None else max(request.time_limit_s - build_s, 0.01)
        return search_with_highs(
            highs,
            objective,
            request.monitor,
            time_limit_s=left,
            start=request.start if request.programme is None else request.point,
            build_s=build_s,
        )

    return ask


def _build(
    request: BackendRequest,
    settings: Mapping[str, bool | int | float | str],
    threads: int,
    seed: int,
) -> tuple[Any, Any]:
    """Return HiGHS holding the model, and what its objective means."""
    import highspy

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    mixed = request.programme
    scaled = scale_model(request.problem) if mixed is None else mixed
    common: dict[str, bool | int | float | str] = {
        "threads": threads,
        "random_seed": seed,
        "mip_rel_gap": scaled.relative_gap(request.relative_gap),
        "mip_abs_gap": scaled.absolute_gap(request.absolute_gap),
        **trusted_settings(),
    }
    if mixed is not None:
        common |= split_settings(mixed)
    elif skips_jump(request.problem.columns, request.start):
        common["mip_heuristic_run_feasibility_jump"] = False
    for name, value in {**common, **settings}.items():
        refused = highs.setOptionValue(name, value) != highspy.HighsStatus.kOk
        if refused and name in settings:
            raise SolverOptionError(f"solver 'highs': HiGHS refuses {name} = {value!r}")
    highs.passModel(_model(scaled, request.problem))
    return highs, scaled.objective


def _model(scaled: ScaledModel | MixedProgramme, problem: AllocationProblem) -> Any:
    if isinstance(scaled, MixedProgramme):
        return highs_programme(scaled)
    return choice_programme(
        scaled.objective.coefficients, scaled.usage, scaled.limit, problem.group, binary=True
    )
