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
from solvers.problem import AllocationProblem
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
    start: Start | ArrayLike | None = None,
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
        A solution to start from: a `Start` or x (n,). It need not be feasible. A solver that
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


def _start(problem: AllocationProblem, start: Start | ArrayLike | None) -> Start | None:
    if start is None:
        return None
    prices = start.prices if isinstance(start, Start) else None
    if prices is not None:
        prices = np.asarray(prices, dtype=np.float64)
        if prices.shape != (problem.rows,):
            raise SolverOptionError(
                f"start: prices of shape {prices.shape}, ({problem.rows},) is wanted"
            )
        if not (np.isfinite(prices).all() and (prices >= 0).all()):
            raise SolverOptionError("start: prices must be finite and at least 0")
    x = start.x if isinstance(start, Start) else start
    if x is None:
        return Start(None, prices)
    x = np.asarray(x)
    if x.shape != (problem.columns,):
        raise SolverOptionError(f"start: shape {x.shape}, ({problem.columns},) is wanted")
    if x.size and (x.dtype.kind not in "biuf" or not np.isin(x, (0, 1)).all()):
        raise SolverOptionError("start: every entry must be 0 or 1")
    return Start(x.astype(np.int64), prices)
