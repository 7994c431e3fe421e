"""What the cost hangs on."""

from __future__ import annotations

import pytest

from optimizer.fleet import optimize, tornado
from tests.optimizer.fleet.fleets import fleet, service


def test_prices_move_the_cost_by_what_is_bought_and_plenty_has_no_effect() -> None:
    """One replica on B at 5: 20 % cheaper 4, dearer 6. 100 cards of B or 80: no effect."""
    spec = fleet()
    plan = optimize(spec)
    assert plan.total_cost_per_hour == pytest.approx(5.0)
    found = tornado(spec, plan, jobs=1)
    (bar,) = found.bars
    assert bar.figure == "price of B"
    assert bar.less.total_cost_per_hour == pytest.approx(4.0)
    assert bar.more.total_cost_per_hour == pytest.approx(6.0)
    assert bar.swing(plan) == pytest.approx(2.0)
    assert set(found.without_effect) == {"A at hand", "B at hand"}


def test_the_farthest_comes_first_and_losing_a_service_counts() -> None:
    """Two services on B's two cards; with one card fewer, one moves to A for 10."""
    spec = fleet(
        services=[service("x"), service("y")],
        capacities=[{"type": "A", "cards": 0}, {"type": "B", "cards": 2}],
    )
    plan = optimize(spec)
    found = tornado(spec, plan, share=0.5, jobs=1)
    assert [bar.figure for bar in found.bars] == ["price of B", "B at hand"]
    assert len(found.bars[1].less.services_served) == 1
