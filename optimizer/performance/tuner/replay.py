"""A log of observations replayed through a tuner: what was learnt, and what was not taken in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from optimizer.performance.tuner.base import Tuner
from optimizer.performance.tuner.learnt import LearntTiming
from optimizer.performance.tuner.observation import Observation

__all__ = ["RejectedRow", "Replay", "Residuals", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """An observation that was not taken in.

    Parameters
    ----------
    line
        Line of the log.
    reason
        Why.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """Observed over predicted less 1, of the observations that were taken in.

    Each prediction was made before its observation was known.

    Parameters
    ----------
    count
        How many.
    median, p90
        Of the absolute values.
    bias
        Median with its sign: above 0, the replica was slower than predicted.
    """

    count: int
    median: float
    p90: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a tuner made of a log.

    Parameters
    ----------
    learnt
        What it knows at the end; None where it took nothing in.
    rows
        Observations of the log.
    rejected
        Those that were not taken in, in order.
    residuals
        By name of a time.
    """

    learnt: LearntTiming | None
    rows: int
    rejected: tuple[RejectedRow, ...]
    residuals: dict[str, Residuals]


def replay(tuner: Tuner, observations: Iterable[tuple[int, Observation]]) -> Replay:
    """Tell a tuner observations, with the line of each, one after the other."""
    rejected, rows = [], 0
    off: dict[str, list[float]] = {}
    for line, seen in observations:
        rows += 1
        update = tuner.update(seen)
        if not update.accepted:
            rejected.append(RejectedRow(line=line, reason=update.reason))
            continue
        for name, residual in update.residuals.items():
            off.setdefault(name, []).append(residual)
    return Replay(
        learnt=tuner.learnt,
        rows=rows,
        rejected=tuple(rejected),
        residuals={name: _summary(values) for name, values in off.items()},
    )


def _summary(values: list[float]) -> Residuals:
    size = np.abs(values)
    return Residuals(
        count=len(values),
        median=float(np.median(size)),
        p90=float(np.quantile(size, 0.9)),
        bias=float(np.median(values)),
    )
