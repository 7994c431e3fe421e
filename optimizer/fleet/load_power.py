"""Power of services that split: what a replica draws idle, and what its load adds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.columns import Columns
from optimizer.fleet.power_curve import PowerCurve, power_curve
from optimizer.fleet.split_prediction import SplitUse, carried_rates, predict_split

__all__ = ["LoadPower", "PowerLine", "PowerLines", "upper_lines"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_W_PER_KW = 1000.0
# Loads at which the queue model is asked for the utilisation of one replica.
_LOADS = 17
# Lines closer than this, relative to the power at full load, are one.
_SAME_LINE = 1e-6
# Chords of a power that bends upwards are added while one lies higher above it than this, relative
# to the power at full load, and at most so many.
_CLOSE, _MOST_CHORDS = 0.02, 4


@dataclass(frozen=True, slots=True)
class PowerLine:
    """Power [kW] of n replicas that carry a load is at most idle * n + slope * load.

    Parameters
    ----------
    idle
        Per replica.
    slope
        Per replica that the load takes whole.
    """

    idle: float
    slope: float


@dataclass(frozen=True, slots=True)
class PowerLines:
    """Lines of which the greatest or the least is no lower than the power, at any load.

    Parameters
    ----------
    lines
        One or more.
    greatest
        Whether the greatest holds: where the power bends upwards over the load; else the least.
    """

    lines: tuple[PowerLine, ...]
    greatest: bool = False

    @property
    def lightest(self) -> float:
        """Return the load of a replica below which sharing it among more saves no power."""
        if not self.greatest:
            return 1.0
        meet = (
            (first.idle - second.idle) / (second.slope - first.slope)
            for first, second in pairwise(self.lines)
            if second.slope > first.slope
        )
        return min((load for load in meet if 0.0 < load < 1.0), default=1.0)

    def at(self, load: FloatArray) -> FloatArray:
        """Return the bound at some loads of one replica."""
        each = [line.idle + line.slope * load for line in self.lines]
        found: FloatArray = np.max(each, axis=0) if self.greatest else np.min(each, axis=0)
        return found


@dataclass(frozen=True, eq=False)
class LoadPower:
    """Lines that bound the power of every column that stands for one replica.

    They follow from what a replica carries at all, whatever its objectives: what is bought for a
    looser objective draws no more at the same load than for a tighter one.

    Parameters
    ----------
    lines
        By column.
    """

    lines: dict[int, PowerLines]

    @classmethod
    def of(cls, columns: Columns) -> LoadPower:
        """Find the lines of the columns of services that are served by counts.

        Power of a replica over its load is the accelerator's curve at the utilisation that the
        queue model predicts. What carries rates that were measured, or lengths that mix, is at most
        as utilised as it is loaded.
        """
        table = columns.table
        counted = columns.counted[columns.owner] & ~columns.unserved
        curves = [power_curve(machine) for machine in table.spec.accelerators]
        known = [
            column
            for column in np.flatnonzero(counted).tolist()
            if curves[int(table.accelerator[columns.candidate[column]])] is not None
        ]
        rows = columns.candidate[known]
        loads = np.linspace(0.0, 1.0, _LOADS)
        used, reach = _utilizations(table, rows, loads)
        per_replica = table.instances[rows] / np.maximum(table.replicas[rows], 1) / _W_PER_KW
        found = {}
        for place, (column, row) in enumerate(zip(known, rows.tolist(), strict=True)):
            curve = curves[int(table.accelerator[row])]
            assert curve is not None
            spares = table.spec.services[int(table.service[row])].spares
            watts = upper_lines(curve, loads, used[place], float(reach[place]))
            # Spares share the traffic of the others: each as loaded as they are, at most.
            share, by = spares / (spares + 1.0), float(per_replica[place])
            found[column] = PowerLines(
                tuple(
                    PowerLine(
                        (line.idle + line.slope * share) * by,
                        line.slope * float(reach[place]) * by,
                    )
                    for line in watts.lines
                ),
                watts.greatest,
            )
        return cls(found)


def upper_lines(
    curve: PowerCurve, loads: FloatArray, utilization: FloatArray, reach: float = 1.0
) -> PowerLines:
    """Return lines above the power over the load, of the whole range; those that matter.

    Where the power bends upwards all over, chords between some points of it, of which the greatest
    holds; where it lies below its one chord, that; else the first and the last edge of its hull.

    Parameters
    ----------
    curve
        Over utilisation.
    loads
        (k,), rising from 0 to 1.
    utilization
        (k,), at these loads. Between them it is taken to bend upwards as where it does so at them;
        where it bends downwards it counts as that at the next load.
    reach
        Largest load there will be, > 0 and <= 1: lines that do not hold before it are left out.

    Returns
    -------
    PowerLines
        In W.
    """
    points = _points(curve, loads, utilization)
    steps = [_line(first, second).slope for first, second in pairwise(points)]
    full = max(points[-1][1], 1.0)
    if all(later >= earlier - _SAME_LINE * full for earlier, later in pairwise(steps)):
        kept = _chord_ends(points, full)
        chords = [_line(a, b) for a, b in pairwise(kept) if a[0] < reach]
        return PowerLines(tuple(chords), greatest=True)
    hull: list[tuple[float, float]] = []
    for point in points:
        while len(hull) >= 2 and _lies_below(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    first, last = _line(hull[0], hull[1]), _line(hull[-2], hull[-1])
    meet = (last.idle - first.idle) / max(first.slope - last.slope, _SAME_LINE * full)
    if abs(first.idle + first.slope - hull[-1][1]) <= _SAME_LINE * full or meet >= reach:
        return PowerLines((first,))
    return PowerLines((first, last))


def _points(
    curve: PowerCurve, loads: FloatArray, utilization: FloatArray
) -> list[tuple[float, float]]:
    """Return loads and the power at them, rising, with the bends of the curve."""
    rising = np.maximum.accumulate(utilization)
    bends = np.diff(rising, 2)
    downwards = np.append(bends, 0.0) < -_SAME_LINE
    downwards[1:] |= bends < -_SAME_LINE
    # A piece that bends downwards counts as its end.
    safe = np.append(np.where(downwards, rising[1:], rising[:-1]), rising[-1])
    points = [(load, float(curve.watts(u))) for load, u in zip(loads.tolist(), safe, strict=True)]
    for kink in curve.utilizations[1:-1]:
        if safe[0] < kink < safe[-1]:
            at = float(np.interp(kink, safe, loads))
            points.append((at, float(curve.watts(np.array(kink)))))
    distinct = dict(sorted(points))
    return list(distinct.items())


def _chord_ends(points: list[tuple[float, float]], full: float) -> list[tuple[float, float]]:
    """Return points whose chords lie close above all of them, the ends among them."""
    ends = [0, len(points) - 1]
    while len(ends) <= _MOST_CHORDS:
        worst, place = _CLOSE * full, -1
        for start, end in pairwise(ends):
            chord = _line(points[start], points[end])
            for middle in range(start + 1, end):
                over = chord.idle + chord.slope * points[middle][0] - points[middle][1]
                if over > worst:
                    worst, place = over, middle
        if place < 0:
            break
        ends = sorted([*ends, place])
    return [points[place] for place in ends]


def _lies_below(
    first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]
) -> bool:
    """Whether the middle point is on or below the chord of the others."""
    chord = first[1] + (last[1] - first[1]) * (middle[0] - first[0]) / (last[0] - first[0])
    return middle[1] <= chord * (1.0 + _SAME_LINE)


def _line(first: tuple[float, float], last: tuple[float, float]) -> PowerLine:
    slope = (last[1] - first[1]) / (last[0] - first[0])
    return PowerLine(first[1] - slope * first[0], slope)


def _utilizations(
    table: CandidateTable, rows: IntArray, loads: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return how utilised one replica of each row is at parts of the load that it carries at all.

    (rows, loads); and (rows,), the part of that load at which it still keeps every objective.
    """
    found, reach = np.tile(loads, (len(rows), 1)), np.ones(len(rows))
    modelled = [
        place
        for place, row in enumerate(rows.tolist())
        if table.performance[row] >= 0
        and table.spec.services[int(table.service[row])].length_buckets is None
        and table.rate_per_replica_rps[row] > 0
    ]
    kept = table.rate_per_replica_rps[rows[modelled]]
    alone = [
        SplitUse(int(rows[place]), 1, rate, 1.0)
        for place, rate in zip(modelled, kept.tolist(), strict=True)
    ]
    most = np.maximum(carried_rates(table, alone), kept)
    uses = [
        SplitUse(int(rows[place]), 1, load * rate, load)
        for place, rate in zip(modelled, most.tolist(), strict=True)
        for load in loads[1:].tolist()
    ]
    predicted = [prediction.utilization for prediction in predict_split(table, uses)]
    known = np.array([1.0 if u is None else u for u in predicted]).reshape(-1, len(loads) - 1)
    found[modelled, 1:] = np.clip(known, 0.0, 1.0)
    reach[modelled] = kept / most
    return found, reach
