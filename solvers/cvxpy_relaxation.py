"""The continuous relaxation as a cvxpy model: sparse arrays in, fractions and row duals out."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.chance import Chance
from solvers.errors import SolverBackendError, SolverOptionError
from solvers.exact import Backend, BackendAnswer, BackendRequest, Relaxation
from solvers.problem import AllocationProblem, FloatArray, IntArray
from solvers.result import Limit

__all__ = ["LEAST_COST", "LEAST_OVERLOAD", "cvxpy_backend"]

# What is minimised: the cost, or by how much the limits are passed, each in shares of its own.
LEAST_COST, LEAST_OVERLOAD = "least cost", "least overload"

# cvxpy numbers its expressions globally, and filters of warnings belong to the whole process.
_ONE_AT_A_TIME = threading.Lock()
_POLL_S = 0.05
# What cvxpy says about a model that has a solution, and about one that has none.
_SOLVED = ("optimal", "optimal_inaccurate", "user_limit")
_INFEASIBLE = ("infeasible", "infeasible_inaccurate", "infeasible_or_unbounded")


def cvxpy_backend(name: str, seed: int, objective: str) -> Backend:
    """Return a back end that solves the continuous relaxation through cvxpy.

    Rows that are kept with a probability become second-order cones, which take a solver of cones.

    Parameters
    ----------
    name
        Of a solver that cvxpy knows, without regard to case.
    seed
        For solvers that take one.
    objective
        `LEAST_COST`, or `LEAST_OVERLOAD`, which has a solution whatever the limits are.

    Returns
    -------
    Backend
        The capacities of its request are limits without a further tolerance; rows of infinite or
        no capacity are left out and have price 0. It is deaf while it runs. Raises
        SolverOptionError when cvxpy has no such solver, and SolverBackendError when that fails.
    """

    def ask(request: BackendRequest) -> BackendAnswer:
        stopped = _wait_for_turn(request)
        if stopped is not None:
            return BackendAnswer(limit=stopped, detail="another solve through cvxpy is running")
        try:
            with _silence():
                return _solve(request.problem, name, seed, objective)
        finally:
            _ONE_AT_A_TIME.release()

    return ask


def _wait_for_turn(request: BackendRequest) -> Limit | None:
    """Take the lock; return what came first if it was not to be had."""
    began = time.perf_counter()
    while not _ONE_AT_A_TIME.acquire(timeout=_POLL_S):
        if request.monitor.cancelled():
            return Limit.INTERRUPTED
        limit = request.time_limit_s
        if limit is not None and time.perf_counter() - began > limit:
            return Limit.TIME
    return None


@contextmanager
def _silence() -> Iterator[None]:
    """Keep cvxpy's warnings and messages from the caller: its status says what they do."""
    logger = logging.getLogger("__cvxpy__")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _solve(problem: AllocationProblem, name: str, seed: int, objective: str) -> BackendAnswer:
    import cvxpy

    began = time.perf_counter()
    solver = _installed(name, cvxpy.installed_solvers())
    model = _model(problem, objective)
    build_s = time.perf_counter() - began
    try:
        model.programme.solve(solver=solver, **_settings(solver, seed))
    except (cvxpy.error.SolverError, ValueError) as failure:
        raise SolverBackendError(f"cvxpy with {solver}: {failure}") from failure
    status = model.programme.status
    return BackendAnswer(
        infeasible=status in _INFEASIBLE,
        limit=None if status in (*_INFEASIBLE, "optimal") else Limit.ITERATIONS,
        detail=f"{solver}: {status.replace('_', ' ')}",
        build_s=build_s,
        solve_s=time.perf_counter() - began - build_s,
        relaxation=_relaxation(problem, model, solver) if status in _SOLVED else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """A cvxpy model; a unit of the dual of constraint i stands for `unit[i]` of row `rows[i]`."""

    programme: Any
    x: Any
    limits: Any
    rows: IntArray
    unit: FloatArray


def _model(problem: AllocationProblem, objective: str) -> _Model:
    """Build the model from sparse arrays.

    A group's costs and every limit are scaled to about 1 per group, which is where the solvers'
    absolute tolerances mean most. A fraction needs no upper limit: those of a group sum to 1.
    """
    import cvxpy
    from scipy.sparse import csc_array, csr_array

    n, groups = problem.columns, problem.groups
    rows = np.flatnonzero(np.isfinite(problem.capacity) & (problem.capacity > 0))
    factor = np.zeros(problem.rows)
    factor[rows] = groups / problem.capacity[rows]
    usage = problem.usage
    scaled = csc_array(
        (usage.values * factor[usage.rows], usage.rows, usage.indptr), shape=usage.shape
    )
    members = csc_array((np.ones(n), problem.group, np.arange(n + 1)), shape=(groups, n))
    cost, spread = _spread_costs(problem)
    x = cvxpy.Variable(n, nonneg=True)
    used = cvxpy.Constant(csr_array(scaled)[rows]) @ x
    if problem.chance is not None:
        used = used + _deviations(problem.chance, x, rows, factor)
    minimised = (cost / spread) @ x
    if objective == LEAST_OVERLOAD:
        overload = cvxpy.Variable(len(rows), nonneg=True)
        used, minimised = used - overload, cvxpy.sum(overload)
    limits = used <= np.full(len(rows), float(groups))
    one_of_each = cvxpy.Constant(members) @ x == np.ones(groups)
    programme = cvxpy.Problem(cvxpy.Minimize(minimised), [limits, one_of_each])
    return _Model(programme, x, limits, rows, factor[rows] * spread)


def _deviations(chance: Chance, x: Any, rows: IntArray, factor: FloatArray) -> Any:
    """Return the length of the deviations of each row that is looked at, a convex expression."""
    import cvxpy

    spread = chance.spread.to_scipy().tocsr()
    lengths = []
    for row in rows.tolist():
        mine = np.flatnonzero(chance.row == row)
        moved = cvxpy.Constant(spread[mine] * factor[row])
        lengths.append(cvxpy.norm(moved @ x) if mine.size else cvxpy.Constant(0.0))
    return cvxpy.hstack(lengths)


def _relaxation(problem: AllocationProblem, model: _Model, solver: str) -> Relaxation | None:
    """Return what the solved model says, in the problem's units; None without fractions."""
    if model.x.value is None:
        return None
    if model.limits.dual_value is None:
        raise SolverBackendError(
            f"cvxpy with {solver} returns no dual values; try backend='HIGHS' or 'CLARABEL'"
        )
    prices = np.zeros(problem.rows)
    prices[model.rows] = model.limits.dual_value * model.unit
    return Relaxation(np.array(model.x.value, dtype=np.float64), prices)


def _spread_costs(problem: AllocationProblem) -> tuple[FloatArray, float]:
    """Return costs above each group's least, (n,), and the mean of the groups' largest, > 0."""
    least = np.full(problem.groups, np.inf)
    np.minimum.at(least, problem.group, problem.cost)
    above = problem.cost - least[problem.group]
    largest = np.zeros(problem.groups)
    np.maximum.at(largest, problem.group, above)
    return above, float(largest.mean()) or 1.0


def _installed(name: str, installed: list[str]) -> str:
    """Return a solver's name as cvxpy spells it."""
    for known in installed:
        if known.upper() == name.upper():
            return known
    raise SolverOptionError(
        f"backend = {name!r}: cvxpy finds no such solver; available: {', '.join(sorted(installed))}"
    )


def _settings(solver: str, seed: int) -> dict[str, object]:
    if solver != "HIGHS":
        return {}
    import highspy

    # HiGHS keeps the scheduler of the calling thread's first run and refuses another number of
    # threads until it is reset.
    highspy.Highs.resetGlobalScheduler(True)
    return {"threads": 1, "random_seed": seed, "output_flag": False}
