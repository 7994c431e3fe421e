"""What one unit more of each resource would save, in the continuous relaxation of the problem."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import InfeasibleError, PlanError
from optimizer.fleet.cost_stage import cost_stage_of
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.fleet.resources import KINDS, Requirement, Scope
from optimizer.spec.fleet_spec import FleetSpec
from solvers import AllocationProblem, Links, Reason, RelaxedPrices, relaxed_prices

__all__ = ["ShadowPrice", "shadow_prices"]

FloatArray = NDArray[np.float64]

# Prices below this share of the largest are rounding.
_NOTHING = 1e-9
# Instances: more than the tolerance of the relaxation's solver, and no figure that anyone reads.
_TRACE = 1e-5


@dataclass(frozen=True, slots=True)
class ShadowPrice:
    """The price of one resource.

    Parameters
    ----------
    requirement
        The capacity or limit, or the quota of a purchase tier.
    price_per_hour
        What one unit more saves per hour in the relaxation, where services may be served by parts
        of several candidates; >= 0.
    """

    requirement: Requirement
    price_per_hour: float


def shadow_prices(spec: FleetSpec) -> tuple[ShadowPrice, ...]:
    """Return the price of every resource and tier that has a limit, the dearest first.

    Under strict priorities they are those of the last stage: no more may stay unserved than in the
    best plan.

    Notes
    -----
    Prices of the relaxation point to what is scarce. Whole plans change in jumps: what a certain
    number of cards more would save is what `whatif` answers.

    Raises
    ------
    InfeasibleError
        If there is no plan.
    PlanError
        If the relaxation could not be solved in time.
    """
    problem = build_problem(spec)
    arrays = cost_stage_of(problem)
    prices = _relaxed(problem, arrays)
    plain = prices.capacity[: len(problem.rows)].tolist()
    found = [
        (problem.resources[row].requirement, value)
        for row, value in zip(problem.rows.tolist(), plain, strict=True)
    ]
    found += [
        (requirement, float(prices.links[row])) for requirement, row in _linked_resources(problem)
    ]
    found += _quota_prices(problem, arrays)
    least = _NOTHING * max((value for _, value in found), default=0.0)
    rounded = [ShadowPrice(row, value if value > least else 0.0) for row, value in found]
    return tuple(sorted(rounded, key=lambda price: -price.price_per_hour))


def _relaxed(problem: FleetProblem, arrays: AllocationProblem) -> RelaxedPrices:
    """Return the prices of the relaxation; see `shadow_prices` for the errors."""
    limit = problem.table.spec.optimizer.time_limit_s
    prices = relaxed_prices(arrays, limit)
    if prices.reason is Reason.INFEASIBLE:
        raise InfeasibleError(
            "not everyone can be served, even by parts of candidates: `fleetopt explain --repair` "
            "says what is missing"
        )
    if prices.reason is not Reason.OPTIMAL:
        raise PlanError(f"the relaxation has no prices within {limit} s; give more time")
    return prices


@dataclass(frozen=True, slots=True)
class _Quota:
    """The quota of a purchase tier: the most of each column that counts it, and a row of several.

    `row` is -1 where one column counts all that is bought in the tier.
    """

    requirement: Requirement
    columns: tuple[int, ...]
    row: int


def _quotas(problem: FleetProblem) -> Iterator[_Quota]:
    if problem.linked is None:
        return
    row_of = {name: row for row, name in enumerate(problem.linked.row_names)}
    for machine in problem.table.spec.accelerators:
        mine = [one for one in problem.linked.purchases if one.accelerator == machine.name]
        scope = Scope(type=machine.type or machine.name, pool=machine.pool)
        for tier in machine.tiers:
            columns = [one.columns[tier.tier] for one in mine if tier.tier in one.columns]
            if tier.instances is not None and columns:
                name, quota = f"{machine.name}: {tier.tier}", float(tier.instances)
                requirement = Requirement(name, KINDS["cards"], "instances", scope, quota)
                yield _Quota(requirement, tuple(columns), row_of.get(name, -1))


def _quota_prices(
    problem: FleetProblem, arrays: AllocationProblem
) -> Iterator[tuple[Requirement, float]]:
    """Yield the price of every quota."""
    quotas = tuple(_quotas(problem))
    if arrays.links is None or not quotas:
        return
    prices = _relaxed(problem, _with_room(arrays, arrays.links, quotas))
    for quota in quotas:
        yield quota.requirement, _price_of(quota, arrays.links, prices.links)


def _with_room(
    arrays: AllocationProblem, links: Links, quotas: Sequence[_Quota]
) -> AllocationProblem:
    """Return the problem with a trace more of every quota.

    Where all that is used is bought in a tier just filled, any price from what one less costs to
    what one more saves is a price; so it is the latter.
    """
    # Of the relaxation, in which nothing is whole.
    given = {f.name: getattr(links, f.name) for f in fields(links)}
    given["integer"] = np.zeros(links.columns, dtype=np.bool_)
    upper, row_upper = links.upper.copy(), links.row_upper.copy()
    for quota in quotas:
        upper[list(quota.columns)] += _TRACE
        row_upper[[quota.row] if quota.row >= 0 else []] += _TRACE
    return replace(arrays, links=Links(**{**given, "upper": upper, "row_upper": row_upper}))


def _price_of(quota: _Quota, links: Links, saved: FloatArray) -> float:
    """Return what the reduced costs of its columns save, and its row."""
    reduced = links.cost + saved @ links.of_z.to_dense()
    row = float(saved[quota.row]) if quota.row >= 0 else 0.0
    return row + float(np.maximum(-reduced[list(quota.columns)], 0.0).sum())


def _linked_resources(problem: FleetProblem) -> Iterator[tuple[Requirement, int]]:
    """Yield the resources whose rows are in the linked part, each with the row's number."""
    if problem.linked is None:
        return
    number = {name: row for row, name in enumerate(problem.linked.row_names)}
    for resource in problem.resources:
        if resource.name in number:
            yield resource.requirement, number[resource.name]
