"""What one unit more of each resource would save, in the continuous relaxation of the problem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.errors import InfeasibleError, PlanError
from optimizer.fleet.cost_stage import cost_stage_of
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.fleet.resources import Requirement
from optimizer.spec.fleet_spec import FleetSpec
from solvers import Reason, relaxed_prices

__all__ = ["ShadowPrice", "shadow_prices"]

# Prices below this share of the largest are rounding.
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class ShadowPrice:
    """The price of one resource.

    Parameters
    ----------
    requirement
        The capacity or limit.
    price_per_hour
        What one unit more saves per hour in the relaxation, where services may be served by parts
        of several candidates; >= 0.
    """

    requirement: Requirement
    price_per_hour: float


def shadow_prices(spec: FleetSpec) -> tuple[ShadowPrice, ...]:
    """Return the price of every resource that has a limit, the dearest first.

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
    prices = relaxed_prices(arrays, spec.optimizer.time_limit_s)
    if prices.reason is Reason.INFEASIBLE:
        raise InfeasibleError(
            "not everyone can be served, even by parts of candidates: `fleetopt explain --repair` "
            "says what is missing"
        )
    if prices.reason is not Reason.OPTIMAL:
        raise PlanError(
            f"the relaxation has no prices within {spec.optimizer.time_limit_s} s; give more time"
        )
    plain = prices.capacity[: len(problem.rows)].tolist()
    found = [
        (problem.resources[row].requirement, value)
        for row, value in zip(problem.rows.tolist(), plain, strict=True)
    ]
    found += [
        (requirement, float(prices.links[row])) for requirement, row in _linked_resources(problem)
    ]
    least = _NOTHING * max((value for _, value in found), default=0.0)
    rounded = [ShadowPrice(row, value if value > least else 0.0) for row, value in found]
    return tuple(sorted(rounded, key=lambda price: -price.price_per_hour))


def _linked_resources(problem: FleetProblem) -> Iterator[tuple[Requirement, int]]:
    """Yield the resources whose rows are in the linked part, each with the row's number."""
    if problem.linked is None:
        return
    number = {name: row for row, name in enumerate(problem.linked.row_names)}
    for resource in problem.resources:
        if resource.name in number:
            yield resource.requirement, number[resource.name]
