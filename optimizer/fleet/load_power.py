"""Power of services that split: what a replica draws idle, and what its load adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.columns import Columns
from optimizer.fleet.power_curve import PowerCurve, power_curve
from optimizer.fleet.split_prediction import SplitUse, predict_split

__all__ = ["LoadPower", "PowerLine", "upper_lines"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_W_PER_KW = 1000.0
# Loads at which the queue model is asked for the utilisation of one replica.
_LOADS = 17
# Lines closer than this, relative to the power at full load, are one.
_SAME_LINE = 1e-6


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


@dataclass(frozen=True, eq=False)
class LoadPower:
    """Lines above the power of every column that stands for one replica.

    Parameters
    ----------
    lines
        By column: one line, or two of which the lesser holds, where the curve lies above its chord.
    """

    lines: dict[int, tuple[PowerLine, ...]]

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
        used = _utilizations(table, rows, loads)
        per_replica = table.instances[rows] / np.maximum(table.replicas[rows], 1) / _W_PER_KW
        found = {}
        for column, row, utilization, instances in zip(
            known, rows.tolist(), used, per_replica.tolist(), strict=True
        ):
            curve = curves[int(table.accelerator[row])]
            assert curve is not None
            spares = table.spec.services[int(table.service[row])].spares
            lines = upper_lines(curve, loads, utilization)
            full = min(line.idle + line.slope for line in lines)
            # Spares share the traffic of the others: each as loaded as they are, at most.
            share = spares / (spares + 1.0)
            found[column] = tuple(
                PowerLine(
                    (line.idle + (full - line.idle) * share) * instances, line.slope * instances
                )
                for line in lines
            )
        return cls(found)


def upper_lines(
    curve: PowerCurve, loads: FloatArray, utilization: FloatArray
) -> tuple[PowerLine, ...]:
    """Return the chord where it lies above the power, else the first and last edge of its hull.

    Parameters
    ----------
    curve
        Over utilisation.
    loads
        (k,), rising from 0 to 1.
    utilization
        (k,), at these loads. Between them it is taken to bend upwards as where it does so at them;
        where it bends downwards it counts as that at the next load.

    Returns
    -------
    tuple of PowerLine
        In W; at any load the least of them is no lower than the power.
    """
    rising = np.maximum.accumulate(utilization)
    bends = np.diff(rising, 2)
    downwards = np.append(bends, 0.0) < -_SAME_LINE
    downwards[1:] |= bends < -_SAME_LINE
    # A piece that bends downwards counts as its end.
    safe = np.append(np.where(downwards, rising[1:], rising[:-1]), rising[-1])
    points = [(load, float(curve.watts(u))) for load, u in zip(loads, safe, strict=True)]
    for kink in curve.utilizations[1:-1]:
        if safe[0] < kink < safe[-1]:
            at = float(np.interp(kink, safe, loads))
            points.append((at, float(curve.watts(np.array(kink)))))
    hull: list[tuple[float, float]] = []
    for point in sorted(points):
        while len(hull) >= 2 and _lies_below(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    edges = [_line(hull[0], hull[1]), _line(hull[-2], hull[-1])]
    full = hull[-1][1]
    if abs(edges[0].idle + edges[0].slope - full) <= _SAME_LINE * max(full, 1.0):
        return (edges[0],)
    return tuple(edges)


def _lies_below(
    first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]
) -> bool:
    """Whether the middle point is on or below the chord of the others."""
    chord = first[1] + (last[1] - first[1]) * (middle[0] - first[0]) / (last[0] - first[0])
    return middle[1] <= chord * (1.0 + _SAME_LINE)


def _line(first: tuple[float, float], last: tuple[float, float]) -> PowerLine:
    slope = (last[1] - first[1]) / (last[0] - first[0])
    return PowerLine(first[1] - slope * first[0], slope)


def _utilizations(table: CandidateTable, rows: IntArray, loads: FloatArray) -> FloatArray:
    """Return (rows, loads), how utilised one replica of each row is when it is so loaded."""
    found = np.tile(loads, (len(rows), 1))
    modelled = [
        place
        for place, row in enumerate(rows.tolist())
        if table.performance[row] >= 0
        and table.spec.services[int(table.service[row])].length_buckets is None
        and table.rate_per_replica_rps[row] > 0
    ]
    uses = [
        SplitUse(int(rows[place]), 1, load * float(table.rate_per_replica_rps[rows[place]]), load)
        for place in modelled
        for load in loads[1:].tolist()
    ]
    predicted = [prediction.utilization for prediction in predict_split(table, uses)]
    known = np.array([1.0 if u is None else u for u in predicted]).reshape(-1, len(loads) - 1)
    found[modelled, 1:] = np.clip(known, 0.0, 1.0)
    return found
