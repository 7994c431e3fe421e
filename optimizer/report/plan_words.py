"""What a plan says in words, whatever shows them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole, StorageUse, TargetOutcome
from optimizer.report.figures import number

if TYPE_CHECKING:
    from optimizer.fleet.horizon import PeriodAllocation

__all__ = [
    "WHOLE_SHARE",
    "Words",
    "accelerator_costs",
    "accelerators_known",
    "load_words",
    "period_place",
    "place_words",
    "replicas_words",
    "store_words",
    "target_words",
    "tightest_target",
    "used_share",
    "verdict_lines",
]

Words = tuple[str, str]
"""A piece of a line, and the style that a terminal shows it in."""

# Shares of a service's load are sums of rates that a linear programme found.
_ROUNDING = 1e-6
WHOLE_SHARE = 1 - _ROUNDING
"""Shares from here on are all of a load."""

# Share of what is allowed that is shown where a rate must not be 0 and is.
_NOTHING_KEPT = 10.0

# A service that refuses more than this share of its requests is pointed out.
_REFUSED = 0.01


def verdict_lines(plan: FleetPlan) -> Iterator[tuple[Words, ...]]:
    """Yield how good a plan is, who is served, and what "served" alone would hide.

    Of a fleet without a plan, why.
    """
    if not plan.found:
        if plan.detail:
            yield ((plan.detail, ""),)
        return
    yield ((_proof(plan), ""),)
    yield _served(plan)
    for line in (*_objective_stages(plan), *_totals(plan), *_transition(plan)):
        yield ((line, ""),)
    for fact in _facts([a for a in plan.allocations if not a.partial]):
        yield ((fact, "yellow"),)
    for stage in plan.stages:
        if not stage.proven:
            line = (
                f"priority {stage.priority}: {stage.not_served_whole} not served whole, "
                f"at least {stage.at_least} proven unavoidable"
            )
            yield ((line, ""),)


def _served(plan: FleetPlan) -> tuple[Words, ...]:
    served, partly = len(plan.services_served), len(plan.services_partly_served)
    words = [(f"{served - partly} of {served + len(plan.unserved)} services served", "")]
    if partly:
        part = (
            f", {partly} in part (best effort, {plan.best_effort_cost_per_hour:,.2f} "
            f"{plan.currency}/h of the cost)"
        )
        words.append((part, "yellow"))
    if plan.unserved:
        words.append((f", {len(plan.unserved)} unserved", "red"))
    return tuple(words)


def tightest_target(allocation: Allocation) -> TargetOutcome | None:
    """Return the objective with the least room, a broken one first."""
    return min(
        allocation.targets,
        key=lambda target: -math.inf if target.margin is None else target.margin,
        default=None,
    )


def accelerator_costs(allocations: Iterable[Allocation]) -> dict[str, float]:
    """Return the cost per hour by accelerator."""
    costs: dict[str, float] = {}
    for allocation in allocations:
        if allocation.cost_per_hour:
            name = allocation.accelerator or "none"
            costs[name] = costs.get(name, 0.0) + allocation.cost_per_hour
    return costs


def accelerators_known(plan: FleetPlan) -> list[str]:
    """Return the accelerators of the plan's fleet, in its order, or those that it uses."""
    fleet = plan.fleet_document or {}
    listed = [str(one["name"]) for one in fleet.get("accelerators", ())]
    return listed or sorted({a.accelerator for a in plan.allocations if a.accelerator})


def used_share(target: TargetOutcome) -> float:
    """Return how much of what an objective allows is used; rates, which are floors, inverted."""
    value = target.value or 0.0
    if target.metric.is_latency:
        return value / target.bound
    return target.bound / value if value else _NOTHING_KEPT


def replicas_words(a: Allocation) -> str:
    """Say how many replicas there are, of how many where that is fewer than needed, or whose."""
    if a.replicas_of is not None:
        return f"those of {a.replicas_of}"
    return f"{a.replicas}/{a.replicas_needed}" if a.partial else f"{a.replicas}"


def period_place(a: PeriodAllocation) -> str:
    """Say where replicas of a period are, and with whom they are shared."""
    place = f"{a.accelerator} {a.configuration}".rstrip()
    if a.replicas_of is not None:
        return f"{place}, those of {a.replicas_of}"
    return f"{place}, shared with {', '.join(a.shared_with)}" if a.shared_with else place


def load_words(a: Allocation) -> str:
    """Say how much of the batch is in use."""
    if not a.stable:
        return "overload"
    return "-" if a.utilization is None else f"{a.utilization:.0%}"


def place_words(a: Allocation) -> str:
    """Say on what a service stands."""
    if a.accelerator is None:
        return "none"
    role = "" if a.role is PoolRole.AGGREGATED else f"({a.role})"
    return " ".join(part for part in (a.accelerator, a.configuration, role) if part)


def store_words(storage: StorageUse) -> str:
    """Say where KV caches are loaded from."""
    ratio = storage.recompute_ratio
    return f"{storage.store}, {ratio:.0%} recomputed" if ratio else storage.store


def target_words(target: TargetOutcome) -> str:
    """Say what an objective asks for."""
    sign = "<=" if target.metric.is_latency else ">="
    which = "" if target.statistic == "mean" else f"{target.statistic} "
    return f"{target.metric.value} {which}{sign} {number(target.bound)}"


def _proof(plan: FleetPlan) -> str:
    if plan.relative_gap is None:
        return "no bound proven"
    name = f"{plan.objective} {plan.primal_bound:,.4g}"
    if plan.objective in ("cost", "power", "carbon"):
        name = plan.objective
    elif plan.objective_stages:
        name = ", then ".join(stage.minimise for stage in plan.objective_stages)
    given = ""
    if any(allocation.partial for allocation in plan.allocations):
        given = " for the services served whole"
    elif plan.unserved:
        given = " given the unserved services"
    if plan.termination.value == "optimal":
        return f"{name} proven optimal{given} (gap {plan.relative_gap:.4%})"
    return f"{name} at most {plan.relative_gap:.2%} above the best possible{given}"


def _objective_stages(plan: FleetPlan) -> Iterator[str]:
    """Yield what each stage of a lexicographic objective reached."""
    for place, stage in enumerate(plan.objective_stages, start=1):
        proof = "proven least" if stage.proven else "not proven least"
        given = " given the stages before" if place > 1 else ""
        slack = f"; {stage.tolerance:.2%} of it might be given up" if stage.tolerance else ""
        yield f"stage {place}: {stage.minimise} {stage.value:,.4g}, {proof}{given}{slack}"


def _totals(plan: FleetPlan) -> Iterator[str]:
    """Yield power and carbon, where the fleet counts them."""
    if plan.power_kw is not None:
        carbon = plan.carbon_kg_per_hour
        yield f"power {plan.power_kw:,.4g} kW" + (
            "" if carbon is None else f", carbon {carbon:,.4g} kg CO2e/h"
        )


def _transition(plan: FleetPlan) -> Iterator[str]:
    """Yield what changes from today's plan."""
    change = plan.transition
    if change is None:
        return
    names = f" ({_few(change.moved)})" if change.moved else ""
    cost = ""
    if change.cost > 0:
        cost = (
            f"; {change.cost:,.2f} {plan.currency} once, {change.cost_per_hour:,.2f} "
            f"{plan.currency}/h over the horizon"
        )
    ready = f"; ready after {change.ready_after_s:,.0f} s" if change.ready_after_s else ""
    yield (
        f"transition: {len(change.moved)} moved{names}, {change.started} replicas started, "
        f"{change.stopped} stopped{cost}{ready}"
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _facts(served: list[Allocation]) -> Iterator[str]:
    """Yield what "served" alone would hide."""
    missing = [a.service for a in served if not a.slo_met]
    refusing = [a.service for a in served if (a.refused_share or 0.0) > _REFUSED]
    admitted: dict[str, float] = {}
    for a in served:
        admitted[a.service] = admitted.get(a.service, 0.0) + a.admitted_rate_rps
    limited = list(
        dict.fromkeys(
            a.service for a in served if admitted[a.service] < a.arrival_rate_rps * (1 - _ROUNDING)
        )
    )
    yield from _estimates(served)
    for names, what in (
        (missing, "predicted to miss an objective"),
        (refusing, f"refusing more than {_REFUSED:.0%} of requests at a full queue"),
        (limited, "sized for less than arrives (a throughput target replaces the load)"),
    ):
        if names:
            yield f"{len(names)} {what}: {_few(names)}"


def _estimates(served: list[Allocation]) -> Iterator[str]:
    """Yield what rests on times that nobody measured."""
    spreads = {a.service: a.log_sd for a in served if a.log_sd is not None}
    if spreads:
        names = list(spreads)
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        yield (
            f"{len(names)} with estimated times, true ones within "
            f"{math.expm1(max(spreads.values())):.0%} two times in three: {shown}"
        )
