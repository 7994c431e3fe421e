"""What tells two plans apart, and why."""

from __future__ import annotations

import pytest

from optimizer.errors import PlanError
from optimizer.fleet import Change, FleetPlan, PlanDifference, optimize
from optimizer.spec import FleetSpec, assigned, parse_assignment
from tests.optimizer.fleet.fleets import fleet, service

SPEC = fleet(services=[service("x"), service("y"), service("z")])


def plan(spec: FleetSpec = SPEC, *changes: str) -> FleetPlan:
    return optimize(assigned(spec, [parse_assignment(text) for text in changes]))


def difference_by(*changes: str, spec: FleetSpec = SPEC) -> PlanDifference:
    return plan(spec, *changes).diff(plan(spec))


def test_equal_plans_differ_in_nothing() -> None:
    """No service, no resource, no money."""
    found = difference_by()
    assert found.is_empty
    assert (found.unchanged, found.cost_delta_per_hour, found.causes) == (3, 0, ())


def test_less_room_moves_and_drops_and_says_so() -> None:
    """B (5/h) goes from 100 cards to none: two of three move to A's two cards, one is dropped."""
    found = difference_by("capacities[B].cards=0")
    assert sorted(s.change for s in found.services) == [Change.DROPPED, Change.MOVED, Change.MOVED]
    assert found.cost_delta_per_hour == 5
    assert all(s.causes == ("B: limit 100 before, limit 0 now",) for s in found.services)
    assert found.causes == ("B: limit 100 before, limit 0 now",)
    cards = {r.name: (r.used_before, r.used_after) for r in found.resources}
    assert cards == {"A": (0, 2), "B": (3, 0)}


def test_a_replica_more_is_scaling_for_the_load_that_made_it() -> None:
    """One replica of batch 32 carries some 290 requests/s; 400 take two."""
    found = difference_by("services[y].load.arrival_rate_rps=400")
    (changed,) = found.services
    assert (changed.service, changed.change) == ("y", Change.SCALED)
    assert [p.replicas for p in changed.before + changed.after] == [1, 2]
    assert changed.causes == ("load 0 before, 400 requests/s now",)


def test_prices_bounds_and_classes_are_causes() -> None:
    """Each is read off the plans of the service itself."""
    dearer = difference_by("accelerators[B].cost_per_hour=6")
    assert {s.change for s in dearer.services} == {Change.REPRICED}
    assert dearer.services[0].causes == ("a replica on B costs 6/h, 5 before",)
    demoted = difference_by("services[x].class=silver", "accelerators[B].cost_per_hour=6")
    x = next(s for s in demoted.services if s.service == "x")
    assert x.causes[0] == "class gold (priority 1) before, silver (2) now"
    bounded = plan(
        SPEC,
        "classes[gold].slos=[{targets: [{metric: ttft_ms, bound: 50}]}]",
        "accelerators[B].cost_per_hour=6",
    )
    tighter = plan(SPEC, "classes[gold].slos=[{targets: [{metric: ttft_ms, bound: 40}]}]")
    causes = tighter.diff(bounded).services[0].causes
    assert "objective ttft_ms: 50 before, 40 now" in causes


def test_neighbours_explain_what_nothing_of_its_own_does() -> None:
    """y's load takes the only B; x, unchanged itself, gives way to A."""
    spec = fleet(
        services=[service("x"), service("y")],
        capacities=[{"type": "A", "cards": 9}, {"type": "B", "cards": 2}],
    )
    found = difference_by("services[y].load.arrival_rate_rps=400", spec=spec)
    x = next(s for s in found.services if s.service == "x")
    assert x.change is Change.MOVED
    assert x.causes == ("shares accelerators with y, which changed",)


def test_new_and_gone_services() -> None:
    """A service that only one of the fleets has."""
    more = optimize(fleet(services=[service("x"), service("w")]))
    less = optimize(fleet(services=[service("x")]))
    assert [s.change for s in more.diff(less).services] == [Change.NEW]
    assert [s.change for s in less.diff(more).services] == [Change.GONE]


def test_a_plan_without_proof_is_a_cause() -> None:
    """Chance may have decided between plans of which one is not proven best."""
    greedy = optimize(SPEC, solver="greedy", relative_gap=0.0)
    proven = plan().model_copy(update={"termination": "feasible", "relative_gap": 0.1})
    causes = proven.diff(greedy).causes
    assert any("now is not proven optimal (feasible, gap 10.00%)" in cause for cause in causes)


def test_different_currencies_are_not_compared() -> None:
    """5 of one are not 5 of the other."""
    with pytest.raises(PlanError, match="EUR"):
        difference_by("currency=EUR")
