"""Constraint programming by OR-Tools CP-SAT, in whole numbers."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

from solvers.agreements import as_capacities
from solvers.base import EXACT_FEATURES, Feature, SolveParams, Solver, Start
from solvers.distribution_version import distribution_version
from solvers.errors import SolverBackendError
from solvers.exact import Backend, BackendAnswer, BackendRequest, solve_exactly
from solvers.integer_scaling import ScaledObjective, scale_objective, scale_row
from solvers.isolated_backend import isolated_when_large
from solvers.priorities import solve_in_stages
from solvers.problem import AllocationProblem
from solvers.result import Limit, SolveResult
from solvers.search_monitor import CallbackGuard, Monitor

__all__ = ["CpSatSolver", "cp_sat_backend"]

# CP-SAT wants every sum to stay within 64 bits; 2**40 per column leaves room for 2**22 columns.
_LARGEST_COEFFICIENT = 2.0**40
_POLL_S = 0.05
# CP-SAT ends a little before its limit; an end before this share of it has another reason.
_CLOSE_TO_LIMIT = 0.8


class CpSatSolver(Solver):
    """Search with clause learning and linear relaxations over whole numbers.

    Notes
    -----
    Costs and usages become whole multiples of one step where such a step exists. Where it does
    not, costs are rounded down to 1 / 2**40 of the largest cost difference, usage down and
    capacity up, so that the bound stays valid; what then exceeds a true row is cut off. The scale
    stands in `statistics.notes`. Deterministic with one thread. Safe in threads. Under a time limit
    or a cancel flag large models run in a process of their own. Without a cancel flag, Ctrl-C makes
    CP-SAT stop and return what it has.
    """

    name: ClassVar[str] = "cp-sat"
    summary: ClassVar[str] = (
        "exact, by OR-Tools CP-SAT: strong on whole numbers, up to some thousand groups"
    )
    features: ClassVar[frozenset[Feature]] = EXACT_FEATURES | {Feature.AGREEMENTS}
    requires: ClassVar[tuple[str, ...]] = ("ortools",)

    @classmethod
    def is_available(cls) -> bool:
        """Whether OR-Tools is installed."""
        return find_spec("ortools") is not None

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        """Solve with CP-SAT; see `Solver.solve`."""
        self.require(problem, params)
        self.parse_options(params)
        linked = problem.links is not None
        if linked:
            problem = as_capacities(problem)
        backend = isolated_when_large(cp_sat_backend, (params.threads, params.seed))

        def solve_plain(
            plain: AllocationProblem, stage_params: SolveParams, stage_start: Start | None
        ) -> SolveResult:
            return solve_exactly(plain, stage_params, stage_start, backend)

        result = solve_in_stages(problem, params, start, solve_plain)
        statistics = dataclasses.replace(
            result.statistics,
            solver=self.name,
            version=f"OR-Tools {distribution_version('ortools')}",
        )
        z = np.zeros(0) if linked and result.x is not None else result.z
        return dataclasses.replace(result, statistics=statistics, z=z)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Model:
    model: Any
    variables: list[Any]
    objective: ScaledObjective
    notes: tuple[str, ...]


def cp_sat_backend(threads: int, seed: int) -> Backend:
    """Return a back end for `solve_exactly` that runs CP-SAT in this process."""

    def ask(request: BackendRequest) -> BackendAnswer:
        began = time.perf_counter()
        built = _build(request)
        build_s = time.perf_counter() - began
        solver = _configured(built.objective, request, build_s)
        solver.parameters.num_workers = threads
        solver.parameters.random_seed = seed
        return _run(solver, built, request.monitor, build_s)

    return ask


def _build(request: BackendRequest) -> _Model:
    from ortools.sat.python import cp_model

    problem = request.problem
    objective = scale_objective(problem, largest=_LARGEST_COEFFICIENT)
    model = cp_model.CpModel()
    variables = [model.new_bool_var("") for _ in range(problem.columns)]
    members: list[list[Any]] = [[] for _ in range(problem.groups)]
    for variable, group in zip(variables, problem.group.tolist(), strict=True):
        members[group].append(variable)
    for group_members in members:
        model.add_exactly_one(group_members)
    matrix, columns = problem.usage, problem.usage.columns
    relaxed = 0
    for row in range(problem.rows):
        mine = matrix.rows == row
        scaled = scale_row(
            matrix.values[mine], float(problem.capacity[row]), largest=_LARGEST_COEFFICIENT
        )
        relaxed += not scaled.exact
        used = [variables[column] for column in columns[mine].tolist()]
        model.add(cp_model.LinearExpr.weighted_sum(used, scaled.usage.tolist()) <= scaled.capacity)
    # Rounded down, a bound on the whole numbers is one on the costs.
    whole = np.floor(objective.coefficients).astype(np.int64)
    model.minimize(cp_model.LinearExpr.weighted_sum(variables, whole.tolist()))
    if request.start is not None:
        for variable, value in zip(variables, request.start.tolist(), strict=True):
            model.add_hint(variable, value)
    return _Model(model, variables, objective, _notes(objective, relaxed))


def _notes(objective: ScaledObjective, relaxed_rows: int) -> tuple[str, ...]:
    how = "exactly" if objective.exact else "rounded down"
    notes = [f"cost = {objective.offset:.12g} + {objective.unit:.12g} * whole number, {how}"]
    if relaxed_rows:
        notes.append(
            f"{relaxed_rows} rows rounded outwards, solutions checked against the true ones"
        )
    return tuple(notes)


def _configured(objective: ScaledObjective, request: BackendRequest, build_s: float) -> Any:
    """Return CP-SAT with its parameters, apart from threads and seed."""
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    # All rows in the linear relaxation: without it the count of a scarce stage stays unproven
    # (family `fleet`, 100 groups, strict: 0.2 s with, no proof in 16 s without).
    solver.parameters.linearization_level = 2
    # Whoever can cancel also handles Ctrl-C, and CP-SAT must not take it away from them.
    solver.parameters.catch_sigint_signal = not request.monitor.can_cancel
    if request.time_limit_s is not None:
        solver.parameters.max_time_in_seconds = max(request.time_limit_s - build_s, 0.01)
    # The model's objective is at most the cost, if the offset is not negative: its relative gap is
    # the stricter one.
    solver.parameters.relative_gap_limit = request.relative_gap if objective.offset >= 0 else 0.0
    solver.parameters.absolute_gap_limit = max(request.absolute_gap / objective.unit, 0.5)
    return solver


class _Watch:
    """Reports what CP-SAT finds, and stops it."""

    def __init__(self, solver: Any, built: _Model, monitor: Monitor) -> None:
        from ortools.sat.python import cp_model

        self.guard = CallbackGuard()
        self.stopped = False
        self._solver = solver
        self._objective = built.objective
        self._monitor = monitor
        self._ended = threading.Event()
        watch, columns = self, len(built.variables)

        class Solutions(cp_model.CpSolverSolutionCallback):
            """CP-SAT's own way to be told of solutions."""

            def on_solution_callback(self) -> None:
                # The variables were made in the order of the columns, before any other.
                values = np.fromiter(self.response_proto.solution, dtype=np.int64)
                watch.guard.call(lambda: watch.take_solution(values[:columns]))

        self.solutions = Solutions()
        solver.best_bound_callback = lambda bound: self.guard.call(lambda: self._take_bound(bound))
        self._thread = threading.Thread(target=self._wait_for_cancel, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def take_solution(self, x: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Report a solution."""
        self._monitor.incumbent(x)

    def _take_bound(self, bound: float) -> None:
        self._monitor.bound(self._objective.cost_bound(bound))

    def _wait_for_cancel(self) -> None:
        """Stop the search when asked to, or when a report failed; again, if it began just then."""
        while not self._ended.wait(_POLL_S):
            if self._monitor.cancelled() or self.guard.failure is not None:
                self.stopped = True
                self._solver.stop_search()


def _run(solver: Any, built: _Model, monitor: Monitor, build_s: float) -> BackendAnswer:
    objective = built.objective
    began = time.perf_counter()
    with _Watch(solver, built, monitor) as watch:
        status = solver.solve(built.model, watch.solutions)
    watch.guard.raise_failure()
    solve_s = time.perf_counter() - began
    name = solver.status_name(status)
    if name == "MODEL_INVALID":
        raise SolverBackendError(f"CP-SAT: {built.model.validate()}")
    found = name in ("OPTIMAL", "FEASIBLE")
    infeasible = name == "INFEASIBLE"
    bound = -math.inf if infeasible else objective.cost_bound(float(solver.best_objective_bound))
    return BackendAnswer(
        x=np.array(solver.values(built.variables), dtype=np.int64) if found else None,
        dual_bound=bound,
        infeasible=infeasible,
        limit=_limit(name, solver, solve_s, stopped=watch.stopped),
        detail=f"CP-SAT: {name}",
        build_s=build_s,
        solve_s=solve_s,
        nodes=int(solver.num_branches),
        notes=built.notes,
        log_tail=solver.response_stats(),
    )


def _limit(status: str, solver: Any, solve_s: float, *, stopped: bool) -> Limit | None:
    """Return the limit that ended the search; None when it came to its end."""
    if status not in ("FEASIBLE", "UNKNOWN"):
        return None
    # Nothing else than Ctrl-C ends a search long before its time is up.
    early = solve_s < _CLOSE_TO_LIMIT * solver.parameters.max_time_in_seconds
    return Limit.INTERRUPTED if stopped or early else Limit.TIME
