"""What one unit more of each resource would save, in the continuous relaxation of the problem."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.errors import PlanError
from optimizer.fleet.cost_stage import cost_stage_of
from optimizer.fleet.problem import build_problem
from optimizer.fleet.resources import Requirement
from optimizer.spec.fleet_spec import FleetSpec
from solvers import solve

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
        If the relaxation could not be solved.
    solvers.UnsupportedFeatureError
        If services split or are linked.
    """
    problem = build_problem(spec)
    arrays = cost_stage_of(problem)
    result = solve(arrays, "convex", time_limit_s=spec.optimizer.time_limit_s)
    if result.prices is None:
        raise PlanError(f"the relaxation has no prices: {result.termination.detail}")
    values = result.prices.values[: len(problem.rows)].tolist()
    least = _NOTHING * max((abs(value) for value in values), default=0.0)
    found = [
        ShadowPrice(problem.resources[row].requirement, value if value > least else 0.0)
        for row, value in zip(problem.rows.tolist(), values, strict=True)
    ]
    return tuple(sorted(found, key=lambda price: -price.price_per_hour))
