"""A back end for few groups and dense rows: branch and bound by prices beside branch and cut."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from solvers.dense_search import compilable_in, is_dense
from solvers.exact import Backend, BackendAnswer, BackendRequest
from solvers.grouped_columns import GroupedColumns
from solvers.highs import highs_backend
from solvers.integer_scaling import exact_scaling
from solvers.problem import CAPACITY_TOLERANCE
from solvers.result import Limit
from solvers.verification import exact_cost, is_feasible

__all__ = ["dense_backend"]

# Nodes, and share of the time, after which branch and cut goes on from the best choice found: 20
# groups of 10 columns in 10 rows (I04) take 130 000 nodes, 1.7 s; HiGHS 1.14 did not prove it in
# 56 CPU seconds.
_MOST_NODES, _SHARE = 1_000_000, 0.5
# Branch and cut shows in so many nodes whether the problem is easy.
_PROBE_NODES = 300
_POLL_S = 0.02


def dense_backend(
    settings: Mapping[str, bool | int | float | str], threads: int, seed: int
) -> Backend:
    """Return a back end for `solve_exactly`; arguments as for `highs_backend`."""
    probe = highs_backend({"mip_max_nodes": _PROBE_NODES, **settings}, threads, seed)
    cut = highs_backend(settings, threads, seed)

    def ask(request: BackendRequest) -> BackendAnswer:
        began = time.perf_counter()
        if not is_dense(request.problem.usage) or not compilable_in(request.time_limit_s):
            return cut(request)
        first = probe(request)
        if first.limit is not Limit.NODES:
            return first
        request.monitor.bound(first.dual_bound)
        answer = _branch(_continued(request, first, began))
        if answer.limit is not None:
            later = cut(_continued(request, answer, began))
            answer = dataclasses.replace(later, nodes=later.nodes + answer.nodes)
        return dataclasses.replace(answer, nodes=first.nodes + answer.nodes)

    return ask


def _continued(request: BackendRequest, answer: BackendAnswer, began: float) -> BackendRequest:
    """Return the request for the time that is left, from the best choice so far."""
    left = request.time_limit_s
    if left is not None:
        left = max(left - (time.perf_counter() - began), 0.01)
    start = request.start
    if answer.x is not None and is_feasible(request.problem, answer.x):
        start = answer.x
    return dataclasses.replace(request, start=start, time_limit_s=left)


def _branch(request: BackendRequest) -> BackendAnswer:
    """Ask branch and bound by prices; without a limit in the answer it ran to its end."""
    from solvers.price_branching import branch_by_prices

    began, problem = time.perf_counter(), request.problem
    columns, order = GroupedColumns.of(problem)
    scaling = exact_scaling(problem.cost)
    step = 0.0 if scaling is None else scaling.step
    dearest = float(np.maximum.reduceat(columns.cost, columns.starts[:-1]).sum())
    cutoff = dearest if request.start is None else exact_cost(problem, request.start) - step
    until = None if request.time_limit_s is None else began + _SHARE * request.time_limit_s
    with _stop_flag(request, until) as stop:
        answer = branch_by_prices(
            columns.cost,
            columns.usage.to_dense(),
            # Twice the tolerance: what keeps it must not be lost to rounding. A choice that passes
            # it is cut off by whoever asked.
            problem.capacity * (1.0 + 2.0 * CAPACITY_TOLERANCE),
            columns.starts,
            cutoff,
            step,
            _MOST_NODES,
            stop,
        )
    x = request.start
    if answer.choice is not None:
        x = np.zeros(problem.columns, dtype=np.int64)
        x[answer.choice if order is None else order[answer.choice]] = 1
        request.monitor.incumbent(x)
    elapsed = time.perf_counter() - began
    if not answer.complete:
        return BackendAnswer(x=x, limit=Limit.NODES, solve_s=elapsed, nodes=answer.nodes)
    return BackendAnswer(
        x=x,
        dual_bound=-np.inf if x is None else exact_cost(problem, x),
        infeasible=x is None,
        detail="branch and bound by prices",
        solve_s=elapsed,
        nodes=answer.nodes,
    )


@contextmanager
def _stop_flag(request: BackendRequest, until: float | None) -> Iterator[NDArray[np.bool_]]:
    """Yield a flag that is set once the time is up or the caller cancels."""
    flag, done = np.zeros(1, dtype=np.bool_), threading.Event()

    def watch() -> None:
        while not done.wait(_POLL_S):
            late = until is not None and time.perf_counter() >= until
            flag[0] = flag[0] or late or request.monitor.cancelled()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield flag
    finally:
        done.set()
        watcher.join()
