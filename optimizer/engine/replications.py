"""Independent runs of one simulation, until their means agree well enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from optimizer.engine.errors import SimulationStoppedError
from optimizer.engine.measurement import Estimate, half_width
from optimizer.engine.run import Run, RunUsage
from queue_models import Statistic

__all__ = ["replicated"]

K = TypeVar("K")

_TOTALS = ("iterations", "preemptions", "swaps")


def replicated(
    simulated: Callable[[int], Run],
    *,
    precision: float,
    precise: Sequence[Statistic] | None = None,
    least_runs: int,
    most_requests: int,
    seed: int,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Run, int]:
    """Run again and again with other seeds until the means over runs are precise.

    Parameters
    ----------
    simulated
        A run with this seed.
    precision, precise
        Relative half-width to reach, and for which statistics; by default for all.
    least_runs
        At least so many, >= 2.
    most_requests
        No run is begun once so many requests have been counted.
    seed
        From which those of the runs are made.
    stopped
        Asked after every run whether to end with what there is.

    Returns
    -------
    tuple
        All runs as one, and how many they were. Values are means over the runs, half-widths those
        of Student's t on runs.

    Raises
    ------
    SimulationStoppedError
        If it was stopped before the first run had measured anything.
    """
    runs: list[Run] = []
    seeds = np.random.SeedSequence(seed)
    while True:
        try:
            runs.append(simulated(int(seeds.spawn(1)[0].generate_state(1)[0])))
        except SimulationStoppedError:
            if not runs:
                raise
        whole = _together(runs, precision, precise)
        spent = sum(run.requests for run in runs)
        enough = len(runs) >= least_runs and (whole.converged or spent >= most_requests)
        if enough or stopped() or not whole.keeps_up:
            return whole, len(runs)


def _together(runs: Sequence[Run], precision: float, precise: Sequence[Statistic] | None) -> Run:
    first = runs[0]
    statistics = _estimates([run.statistics for run in runs])
    asked = tuple(statistics) if precise is None else precise
    reached = max((statistics[s].relative for s in asked), default=0.0)
    keeps_up = all(run.keeps_up for run in runs)
    duration_s = sum(run.duration_s for run in runs)

    def mean(name: str) -> float:
        return sum(getattr(run, name) * run.duration_s for run in runs) / duration_s

    second = [run.decode_usage for run in runs if run.decode_usage is not None]
    return Run(
        requests=sum(run.requests for run in runs),
        duration_s=duration_s,
        throughput_rps=mean("throughput_rps"),
        goodput_rps=mean("goodput_rps"),
        good_share=_estimate([run.good_share for run in runs]),
        keeps_up=keeps_up,
        converged=keeps_up and reached <= precision,
        refused_share=mean("refused_share"),
        statistics=statistics,
        within=_estimates([run.within for run in runs]),
        usage=_mean_usage([run.usage for run in runs]),
        decode_usage=_mean_usage(second) if second else None,
        counts={m: np.sum([run.counts[m] for run in runs], axis=0) for m in first.counts},
        gaps=np.sum([run.gaps for run in runs], axis=0),
    )


def _estimates(of_runs: Sequence[Mapping[K, Estimate]]) -> dict[K, Estimate]:
    return {key: _estimate([run[key] for run in of_runs]) for key in of_runs[0]}


def _estimate(of_runs: Sequence[Estimate]) -> Estimate:
    values = [one.value if math.isfinite(one.value) else None for one in of_runs]
    known = [value for value in values if value is not None]
    return Estimate(float(np.mean(known)) if known else math.nan, half_width(values))


def _mean_usage(usages: Sequence[RunUsage]) -> RunUsage:
    values = {f.name: [getattr(usage, f.name) for usage in usages] for f in fields(RunUsage)}
    whole: dict[str, Any] = {
        name: int(sum(column)) if name in _TOTALS else float(np.mean(column))
        for name, column in values.items()
        if None not in column
    }
    return RunUsage(**whole)
