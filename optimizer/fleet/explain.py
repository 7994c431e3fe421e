"""Why a service got what it got, or nothing: every way to serve it, side by side."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum

import numpy as np
from pydantic import BaseModel, ConfigDict

from optimizer.errors import Fault, SpecError
from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.impossible import why_not
from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole
from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.reachable import best_reachable
from optimizer.fleet.resources import in_words
from optimizer.fleet.unserved import why_impossible
from optimizer.spec.objective import Objective
from solvers import CAPACITY_TOLERANCE, Reason

__all__ = ["Explanation", "Option", "OptionState", "Reachable", "explain", "explain_candidates"]


class OptionState(StrEnum):
    """What became of a way to serve the service."""

    CHOSEN = "chosen"
    POSSIBLE = "possible"
    TOO_LARGE = "too-large"  # more cards than there are, even with everything else gone
    IMPOSSIBLE = "impossible"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reachable(_Part):
    """Best value of a bounded statistic, at vanishing load, against its bound [ms]."""

    statistic: str
    best_ms: float | None
    bound_ms: float


class Option(_Part):
    """One way to serve the service."""

    accelerator: str | None
    configuration: str = ""
    store: str | None = None
    recompute_ratio: float | None = None
    source: str | None = None
    log_sd: float | None = None
    decode: str | None = None
    shared_with: tuple[str, ...] = ()
    max_batch: int
    state: OptionState
    replicas: int | None
    cards: int | None
    cost_per_hour: float | None
    rate_per_replica_rps: float | None
    ttft_ms: float | None
    itl_ms: float | None
    reachable: tuple[Reachable, ...]
    detail: str


class Explanation(_Part):
    """Everything that decided about one service; options by state, then cost."""

    service: str
    currency: str
    verdict: str
    options: tuple[Option, ...]


def explain(plan: FleetPlan, problem: FleetProblem, service: str) -> Explanation:
    """Explain what a plan gives a service.

    Raises
    ------
    SpecError
        If the fleet has no such service; names the nearest.
    """
    allocations = plan.allocations_of(service)
    options = _options(problem, _index_of(problem, service), allocations)
    return Explanation(
        service=service,
        currency=problem.table.spec.currency,
        verdict=_verdict(plan, service, allocations, options),
        options=tuple(options),
    )


def explain_candidates(problem: FleetProblem, service: str) -> Explanation:
    """Explain what could serve a service, with the fleet to itself; no solver is asked.

    Raises
    ------
    SpecError
        If the fleet has no such service; names the nearest.
    """
    table = problem.table
    index = _index_of(problem, service)
    options = _options(problem, index, ())
    possible = [option for option in options if option.state is OptionState.POSSIBLE]
    if possible:
        # What it shares costs the others too: the cheapest for it alone comes first, if any does.
        best = next((option for option in possible if not option.shared_with), possible[0])
        verdict = (
            f"{len(possible)} of {len(options)} ways could serve it; the cheapest alone: "
            f"{best.replicas} replica(s) on {_place(best)} at {best.cost_per_hour:.4g} "
            f"{table.spec.currency}/h"
        )
    elif any(option.state is OptionState.TOO_LARGE for option in options):
        verdict = "nothing can serve it: what could is more than there is"
    else:
        verdict = f"nothing can serve it: {why_impossible(table, index)}"
    return Explanation(
        service=service, currency=table.spec.currency, verdict=verdict, options=tuple(options)
    )


def _index_of(problem: FleetProblem, service: str) -> int:
    table = problem.table
    names = [entry.name for entry in table.spec.services]
    if service not in names:
        near = get_close_matches(service, names, n=1)
        raise SpecError(
            [
                Fault(
                    message=f"fleet '{table.spec.name}' has no service {service!r}",
                    hint=f"did you mean {near[0]!r}?"
                    if near
                    else f"it has: {', '.join(names[:10])}",
                )
            ]
        )
    return names.index(service)


def _options(
    problem: FleetProblem, service: int, allocations: tuple[Allocation, ...]
) -> list[Option]:
    """Return every way to serve a service, by state, then cost."""
    table = problem.table
    options = [
        _option(problem, row, _chosen(table, row, allocations))
        for row in table.rows_of(service).tolist()
    ]
    rank = {state: position for position, state in enumerate(OptionState)}
    options.sort(key=lambda o: (rank[o.state], o.cost_per_hour or 0.0))
    return options


def _chosen(
    table: CandidateTable, row: int, allocations: tuple[Allocation, ...]
) -> Allocation | None:
    """Return the allocation that a row became; of two pools the one that prefills."""
    sharers = table.sharers_of(row)
    if any(set(a.shared_with) != set(sharers) for a in allocations):
        return None
    if table.decode.accelerator[row] < 0:
        alone = (a for a in allocations if a.role is PoolRole.AGGREGATED)
        return next((a for a in alone if _is_chosen(table, row, a)), None)
    if [a.role for a in allocations] != [PoolRole.PREFILL, PoolRole.DECODE]:
        return None
    halves = zip(table.halves, allocations, strict=True)
    return allocations[0] if all(_is_chosen(half, row, a) for half, a in halves) else None


def _is_chosen(table: CandidateTable, row: int, allocation: Allocation) -> bool:
    place = int(table.accelerator[row])
    if place < 0:
        return allocation.accelerator is None
    return (
        table.inventory.names[place] == allocation.accelerator
        and table.configuration_of(row) == allocation.configuration
        and _loading(table, row) == _loading_said(allocation)
        and (int(table.max_batch[row]) or None) == allocation.max_batch
    )


def _loading(table: CandidateTable, row: int) -> tuple[str | None, float]:
    return table.store_of(row), float(table.reuse.ratio[row])


def _loading_said(allocation: Allocation) -> tuple[str | None, float]:
    storage = allocation.storage
    return (None, 0.0) if storage is None else (storage.store, storage.recompute_ratio)


def _option(problem: FleetProblem, row: int, chosen: Allocation | None) -> Option:
    table = problem.table
    verdict = Verdict(int(table.verdict[row]))
    possible = verdict is Verdict.POSSIBLE
    sized = possible or verdict is Verdict.REPLICAS
    lead = table.with_replicas(row)
    excess = [
        f"needs {in_words(r.requirement, r.usage[lead])}, there are {r.capacity:.6g}"
        for r in problem.resources
        if possible and r.usage[lead] > r.capacity * (1 + CAPACITY_TOLERANCE)
    ]
    state = OptionState.IMPOSSIBLE
    if possible:
        state = OptionState.TOO_LARGE if excess else OptionState.POSSIBLE
    replicas, cards = int(table.replicas[lead]), int(table.cards[lead])
    cost = float(table.cost_per_hour[lead])
    pooled = bool(table.decode.accelerator[row] >= 0)
    cards += int(table.decode.cards[row])
    if chosen is not None:
        state = OptionState.CHOSEN
        if not pooled and lead == row:
            replicas, cards, cost = chosen.replicas, chosen.cards, chosen.cost_per_hour
    asked = verdict in (Verdict.POSSIBLE, Verdict.SLO, Verdict.REPLICAS)
    placed = int(table.accelerator[row]) >= 0
    place = int(table.performance[row])
    entry = table.spec.performance[place] if place >= 0 else None
    return Option(
        accelerator=table.inventory.names[int(table.accelerator[row])] if placed else None,
        configuration=table.configuration_of(row),
        store=table.store_of(row),
        recompute_ratio=float(table.reuse.ratio[row]) if table.store_of(row) else None,
        source=None if entry is None else entry.source,
        log_sd=None if entry is None else entry.log_sd,
        decode=table.decode_of(row),
        shared_with=table.sharers_of(row),
        max_batch=int(table.max_batch[row]),
        state=state,
        replicas=replicas if sized else None,
        cards=cards if sized else None,
        cost_per_hour=cost if sized else None,
        rate_per_replica_rps=float(table.rate_per_replica_rps[row]) if sized else None,
        ttft_ms=chosen.ttft_ms if chosen is not None else _finite(table.metrics.ttft_ms[row]),
        itl_ms=chosen.itl_ms if chosen is not None else _finite(table.metrics.itl_ms[row]),
        reachable=tuple(
            Reachable(statistic=str(s), best_ms=_finite(best), bound_ms=bound)
            for s, (best, bound) in best_reachable(table, row).items()
        )
        if asked and placed and not pooled and table.shared[row] < 0
        else (),
        detail="; ".join(excess) if possible else why_not(table, row),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _verdict(
    plan: FleetPlan, service: str, allocations: tuple[Allocation, ...], options: list[Option]
) -> str:
    if not allocations:
        own = next((u.explanation for u in plan.unserved if u.service == service), None)
        return own or f"{plan.termination}: {plan.detail}; it is not among the causes"
    if allocations[0].role is PoolRole.PREFILL:
        return _pools_verdict(plan, allocations)
    if len(allocations) > 1 or allocations[0].routes:
        return _split_verdict(plan, allocations)
    allocation = allocations[0]
    if allocation.shared_with:
        return _shared_verdict(plan, allocation)
    if allocation.accelerator is None:
        return "no load and no replica required: scaled to zero"
    money = f"{allocation.cost_per_hour:.4g} {plan.currency}/h"
    what = f"{allocation.replicas} replica(s) on {_place(allocation)} at {money}"
    what += _in_tiers(plan, allocation)
    if allocation.partial:
        return (
            f"best effort: {what}, {allocation.replicas_needed} would keep its objectives at "
            f"its full load"
        )
    cheaper = [
        o
        for o in options
        if o.state is OptionState.POSSIBLE
        and not o.shared_with
        and o.cost_per_hour is not None
        and o.cost_per_hour < allocation.cost_per_hour * (1 - 1e-12)
    ]
    if not cheaper:
        return f"{what}: no candidate that fits the fleet's capacity costs less"
    tiered = {purchase.accelerator for purchase in plan.purchases}
    listed = [" outside of tiers" if o.accelerator in tiered else "" for o in cheaper[:3]]
    names = ", ".join(
        f"{_place(o)} ({o.cost_per_hour:.4g}{words})"
        for o, words in zip(cheaper, listed, strict=False)
    )
    return f"{what}; cheaper for it alone would be {names}, but {_why_dearer(plan)}"


def _in_tiers(plan: FleetPlan, allocation: Allocation) -> str:
    """Say in which tiers its instances are bought, and which of the accelerator's are full."""
    if not allocation.tiers:
        return ""
    bought = ", ".join(f"{count} {tier}" for tier, count in allocation.tiers.items())
    full = [
        purchase.tier
        for purchase in plan.purchases
        if purchase.accelerator == allocation.accelerator
        and purchase.quota is not None
        and purchase.instances >= purchase.quota
    ]
    words = f", bought as {bought}"
    if full:
        words += f" (all the fleet has of {', '.join(full)} is bought)"
    return words


def _shared_verdict(plan: FleetPlan, allocation: Allocation) -> str:
    """Say which services share the replicas, and what these cost together."""
    lead = allocation
    if allocation.replicas_of is not None:
        (lead,) = plan.allocations_of(allocation.replicas_of)
    kept = "proven to cost least" if plan.termination is Reason.OPTIMAL else "no proof yet"
    return (
        f"{lead.replicas} replica(s) on {_place(allocation)}; together "
        f"{lead.cost_per_hour:.4g} {plan.currency}/h, {kept}"
    )


def _place(one: Allocation | Option) -> str:
    """Name an accelerator, the configuration on it and the store it loads from."""
    store, ratio = (one.store, one.recompute_ratio) if isinstance(one, Option) else (None, None)
    if isinstance(one, Allocation) and one.storage is not None:
        store, ratio = one.storage.store, one.storage.recompute_ratio
    loading = f"with {store}, {ratio:.0%} recomputed" if store is not None else ""
    if isinstance(one, Option) and one.decode is not None:
        loading = f"for prefill, {one.decode} for decode"
    if one.shared_with:
        loading = f"shared with {', '.join(one.shared_with)}"
    return " ".join(part for part in (one.accelerator or "", one.configuration, loading) if part)


def _pools_verdict(plan: FleetPlan, allocations: tuple[Allocation, ...]) -> str:
    """Say which pools prefill and decode."""
    parts = ", ".join(f"{a.role}: {a.replicas} replica(s) on {_place(a)}" for a in allocations)
    cost = sum(a.cost_per_hour for a in allocations)
    kept = "proven to cost least" if plan.termination is Reason.OPTIMAL else "no proof yet"
    return f"{parts}; together {cost:.4g} {plan.currency}/h, {kept}"


def _split_verdict(plan: FleetPlan, allocations: tuple[Allocation, ...]) -> str:
    """Say over what a service splits, with the shares of its load."""
    parts = ", ".join(
        f"{a.replicas} replica(s) on {_place(a)} with {a.share:.1%} of the load"
        for a in allocations
    )
    cost = sum(a.cost_per_hour for a in allocations)
    kept = "proven to cost least" if plan.termination is Reason.OPTIMAL else "no proof yet"
    served = sum(a.share for a in allocations)
    left = f", {1 - served:.1%} of the load is left" if allocations[0].partial else ""
    return f"split: {parts}; together {cost:.4g} {plan.currency}/h, {kept}{left}"


def _why_dearer(plan: FleetPlan) -> str:
    """Say why a plan gives a service something that is not its cheapest."""
    if plan.objective != Objective.COST:
        return f"the objective is {plan.objective}, which also weighs moving"
    if plan.termination is not Reason.OPTIMAL:
        return "the solver stopped without proof"
    return "what they need serves the fleet better elsewhere"
