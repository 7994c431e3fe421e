"""The circuit breaker."""

from __future__ import annotations

from optimizer.control.breaker import Breaker
from optimizer.control.spec import BreakerSpec, Order, OrderKind, Variant
from tests.optimizer.control.fleets import variant

A, B = variant("a"), variant("b")


def order(whose: Variant, before: int, after: int) -> Order:
    kind = OrderKind.RELEASE if after < before else OrderKind.GRANT
    return Order(variant=whose, kind=kind, expected=before, replicas=after, cycle=1)


def test_a_large_fall_waits_for_approval() -> None:
    """More than the stated share of the fleet is not stopped until somebody says so."""
    breaker = Breaker(BreakerSpec(most_stopped_share=0.5, free_replicas=2))
    before, target = {A: 10, B: 10}, {A: 1, B: 5}
    assert breaker.holds(0.0, before, target)
    digest = breaker.tripped
    assert digest
    assert "14 of 20 replicas stopped" in breaker.reason
    assert breaker.holds(15.0, before, target)
    assert breaker.tripped == digest
    assert not breaker.approve(16.0, "something else")
    assert breaker.approve(16.0, digest)
    assert not breaker.holds(17.0, before, target)


def test_many_small_falls_are_one_large_one() -> None:
    """Changes are summed over a time: a fleet cannot be run down step by step."""
    breaker = Breaker(BreakerSpec(most_stopped_share=0.5, free_replicas=2, within_s=600.0))
    size = 20
    for number in range(20):
        if breaker.holds(15.0 * number, {A: size}, {A: size - 1}):
            break
        breaker.note(15.0 * number, order(A, size, size - 1))
        size -= 1
    assert size == 10


def test_a_spike_needs_no_approval_to_end() -> None:
    """Replicas started a moment ago are stopped again: the fleet is as it was."""
    breaker = Breaker(BreakerSpec(most_stopped_share=0.5, free_replicas=2, within_s=600.0))
    assert not breaker.holds(0.0, {A: 10}, {A: 60})
    breaker.note(0.0, order(A, 10, 60))
    assert not breaker.holds(300.0, {A: 60}, {A: 10})
    assert breaker.holds(300.0, {A: 60}, {A: 4})
    again = Breaker(BreakerSpec(most_stopped_share=0.5, free_replicas=2, within_s=600.0))
    again.restore(breaker.state())
    assert not again.holds(300.0, {A: 60}, {A: 10})


def test_an_empty_fleet_may_start() -> None:
    """The first replicas of all need no approval, growth without bound does."""
    breaker = Breaker(BreakerSpec(most_started_share=4.0, free_replicas=10))
    assert not breaker.holds(0.0, {}, {A: 500})
    assert not breaker.holds(0.0, {A: 10}, {A: 50})
    assert breaker.holds(0.0, {A: 10}, {A: 51})


def test_a_small_change_is_free() -> None:
    """However large its share."""
    breaker = Breaker(BreakerSpec(most_stopped_share=0.1, free_replicas=3))
    assert not breaker.holds(0.0, {A: 4}, {A: 1})
    assert breaker.holds(0.0, {A: 5}, {A: 1})


def test_it_closes_when_what_is_wanted_is_small_again() -> None:
    """A change of mind needs no approval."""
    breaker = Breaker(BreakerSpec(free_replicas=1))
    assert breaker.holds(0.0, {A: 10}, {A: 1})
    assert not breaker.holds(15.0, {A: 10}, {A: 9})
    assert breaker.tripped == ""


def test_a_fleet_that_slept_may_wake_up() -> None:
    """After a lull it may grow to what it was in the last day, and no further than the limit."""
    breaker = Breaker(BreakerSpec(most_started_share=2.0, free_replicas=4))
    assert not breaker.holds(0.0, {A: 40}, {A: 40})
    assert not breaker.holds(4 * 3600.0, {A: 1}, {A: 60})
    assert breaker.holds(4 * 3600.0, {A: 1}, {A: 90})
    assert breaker.holds(30 * 3600.0, {A: 1}, {A: 60})
