"""Configurations decided before the load is known; capacities kept with a probability."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.uncertainty.following_replicas import FollowingColumns
from optimizer.fleet.uncertainty.scenario_columns import ScenarioColumns
from optimizer.fleet.uncertainty.spread_loads import room_factor
from optimizer.spec.uncertainty import SpreadLoadsSpec
from solvers import AllocationProblem, Chance, SparseColumns

__all__ = ["spread_problem"]

FloatArray = NDArray[np.float64]


def spread_problem(
    columns: FollowingColumns, spread: SpreadLoadsSpec
) -> tuple[ScenarioColumns, AllocationProblem | None]:
    """Return the problem in which every row holds at the mean loads, and with the probability.

    Parameters
    ----------
    columns
        At the mean loads, and at their levels, see `SpreadLoads`.
    spread
        The probability, and how loads go together.

    Notes
    -----
    With m_k the mean and s_k the standard deviation of what candidate k uses of a row over the
    levels of its service's load, z the room factor and r the correlation of loads, a row reads

        sum of m_k x_k + z sqrt(r (sum of s_k x_k)^2 + (1 - r) sum of (s_k x_k)^2) <= b

    One factor of the row moves all services together, and one each of them alone.
    """
    usage, cost = columns.usage, columns.cost
    mean, std = usage[1:].mean(axis=0), usage[1:].std(axis=0)
    ways = columns.ways(cost[1:].mean(axis=0), np.vstack([usage[0], mean]), again=2)
    problem = ways.problem(None)
    if problem is None or not std.any():
        return ways, problem
    rows, services = len(std), len(columns.spec.services)
    row, column = np.nonzero(std)
    alone = row * services + columns.owner[column]
    factors = np.concatenate([alone, rows * services + row])
    z = room_factor(spread)
    parts = [math.sqrt(1.0 - spread.together), math.sqrt(spread.together)]
    values = np.concatenate([z * part * std[row, column] for part in parts])
    used, number = np.unique(factors[values > 0], return_inverse=True)
    chance = Chance(
        SparseColumns.from_triplets(
            (len(used), ways.size),
            rows=number,
            columns=np.tile(column, 2)[values > 0],
            values=values[values > 0],
        ),
        rows + np.where(used < rows * services, used // services, used - rows * services),
    )
    return ways, dataclasses.replace(problem, chance=chance)
