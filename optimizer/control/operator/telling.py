"""What is told of the fleet in the statuses of its objects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from optimizer.control.controller import Cycle
from optimizer.control.operator.conditions import Told, as_time
from optimizer.control.spec import ConditionType, OrderOutcome, ServiceStatus, Variant

__all__ = ["optimizer_conditions", "optimizer_figures", "server_conditions", "server_figures"]

Json = dict[str, Any]


def optimizer_conditions(
    cycle: Cycle | None,
    faults: Collection[str],
    owners: Mapping[Variant, str],
    *,
    unplanned: str,
    paused: str,
) -> list[Told]:
    """Say how the fleet as a whole is.

    Parameters
    ----------
    cycle
        The last one; None where there is no fleet to control yet.
    faults
        What is wrong with any of its objects, each beginning with the object.
    owners
        Variants that others scale.
    unplanned
        Deployments in no plan that hold cards; "" where there are none.
    paused
        Why nothing is changed; "" where nothing keeps it.
    """
    told = [
        Told(
            ConditionType.CONFIGURATION_VALID,
            not faults,
            "Invalid" if faults else "Valid",
            "\n".join(faults),
        ),
        Told("Paused", bool(paused), "Paused" if paused else "Running", paused),
        conflict(owners),
        Told("Unplanned", bool(unplanned), "CardsHeld" if unplanned else "None", unplanned),
    ]
    if cycle is None:
        return [
            Told(ConditionType.READY, False, "NoFleet", "there is no valid fleet to control"),
            *told,
            Told("Planned", False, "NoFleet"),
        ]
    status = cycle.status
    own = [
        Told(c.type, c.status, c.reason, c.message)
        for c in status.conditions
        if c.type not in (ConditionType.READY, ConditionType.CONFIGURATION_VALID)
    ]
    optimized = next((c for c in own if c.kind == ConditionType.OPTIMIZATION_READY), None)
    planned = bool(status.last_digest)
    held = planned and (bool(faults) or (optimized is not None and not optimized.holds))
    ready = status.condition(ConditionType.READY)
    is_ready = bool(ready and ready.status) and planned and not faults
    reason = "Working" if is_ready else "Degraded" if planned else "NotPlanned"
    why = [f"{one.kind}: {one.message or one.reason}" for one in (*told, *own) if not one.well]
    return [
        Told(ConditionType.READY, is_ready, reason, "; ".join(why)),
        *told,
        Told("Planned", planned, "Planned" if planned else "NoData", ""),
        Told("LastGoodPlanHeld", held, "Held" if held else "Current", "; ".join(why) * held),
        Told("Degraded", planned and not is_ready, reason, "; ".join(why) * (not is_ready)),
        *own,
    ]


def conflict(owners: Mapping[Variant, str]) -> Told:
    """Say whether others scale what would be ours to scale."""
    words = "; ".join(f"{owner} scales {variant}" for variant, owner in owners.items())
    return Told("Conflict", bool(owners), "OwnedByOthers" if owners else "None", words)


def optimizer_figures(cycle: Cycle) -> Json:
    """Return what the status of an Optimizer has beside its conditions; None for what it lacks."""
    status = cycle.status
    success = status.last_success_s
    return {
        "planDigest": status.last_digest or None,
        "costPerHour": round(cycle.decision.cost_per_hour, 6),
        "awaitingApproval": status.awaiting_approval or None,
        "servers": len(cycle.decision.services),
        "lastSuccessTime": None if success is None else as_time(success),
    }


def server_conditions(
    service: str,
    faults: Collection[str],
    owners: Mapping[Variant, str],
    outcomes: Collection[OrderOutcome],
    *,
    served: bool | None,
    paused: str,
) -> list[Told]:
    """Say how one service is.

    Parameters
    ----------
    service
        Its name.
    faults
        What is wrong with its Server.
    owners
        Variants that others scale.
    outcomes
        Of the orders of the last cycle.
    served
        Whether the plan serves all of it; None where there is no plan of it.
    paused
        Why it is left alone; "" where it is not.
    """
    own = {v: owner for v, owner in owners.items() if v.service == service}
    failed = [
        f"{o.order}: {o.result}: {o.detail}"
        for o in outcomes
        if o.order.variant.service == service and not o.done
    ]
    ready = bool(served) and not faults and not own
    reason = "Invalid" if faults else "Served" if ready else "Conflict" if own else "NotServed"
    if served is None and not faults:
        reason = "NotPlanned"
    return [
        Told("Ready", ready, reason, "\n".join(faults)),
        conflict(own),
        Told("Paused", bool(paused), "Paused" if paused else "Running", paused),
        Told(
            ConditionType.ACTUATED,
            not failed,
            "OrdersFailed" if failed else "AsWanted",
            "; ".join(failed),
        ),
    ]


def server_figures(service: str, cycle: Cycle) -> Json:
    """Return what the status of a Server has beside its conditions."""
    own = [s for s in cycle.status.services if s.variant.service == service]
    decided = next((d for d in cycle.decision.services if d.service == service), None)
    return {
        **_replicas(own),
        "variants": [
            {key: value for key, value in _variant(one.variant).items() if value} | _replicas([one])
            for one in own
            if one.wanted or one.ready or one.target
        ],
        "plannedRps": 0.0 if decided is None else float(f"{decided.planned_rps:.4g}"),
        "heldBackBy": [] if decided is None else [clamp.value for clamp in decided.clamps],
    }


def _variant(variant: Variant) -> Json:
    return {
        "accelerator": variant.accelerator,
        "configuration": variant.configuration,
        "maxBatch": variant.max_batch,
    }


def _replicas(statuses: Collection[ServiceStatus]) -> dict[str, int]:
    return {
        "wanted": sum(one.wanted for one in statuses),
        "ready": sum(one.ready for one in statuses),
        "target": sum(one.target for one in statuses),
    }
