"""How fast replicas follow the optimiser."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.control.spec import Clamp, ReplicaCount, StabilizationSpec, Variant
from optimizer.control.stabilizer import Settled, Stabilizer
from tests.optimizer.control.fleets import variant

A, B = variant("chat", "H100"), variant("chat", "A100")
RATE = 10.0  # of every replica


def settle(
    stabilizer: Stabilizer,
    now_s: float,
    there: dict[Variant, int],
    proposed: dict[Variant, int],
    *,
    ready: dict[Variant, int] | None = None,
    rate_rps: float = 0.0,
    **more: Any,
) -> Settled:
    counts = tuple(
        ReplicaCount(variant=v, wanted=n, ready=(ready or there).get(v, 0))
        for v, n in there.items()
    )
    return stabilizer.settle(
        now_s,
        "chat",
        counts,
        proposed,
        rate_rps=rate_rps,
        rate_of=lambda _: RATE,
        trusted=more.pop("trusted", True),
        **more,
    )


def test_a_rise_is_granted_at_once() -> None:
    """Without an up window a service gets what it needs in the same cycle."""
    assert settle(Stabilizer(StabilizationSpec()), 0.0, {A: 2}, {A: 5}).target == {A: 5}


def test_a_rise_is_the_least_of_its_window() -> None:
    """With an up window, a spike shorter than it changes nothing."""
    one = Stabilizer(StabilizationSpec(up_window_s=60.0))
    settle(one, 0.0, {A: 2}, {A: 2})
    spike = settle(one, 30.0, {A: 2}, {A: 5})
    assert spike.target == {A: 2}
    assert spike.clamps == (Clamp.UP_WINDOW,)
    assert settle(one, 95.0, {A: 2}, {A: 5}).target == {A: 5}


def test_a_fall_waits_for_its_window() -> None:
    """The most proposed within the down window is kept; then the fall comes."""
    one = Stabilizer(StabilizationSpec(down_window_s=300.0))
    settle(one, 0.0, {A: 4}, {A: 4})
    assert settle(one, 310.0, {A: 4}, {A: 2}).target == {A: 4}
    assert settle(one, 500.0, {A: 4}, {A: 3}).target == {A: 4}
    assert settle(one, 611.0, {A: 4}, {A: 2}).target == {A: 3}
    assert settle(one, 912.0, {A: 3}, {A: 2}).target == {A: 2}


def test_nothing_falls_before_a_whole_window_was_watched() -> None:
    """A controller that has just begun does not know what was proposed before it."""
    one = Stabilizer(StabilizationSpec(down_window_s=300.0))
    first = settle(one, 0.0, {A: 4}, {A: 2})
    assert (first.target, first.clamps) == ({A: 4}, (Clamp.SHORT_HISTORY,))
    assert settle(one, 299.0, {A: 4}, {A: 2}).target == {A: 4}
    assert settle(one, 301.0, {A: 4}, {A: 2}).target == {A: 2}


def test_steps_are_limited() -> None:
    """No rise and no fall is larger at once than the stated share, or the least step."""
    spec = StabilizationSpec(
        most_up_share=1.0, most_down_share=0.1, least_step=1, down_window_s=0.0, cooldown_down_s=0.0
    )
    up = settle(Stabilizer(spec), 0.0, {A: 10}, {A: 50})
    assert (up.target, up.clamps) == ({A: 20}, (Clamp.STEP_UP,))
    down = settle(Stabilizer(spec), 0.0, {A: 20}, {A: 1})
    assert (down.target, down.clamps) == ({A: 18}, (Clamp.STEP_DOWN,))


def test_a_fall_cools_down() -> None:
    """After any change nothing falls for a time."""
    spec = StabilizationSpec(down_window_s=0.0, cooldown_down_s=60.0)
    one = Stabilizer(spec)
    one.changed(0.0, "chat", 3, 4)
    assert settle(one, 30.0, {A: 4}, {A: 3}).target == {A: 4}
    assert settle(one, 61.0, {A: 4}, {A: 3}).target == {A: 3}


def test_a_move_makes_before_it_breaks() -> None:
    """Old replicas go only as far as the new ones that serve can carry the load."""
    one = Stabilizer(StabilizationSpec(down_window_s=0.0, cooldown_down_s=0.0))
    new = settle(one, 0.0, {A: 3}, {B: 3}, rate_rps=25.0)
    assert new.target == {A: 3, B: 3}
    half = settle(one, 60.0, {A: 3, B: 3}, {B: 3}, ready={A: 3, B: 1}, rate_rps=25.0)
    assert half.target == {A: 2, B: 3}
    done = settle(one, 120.0, {A: 2, B: 3}, {B: 3}, ready={A: 2, B: 3}, rate_rps=25.0)
    assert done.target == {A: 0, B: 3}


def test_what_others_wait_for_falls_without_waiting() -> None:
    """A proposal below what runs need not wait for its window where the cards are wanted."""
    one = Stabilizer(StabilizationSpec(down_window_s=300.0))
    settle(one, 0.0, {A: 4}, {A: 4})
    fall = settle(one, 100.0, {A: 4}, {A: 2}, contended=frozenset({A}))
    assert fall.target == {A: 2}


def test_a_swinging_service_waits_longer() -> None:
    """After turning twice within an hour its down window is doubled, and it is told of."""
    one = Stabilizer(StabilizationSpec(down_window_s=100.0, cooldown_down_s=0.0))
    settle(one, 0.0, {A: 3}, {A: 3})
    for at_s, before, after in ((200.0, 3, 4), (400.0, 4, 3), (600.0, 3, 4)):
        one.changed(at_s, "chat", before, after)
    assert one.swinging == ("chat",)
    settle(one, 1000.0, {A: 4}, {A: 4})
    assert settle(one, 1001.0, {A: 4}, {A: 3}).target == {A: 4}
    assert settle(one, 1150.0, {A: 4}, {A: 3}).target == {A: 4}
    assert settle(one, 1202.0, {A: 4}, {A: 3}).target == {A: 3}


def test_who_follows_a_load_does_not_swing() -> None:
    """Turns along with the load that is seen leave the down window as it is."""
    one = Stabilizer(StabilizationSpec(down_window_s=100.0, cooldown_down_s=0.0))
    for at_s, seen_rps, before, after in (
        (0.0, 30.0, 3, 3),
        (200.0, 40.0, 3, 4),
        (400.0, 30.0, 4, 3),
        (600.0, 40.0, 3, 4),
        (800.0, 30.0, 4, 3),
    ):
        settle(one, at_s, {A: before}, {A: after}, seen_rps=seen_rps)
        one.changed(at_s, "chat", before, after)
    assert one.swinging == ()


proposals = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.booleans()), min_size=1, max_size=25
)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(proposals, st.integers(0, 12), st.integers(0, 12))
def test_missing_figures_never_lower_replicas(
    steps: list[tuple[int, int, bool]], a: int, b: int
) -> None:
    """Whatever is proposed: in a cycle without trustworthy figures no variant falls."""
    one = Stabilizer(StabilizationSpec(down_window_s=30.0, cooldown_down_s=0.0))
    there = {A: a, B: b}
    for number, (x, y, trusted) in enumerate(steps):
        settled = settle(one, 15.0 * number, there, {A: x, B: y}, trusted=trusted)
        if not trusted:
            assert all(settled.target[v] >= there[v] for v in there)
        there = dict(settled.target)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(proposals, st.integers(0, 5))
def test_what_is_written_down_goes_on_the_same(
    steps: list[tuple[int, int, bool]], cut: int
) -> None:
    """A stabiliser restored from its state decides as one that was never interrupted."""
    spec = StabilizationSpec(down_window_s=45.0, cooldown_down_s=0.0)
    whole, there = Stabilizer(spec), {A: 3, B: 3}
    for number, (x, y, trusted) in enumerate(steps):
        if number == cut:
            again = Stabilizer(spec)
            again.restore(whole.state())
            whole_says = settle(whole, 15.0 * number, there, {A: x, B: y}, trusted=trusted)
            assert settle(again, 15.0 * number, there, {A: x, B: y}, trusted=trusted) == whole_says
            return
        there = dict(settle(whole, 15.0 * number, there, {A: x, B: y}, trusted=trusted).target)


@pytest.mark.parametrize("noise", [1, 2])
def test_a_proposal_that_flickers_makes_no_reversal(noise: int) -> None:
    """Replicas rise to the most of a flickering proposal and stay there."""
    one = Stabilizer(StabilizationSpec())
    there, seen = {A: 5}, []
    for number in range(200):
        there = dict(settle(one, 15.0 * number, there, {A: 5 + number % (noise + 1)}).target)
        seen.append(there[A])
    assert seen == sorted(seen)
