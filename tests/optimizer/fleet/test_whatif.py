"""What-if studies: each case is the plan of the changed fleet, whoever solves it where."""

from __future__ import annotations

import pytest

from optimizer.errors import SpecError
from optimizer.fleet import optimize, solve_each, what_if
from optimizer.spec import assigned, parse_assignment, parse_range
from tests.optimizer.fleet.fleets import fleet, service

SPEC = fleet(services=[service("x"), service("y"), service("z")])
PRICES = parse_range("accelerators[B].cost_per_hour=[5, 20, 1]")
ROOM = parse_range("capacities[B].cards=[0, 1, 100]")


def test_every_case_is_the_changed_fleet_solved_anew() -> None:
    """Three idle services of one replica on A (10/h, 2 cards) or B: costs known by hand.

    With B at 5: no B leaves one of three unserved (20), one B gives 10 + 10 + 5, else 3 x 5. With
    B at 20: 2 on A and, if there is room, one on B. With B at 1: as with 5.
    """
    study = what_if(SPEC, (), (PRICES, ROOM))
    costs = [case.plan.total_cost_per_hour for case in study.cases]
    assert costs == [20, 25, 15, 20, 40, 40, 20, 21, 3]
    assert [len(case.plan.unserved) for case in study.cases] == [1, 0, 0] * 3
    assert study.base.total_cost_per_hour == 15
    for case in study.cases:
        assert case.plan == optimize(assigned(SPEC, case.swept))


def test_common_changes_come_first() -> None:
    """A price of 2 in every case, doubled in one of them."""
    common = [parse_assignment("accelerators[B].cost_per_hour=2")]
    doubled = parse_range("accelerators[B].cost_per_hour*=[1, 2]")
    study = what_if(SPEC, common, (doubled,))
    assert [case.plan.total_cost_per_hour for case in study.cases] == [6, 12]
    assert study.base.total_cost_per_hour == 15


def test_other_processes_give_the_same_plans_in_order() -> None:
    """Two processes, byte for byte, and each plan is told when it is there."""
    fleets = [assigned(SPEC, [change]) for change in (*PRICES, *ROOM)]
    told: list[int] = []
    apart = solve_each(fleets, jobs=2, told=lambda position, _: told.append(position))
    assert [p.to_json() for p in apart] == [p.to_json() for p in solve_each(fleets, jobs=1)]
    assert told == list(range(len(fleets)))


def test_faults_of_all_cases_are_reported_before_anything_is_solved() -> None:
    """Two of three prices are negative."""
    prices = parse_range("accelerators[B].cost_per_hour=[-1, 5, -2]")
    with pytest.raises(SpecError) as refused:
        what_if(SPEC, (), (prices,), told=lambda *_: pytest.fail("something was solved"))
    assert len(refused.value.faults) == 2
