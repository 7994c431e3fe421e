"""Replicas of what a fleet no longer has: they hold their cards, and carry what they carried."""

from __future__ import annotations

from optimizer.control.planner import Planner
from optimizer.spec import FleetSpec
from tests.optimizer.control.faults.loop import Loop, begun, with_bound, with_service


def test_replicas_of_a_deleted_service_hold_their_cards(fleet: FleetSpec, planner: Planner) -> None:
    """What others get fits beside them, at every instant, and they stay."""
    loop = begun(Loop(fleet, planner, {"chat": 60.0, "tags": 60.0}))
    tags = loop.wanted["tags"]
    loop.controller.adopt(with_service(fleet, "chat"))
    loop.rates["chat"] = 2000.0
    loop.run(300.0)  # the loop asserts the quota
    assert loop.wanted["tags"] == tags
    assert loop.fleet.cards_held("H100") == 12


def test_a_tighter_objective_makes_before_it_breaks(fleet: FleetSpec, planner: Planner) -> None:
    """Replicas with a batch that the plan no longer has go when those that replace them serve."""
    loop = begun(Loop(fleet, planner, {"chat": 60.0, "tags": 10.0}))
    old = {v for v, n in loop.fleet.counts().wanted().items() if v.service == "chat" and n}
    loop.controller.adopt(with_bound(fleet, "itl_ms", 10.0))
    ready = []
    for _ in range(40):
        loop.run(10.0)
        ready.append(sum(c.ready for c in loop.fleet.counts().counts if c.variant in old))
    assert loop.fleet.ticks["chat"].kept > 0
    assert ready[0] > 0


def test_an_unserved_service_does_not_hide_the_load_of_others(
    fleet: FleetSpec, planner: Planner
) -> None:
    """While one cannot be served whole, a rise of another is still an event."""
    loop = begun(Loop(fleet, planner, {"chat": 5000.0, "tags": 5.0}))
    loop.rates["tags"] = 60.0
    triggers = []
    for _ in range(3):
        loop.run(10.0)
        assert loop.cycle is not None
        triggers.append(loop.cycle.decision.trigger)
    assert "event: load" in triggers[:2]
