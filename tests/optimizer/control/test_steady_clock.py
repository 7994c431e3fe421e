"""A clock that never goes back."""

from __future__ import annotations

from optimizer.control.steady_clock import SteadyClock


def test_it_never_goes_back_and_keeps_its_pace() -> None:
    """After a jump back it goes on from where it was, second by second; jumps ahead are taken."""
    clock = SteadyClock()
    assert [clock.at(t) for t in (10.0, 20.0, 5.0, 15.0, 3600.0, 100.0, 101.0)] == [
        10.0,
        20.0,
        20.0,
        30.0,
        3615.0,
        3615.0,
        3616.0,
    ]


def test_it_goes_on_from_what_was_written_down() -> None:
    """A machine that starts with a clock in the past does not shorten windows."""
    clock = SteadyClock()
    clock.at(1000.0)
    again = SteadyClock()
    again.restore(clock.state())
    assert again.at(10.0) == 1000.0
    assert again.at(25.0) == 1015.0
    fresh = SteadyClock()
    fresh.restore(SteadyClock().state())
    assert fresh.at(-5.0) == -5.0
