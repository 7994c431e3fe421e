"""How much more of which resource would let everyone be served, at the least price."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.inventory import Inventory
from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.resources import Requirement, Scope
from optimizer.spec.assignment import named_entry
from optimizer.spec.fleet_spec import FleetSpec
from solvers import AllocationProblem, Links, Reason, SolveResult, SparseColumns, Split, solve

__all__ = ["ElasticRepair", "Extension", "elastic_repair"]

FloatArray = NDArray[np.float64]

# What is not counted in whole pieces is rounded up to this many significant digits.
_DIGITS = 6
_GAP = 1e-6


@dataclass(frozen=True, slots=True)
class Extension:
    """More of one resource.

    Parameters
    ----------
    requirement
        The row that is extended.
    more
        By how much, > 0, in its unit.
    price_per_unit
        What one unit more counts for, per hour.
    path
        Where the fleet's description says how much there is.
    """

    requirement: Requirement
    more: float
    price_per_unit: float
    path: str

    @property
    def price(self) -> float:
        """What it counts for, per hour."""
        return self.more * self.price_per_unit


@dataclass(frozen=True, slots=True)
class ElasticRepair:
    """The extensions that cost least together, and how far from least they can be."""

    extensions: tuple[Extension, ...]
    price: float
    lower_bound: float
    proven: bool


def elastic_repair(
    problem: FleetProblem, time_limit_s: float | None = None
) -> ElasticRepair | None:
    """Find the cheapest extension of capacities and limits with which everyone is served.

    Every row gets a slack column with a price: a card what it costs per hour where it is cheapest,
    money at par, and of anything else twice the limit as much as the whole fleet.

    Parameters
    ----------
    problem
        Of a fleet in which everyone must be served and every service has a candidate.

    Returns
    -------
    ElasticRepair or None
        None where no amount of resources is enough, or time ran out before one was found.
    """
    arrays = problem.arrays
    assert arrays is not None  # the caller's: every service has a candidate
    spec = problem.table.spec
    rows = [problem.resources[row].requirement for row in problem.rows]
    fleet_cost = _cheapest_fleet(arrays)
    inventory = problem.table.inventory
    prices = np.array([_price(spec, inventory, row, fleet_cost) for row in rows])
    whole = np.array([row.kind.is_whole for row in rows], dtype=np.bool_)
    result = solve(_elastic(arrays, prices, whole), relative_gap=_GAP, time_limit_s=time_limit_s)
    if result.x is None or result.z is None:
        return None
    extensions = tuple(
        Extension(row, more, float(price), _path(spec, row))
        for row, price, more in zip(
            rows, prices, _rounded(_slack(result, rows), whole), strict=True
        )
        if more > 0
    )
    return ElasticRepair(
        extensions=extensions,
        price=math.fsum(extension.price for extension in extensions),
        lower_bound=max(result.dual_bound, 0.0),
        proven=result.termination.reason is Reason.OPTIMAL,
    )


def _slack(result: SolveResult, rows: list[Requirement]) -> FloatArray:
    assert result.z is not None
    return np.asarray(result.z[-len(rows) :], dtype=np.float64)


def _elastic(arrays: AllocationProblem, prices: FloatArray, whole: NDArray[np.bool_]) -> (
    AllocationProblem
):  # fmt: skip
    """Return the problem of the slacks' prices alone: usage @ x - slack <= capacity."""
    rows, columns = arrays.rows, arrays.columns
    own = arrays.links
    unlimited = np.full(rows, np.inf)
    identity = SparseColumns.from_triplets(
        (rows, rows), rows=np.arange(rows), columns=np.arange(rows), values=np.full(rows, -1.0)
    )
    links = Links(np.full(rows, -np.inf), arrays.capacity, arrays.usage, identity, cost=prices,
                  integer=whole)  # fmt: skip
    if own is not None:
        links = own.beside(links)
    return AllocationProblem(
        np.zeros(columns),
        arrays.usage,
        unlimited,
        arrays.group,
        unserved=arrays.unserved,
        split=None if arrays.split is None else _bounded(arrays.split, arrays),
        links=links,
    )


def _bounded(split: Split, arrays: AllocationProblem) -> Split:
    """Return the split part with a limit of units of each column: what its items' load takes."""
    units = np.zeros(arrays.columns)
    np.add.at(units, split.edge_column, np.ceil(split.demand[split.edge_item] / split.edge_rate))
    spares = 0 if split.spares is None else split.spares
    totals = 0 if split.lower_total is None else split.lower_total[arrays.group]
    most = np.maximum(units + spares, totals)
    if split.upper is not None:
        most = np.minimum(most, split.upper)
    return dataclasses.replace(split, upper=most)


def _cheapest_fleet(arrays: AllocationProblem) -> float:
    """Return the cost of the cheapest candidates, capacities apart; at least some money."""
    least = np.full(arrays.groups, np.inf)
    np.minimum.at(least, arrays.group, np.abs(arrays.cost))
    return max(math.fsum(least), 1.0)


def _price(spec: FleetSpec, inventory: Inventory, row: Requirement, fleet_cost: float) -> float:
    """Return what one unit more of a row counts for, per hour."""
    if row.kind.name == "cards":
        per_card = [
            float(cost) / cards
            for accelerator, cost, cards in zip(
                spec.accelerators, inventory.cost_per_hour, inventory.cards.tolist(), strict=True
            )
            if row.scope.has_accelerator(accelerator)
        ]
        return min((price for price in per_card if price > 0), default=1.0)
    if row.kind.name == "cost_per_hour":
        return 1.0
    return fleet_cost / row.capacity if row.capacity > 0 else fleet_cost


def _rounded(more: FloatArray, whole: NDArray[np.bool_]) -> list[float]:
    """Return whole pieces, and digits that a person would write; never less than is needed."""
    return [
        float(round(value)) if piece else _rounded_up(value)
        for value, piece in zip(more.tolist(), whole.tolist(), strict=True)
    ]


def _rounded_up(value: float) -> float:
    if value <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) + 1 - _DIGITS)
    return float(f"{math.ceil(value / step) * step:.{_DIGITS}g}")


def _path(spec: FleetSpec, row: Requirement) -> str:
    """Return where the fleet's description says how much there is."""
    types = [capacity.type for capacity in spec.capacities]
    for position, capacity in enumerate(spec.capacities):
        if row.kind.name == "cards" and Scope.of(capacity) == row.scope:
            alone = types.count(capacity.type) == 1
            entry = named_entry("capacities", capacity.type) if alone else f"capacities[{position}]"
            return f"{entry}.cards"
    for position, limit in enumerate(spec.limits):
        if limit.measure.value == row.kind.name and Scope.of(limit) == row.scope:
            entry = (
                f"limits[{position}]" if limit.name is None else named_entry("limits", limit.name)
            )
            return f"{entry}.at_most"
    return ""
