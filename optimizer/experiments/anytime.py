"""Anytime curves: how good the incumbent is after how long."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.experiments.best_known import best_values
from optimizer.experiments.run import RunRow, RunStatus

__all__ = ["AnytimeCurve", "anytime_curves", "primal_gap"]

FloatArray = NDArray[np.float64]

_EARLIEST_S = 0.01
_POINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnytimeCurve:
    """Primal gap of one solver over time.

    Parameters
    ----------
    times_s
        Wall-clock seconds since the solve began, ascending, evenly spaced on a log scale.
    mean
        Mean over all runs of the solver.
    low, high
        Least and largest mean over the instances among the seeds: the band that luck opens.
    """

    solver: str
    times_s: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray


def anytime_curves(
    rows: Sequence[RunRow], *, time_limit_s: float, known: Mapping[str, float] | None = None
) -> tuple[AnytimeCurve, ...]:
    """Return a curve per solver, in the order of the rows, up to the time limit.

    Runs without any value count with a gap of 1 throughout. A solver that does not report its
    progress has one step, when it ends.
    """
    best = best_values(rows, known or {})
    times = np.geomspace(min(_EARLIEST_S, time_limit_s / 2), time_limit_s, _POINTS)
    by_solver: dict[str, dict[int, list[FloatArray]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_solver[row.solver][row.seed].append(_gaps_over(row, best, times))
    curves = []
    for solver, by_seed in by_solver.items():
        seeds = np.array([np.mean(runs, axis=0) for runs in by_seed.values()])
        every = [run for runs in by_seed.values() for run in runs]
        curves.append(
            AnytimeCurve(
                solver=solver,
                times_s=times,
                mean=np.mean(every, axis=0),
                low=seeds.min(axis=0),
                high=seeds.max(axis=0),
            )
        )
    return tuple(curves)


def primal_gap(value: float | None, best: float) -> float:
    """Return |best - value| / max(|best|, |value|) in [0, 1]; 1 without a value or across signs.

    References
    ----------
    .. [1] Berthold, T. (2013). Measuring the impact of primal heuristics. *Operations Research
       Letters* 41(6), 611-614.
    """
    if value is None or value * best < 0:
        return 1.0
    if value == best:
        return 0.0
    return abs(best - value) / max(abs(best), abs(value))


def _gaps_over(row: RunRow, best: Mapping[str, float], times: FloatArray) -> FloatArray:
    """Return the primal gap of a run at each time."""
    steps = [(elapsed, value) for elapsed, value, _ in row.progress if value is not None]
    if row.status is RunStatus.ANSWERED and row.value is not None:
        steps.append((math.inf if row.total_s is None else row.total_s, row.value))
    gaps = np.ones(len(times))
    for elapsed, value in sorted(steps):
        gaps[times >= elapsed] = primal_gap(value, best.get(row.instance, value))
    return gaps
