"""One call: a problem in, a result out."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from solvers import registry
from solvers.base import Feature, SolveParams, Solver, Start
from solvers.cancellation import CancelFlag
from solvers.errors import SolverOptionError
from solvers.problem import AllocationProblem, FloatArray, IntArray
from solvers.progress import ProgressCallback
from solvers.result import SolveResult

__all__ = ["solve"]


def solve(
    problem: AllocationProblem,
    solver: str | Solver = "auto",
    *,
    time_limit_s: float | None = None,
    relative_gap: float = 1e-6,
    seed: int = 0,
    threads: int = 1,
    start: Start | SolveResult | ArrayLike | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelFlag | None = None,
    **options: Any,
) -> SolveResult:
    """Solve an allocation problem.

    Parameters
    ----------
    problem
        What to solve.
    solver
        A registered name, see `solvers.names()`, or a solver.
    time_limit_s, relative_gap, seed, threads
        See `SolveParams`.
    start
        Where to start from: the result of a similar problem with the same columns and rows, a
        `Start`, or x (n,). The solution need not be feasible nor the prices good. A solver that
        cannot use one says so in `statistics.notes`.
    progress
        Called with a `Progress` whenever incumbent or bound improve, if the solver can.
    cancel
        Set from another thread, it makes the solver return what it has, if the solver can.
    **options
        The solver's own options, see its `Options`.

    Raises
    ------
    UnknownSolverError, BrokenPluginError, MissingExtraError
        If the solver cannot be had.
    UnsupportedFeatureError
        If the problem needs what the solver cannot do.
    SolverOptionError
        If a parameter, an option or the start is out of range.

    Examples
    --------
    >>> from solvers import AllocationProblem, solve
    >>> problem = AllocationProblem([20, 50, 10, 35], [[2, 0, 1, 0], [0, 10, 0, 7]], [2, 100],
    ...                             [0, 0, 1, 1])
    >>> solve(problem, "greedy").primal_bound
    55.0
    """
    params = SolveParams(
        time_limit_s=time_limit_s,
        relative_gap=relative_gap,
        seed=seed,
        threads=threads,
        options=options,
        progress=progress,
        cancel=cancel,
    )
    chosen = registry.get(solver) if isinstance(solver, str) else solver
    given = _start(problem, start)
    notes = []
    if given is not None and Feature.WARM_START not in chosen.features:
        notes.append(f"the start was not used: solver '{chosen.name}' has no warm start")
        given = None
    if threads > 1 and Feature.MULTI_THREAD not in chosen.features:
        notes.append(f"solver '{chosen.name}' uses one thread, {threads} were offered")
    for asked, feature in ((progress, Feature.PROGRESS), (cancel, Feature.CANCEL)):
        if asked is not None and feature not in chosen.features:
            notes.append(f"solver '{chosen.name}' has no {feature.value}")
    result = chosen.solve(problem, params, given)
    if not notes:
        return result
    statistics = dataclasses.replace(result.statistics, notes=(*result.statistics.notes, *notes))
    return dataclasses.replace(result, statistics=statistics)


def _start(
    problem: AllocationProblem, start: Start | SolveResult | ArrayLike | None
) -> Start | None:
    if isinstance(start, SolveResult):
        start = Start(start.x, None if start.prices is None else start.prices.values)
    if start is None:
        return None
    if not isinstance(start, Start):
        start = Start(np.asarray(start))
    if start.x is None and start.prices is None:
        return None
    return Start(_checked_x(problem, start.x), _checked_prices(problem, start.prices))


def _checked_x(problem: AllocationProblem, given: ArrayLike | None) -> IntArray | None:
    if given is None:
        return None
    x = np.asarray(given)
    if x.shape != (problem.columns,):
        raise SolverOptionError(f"start: shape {x.shape}, ({problem.columns},) is wanted")
    numbers = not x.size or x.dtype.kind in "biuf"
    if problem.split is None:
        if not numbers or not ((x == 0) | (x == 1)).all():
            raise SolverOptionError("start: every entry must be 0 or 1")
    elif not numbers or not ((x >= 0) & (x == np.floor(x))).all():
        raise SolverOptionError("start: every entry must be a whole number, at least 0")
    return x.astype(np.int64)


def _checked_prices(problem: AllocationProblem, given: ArrayLike | None) -> FloatArray | None:
    if given is None:
        return None
    prices = np.asarray(given, dtype=np.float64)
    if prices.shape != (problem.rows,):
        raise SolverOptionError(
            f"start: prices of shape {prices.shape}, ({problem.rows},) is wanted"
        )
    if not (np.isfinite(prices).all() and (prices >= 0).all()):
        raise SolverOptionError("start: prices must be finite and at least 0")
    return prices
