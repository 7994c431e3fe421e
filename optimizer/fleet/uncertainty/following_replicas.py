"""Configurations decided before the load is known; replicas follow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.uncertainty.links_of_loads import LinksOfLoads
from optimizer.fleet.uncertainty.scenario_columns import ScenarioColumns
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.uncertainty import CostMeasure
from solvers import AllocationProblem, Links, SparseColumns

__all__ = ["FollowingColumns", "budgeted_problem", "scenario_problem"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_Key = tuple[int | float, ...]


@dataclass(frozen=True, eq=False)
class FollowingColumns:
    """Candidates that can serve their service at each of several loads.

    Parameters
    ----------
    spec, base
        The fleet, and its problem at the first load.
    owner
        (n,), service of each.
    columns
        (loads, n), its column in the problem of each load.
    keys
        (n,), what it is, whatever the load.
    cost
        (loads, n), what it costs at each load.
    usage
        (loads, resources, n).
    resources
        Names of the rows.
    """

    spec: FleetSpec
    base: AllocationProblem
    owner: IntArray
    columns: IntArray
    keys: tuple[_Key, ...]
    cost: FloatArray
    usage: FloatArray
    resources: tuple[str, ...]

    @classmethod
    def of(cls, spec: FleetSpec, problems: Sequence[FleetProblem]) -> FollowingColumns:
        """Match the candidates of problems of one fleet at several loads, see `problems_at`."""
        arrays = [problem.arrays for problem in problems if problem.arrays is not None]
        places = [_Places.of(problem) for problem in problems]
        known = dict.fromkeys(key for place in places for key in place.column)
        common = [key for key in known if all(place.has(key) for place in places)]
        columns = np.array([[place.at(key) for key in common] for place in places], dtype=np.int64)
        columns = columns.reshape(len(problems), len(common))
        taken = list(zip(arrays, columns, strict=True))
        first = problems[0]
        return cls(
            spec=spec,
            base=arrays[0],
            owner=arrays[0].group[columns[0]],
            columns=columns,
            keys=tuple(common),
            cost=np.array([part.cost[chosen] for part, chosen in taken]),
            usage=np.array([part.usage.take(chosen).to_dense() for part, chosen in taken]),
            resources=tuple(first.resources[row].name for row in first.rows.tolist()),
        )

    def found_in(self, problem: FleetProblem, chosen: IntArray) -> IntArray:
        """Return the columns of some candidates in the problem of another load."""
        places = _Places.of(problem)
        return np.array([places.at(self.keys[way]) for way in chosen.tolist()], dtype=np.int64)

    def ways(self, cost: FloatArray, usage: FloatArray, again: int = 1) -> ScenarioColumns:
        """Return columns of these costs and uses; `again` times the rows of a single load."""
        capacity = np.tile(self.base.capacity, again)
        return ScenarioColumns(self.spec, self.base, self.owner, cost, usage, capacity)


def scenario_problem(
    columns: FollowingColumns,
    problems: Sequence[FleetProblem],
    probability: FloatArray,
    measure: CostMeasure,
) -> tuple[ScenarioColumns, AllocationProblem | None]:
    """Return the problem in which every capacity holds in every scenario.

    Each resource is a row per scenario, and so is what links services: every scenario has purchases
    of its own. The expected cost is a cost of each column; the worst is a further column above the
    cost of every scenario.
    """
    loads, resources, n = columns.usage.shape
    usage = columns.usage.reshape(loads * resources, n)
    ways = columns.ways(probability @ columns.cost, usage, loads)
    linked = LinksOfLoads.of(problems, columns.columns, ways.size)
    if measure is CostMeasure.EXPECTED:
        return ways, ways.problem(linked.expected(probability))
    cost = np.hstack([columns.cost, np.zeros((loads, ways.size - n))])
    return ways, ways.problem(linked.worst(cost), priced=False)


def budgeted_problem(
    columns: FollowingColumns, at_once: int
) -> tuple[ScenarioColumns, AllocationProblem | None]:
    """Return the problem in which every row holds whichever services are at their peaks.

    Parameters
    ----------
    columns
        At two loads: the usual ones and the peaks.
    at_once
        How many services may be at their peaks together.

    Notes
    -----
    With a_k at the usual load and d_k >= 0 more at the peak, a row under the worst set of G
    services is kept if and only if there are z, p_s >= 0 with [1]_

        sum of a_k x_k + G z + sum of p_s <= b,   z + p_s >= sum of d_k x_k over k of s

    The same holds for the cost, whose worst is minimised.

    References
    ----------
    .. [1] Bertsimas, D., Sim, M. (2004). The price of robustness. Operations Research 52(1).
    """
    (usual, more), capacity = columns.usage, columns.base.capacity
    extra = np.maximum(more - usual, 0.0)
    ways = columns.ways(columns.cost[0], usual)
    links: Links | None = None
    for row in np.flatnonzero(extra.any(axis=1)).tolist():
        part = _budget(ways, usual[row], extra[row], at_once, float(capacity[row]))
        links = part if links is None else links.beside(part)
    dearer = np.maximum(columns.cost[1] - columns.cost[0], 0.0)
    if dearer.any():
        part = _budget(ways, None, dearer, at_once, np.inf)
        links = part if links is None else links.beside(part)
    return ways, ways.problem(links)


def _budget(
    ways: ScenarioColumns, usual: FloatArray | None, extra: FloatArray, at_once: int, most: float
) -> Links:
    """Return the rows of one budget: within `most`, or priced where there is no usual use."""
    services = len(ways.spec.services)
    priced = usual is None
    base = np.zeros(len(extra)) if usual is None else usual
    entry, first = np.flatnonzero(extra), np.flatnonzero(base)
    of_x = SparseColumns.from_triplets(
        (1 + services, ways.size),
        rows=np.concatenate([np.zeros(len(first), dtype=np.int64), 1 + ways.owner[entry]]),
        columns=np.concatenate([first, entry]),
        values=np.concatenate([base[first], -extra[entry]]),
    )
    weight = np.append(float(at_once), np.ones(services))
    each = np.arange(services)
    of_z = SparseColumns.from_triplets(
        (1 + services, 1 + services),
        rows=np.concatenate([np.zeros(1 + services, dtype=np.int64), 1 + each, 1 + each]),
        columns=np.concatenate([np.arange(1 + services), np.zeros(services, np.int64), 1 + each]),
        values=np.concatenate([np.zeros_like(weight) if priced else weight, np.ones(2 * services)]),
    )
    return Links(
        np.append(-np.inf, np.zeros(services)),
        np.append(most, np.full(services, np.inf)),
        of_x,
        of_z,
        cost=weight if priced else None,
    )


@dataclass(frozen=True, eq=False)
class _Places:
    """Columns of a problem by what their configuration is, whatever its batch.

    A service without requests may be scaled to zero, wherever its replicas are at other loads.

    Parameters
    ----------
    column
        By configuration.
    scaled_to_zero
        By service, where that is all there is.
    """

    column: dict[_Key, int]
    scaled_to_zero: dict[int, int]

    @classmethod
    def of(cls, problem: FleetProblem) -> Self:
        table = problem.table
        reuse, decode = table.reuse, table.decode
        found: dict[_Key, int] = {}
        nowhere: dict[int, int] = {}
        for column in np.flatnonzero(~problem.columns.unserved).tolist():
            row = int(problem.columns.candidate[column])
            key = (
                int(table.service[row]),
                int(table.accelerator[row]),
                int(table.performance[row]),
                int(decode.accelerator[row]),
                int(decode.performance[row]),
                int(reuse.store[row]),
                float(reuse.ratio[row]) if reuse.store[row] >= 0 else 0.0,
                *sorted(
                    int(table.service[other])
                    for other in table.sharers.get(int(table.shared[row]), ())
                ),
            )
            found[key] = column
            if table.accelerator[row] < 0:
                nowhere[int(table.service[row])] = column
        return cls(found, nowhere)

    def has(self, key: _Key) -> bool:
        """Whether a configuration can serve here, or its service has nothing to be served."""
        return key in self.column or int(key[0]) in self.scaled_to_zero

    def at(self, key: _Key) -> int:
        """Return its column; that of being scaled to zero where there is none."""
        found = self.column.get(key)
        return self.scaled_to_zero[int(key[0])] if found is None else found
