"""Plans of a live fleet."""

from __future__ import annotations

import pytest

from optimizer.control.errors import ControlError
from optimizer.control.expected_load import ExpectedLoad
from optimizer.control.planner import Moves, Planner
from optimizer.control.spec import ControlSpec, StabilizationSpec
from optimizer.fleet import optimize
from optimizer.spec import FleetSpec, load
from optimizer.spec.options import AllocationMode
from tests.conftest import REPOSITORY
from tests.optimizer.control.fleets import variant


def test_the_first_plan_is_the_optimisers(fleet: FleetSpec, planner: Planner) -> None:
    """With nothing running, it costs what `optimize` finds for the same loads."""
    proposal = planner.plan({}, {}, moves=Moves.ALLOWED)
    plan = optimize(fleet)
    assert planner.cost_per_hour(proposal.replicas) == pytest.approx(plan.total_cost_per_hour)
    assert proposal.unserved == ()


def test_services_stay_where_they_are(planner: Planner) -> None:
    """Without moves a service grows on its variant, though another would be cheaper."""
    loads = {"chat": ExpectedLoad(25.0), "tags": ExpectedLoad(5.0)}
    here = {variant("chat", "A100", 32): 2}
    assert variant("chat", "A100", 32) in planner.variants
    stays = planner.plan(loads, here, moves=Moves.NEVER)
    assert [v.accelerator for v in stays.replicas if v.service == "chat"] == ["A100"]
    goes = planner.plan(loads, here, moves=Moves.ALLOWED)
    assert [v.accelerator for v in goes.replicas if v.service == "chat"] == ["H100"]


def test_a_service_moves_where_it_is_not_served_otherwise(planner: Planner) -> None:
    """Moves if needed are made when the variant's cards do not do."""
    loads = {"chat": ExpectedLoad(200.0), "tags": ExpectedLoad(1.0)}
    here = {variant("chat", "A100", 32): 12}
    kept = planner.plan(loads, here, moves=Moves.NEVER)
    assert kept.unserved == ("chat",)
    moved = planner.plan(loads, here, moves=Moves.IF_NEEDED)
    assert moved.unserved == ()


def test_a_service_that_slept_wakes_up_where_it_is_best(planner: Planner) -> None:
    """One replica on the lesser card does not keep the other twenty there."""
    loads = {"chat": ExpectedLoad(40.0), "tags": ExpectedLoad(1.0)}
    here = {variant("chat", "A100", 32): 1}
    awake = planner.plan(loads, here, moves=Moves.IF_NEEDED)
    assert [v.accelerator for v in awake.replicas if v.service == "chat"] == ["H100"]
    most = {variant("chat", "A100", 32): 8}
    stays = planner.plan(loads, most, moves=Moves.IF_NEEDED)
    assert [v.accelerator for v in stays.replicas if v.service == "chat"] == ["A100"]


def test_places_are_chosen_for_loads_that_last(planner: Planner) -> None:
    """A backlog that the variant's cards cannot work off at once is no reason to leave them."""
    here = {variant("chat", "A100", 32): 12}
    backlog = {"chat": ExpectedLoad(200.0), "tags": ExpectedLoad(1.0)}
    assert planner.plan(backlog, here, moves=Moves.IF_NEEDED).unserved == ()
    lasting = {**backlog, "chat": ExpectedLoad(40.0)}
    stays = planner.plan(backlog, here, moves=Moves.IF_NEEDED, lasting=lasting)
    assert stays.unserved == ("chat",)
    assert {v.accelerator for v in stays.replicas if v.service == "chat"} == {"A100"}


def test_nobody_gives_up_a_lasting_load_for_a_backlog(planner: Planner) -> None:
    """The 12 H100 are full: 12 for `chat` with its backlog would leave none to `tags` after it."""
    lasting = {"chat": ExpectedLoad(250.0), "tags": ExpectedLoad(60.0)}
    backlog = {**lasting, "chat": ExpectedLoad(350.0)}
    here = {variant("chat"): 9, variant("tags"): 3}
    assert "tags" in planner.plan(backlog, here, moves=Moves.NEVER).unserved
    plan = planner.plan(backlog, here, moves=Moves.NEVER, lasting=lasting)
    assert plan.unserved == ("chat",)
    assert plan.replicas == {variant("chat"): 9, variant("tags"): 2}


def test_nobody_gives_up_a_lasting_load_for_a_backlog_of_its_own(fleet: FleetSpec) -> None:
    """A service that splits gets all or nothing: with a backlog too large, what lasts is served.

    Whoever else has a backlog that fits still works it off.
    """
    split = [s.model_copy(update={"allocation": AllocationMode.SPLIT}) for s in fleet.services]
    both = fleet.model_copy(update={"services": tuple(split)})
    planner = Planner(both, ControlSpec(fleet="fleet.yaml"))
    lasting = {"chat": ExpectedLoad(250.0), "tags": ExpectedLoad(60.0)}
    here = {variant("chat"): 9, variant("tags"): 2}
    own = {**lasting, "tags": ExpectedLoad(300.0)}
    assert planner.plan(own, here).replicas == {variant("chat"): 9}
    both_late = {**own, "chat": ExpectedLoad(290.0)}
    plan = planner.plan(both_late, here, lasting=lasting)
    assert plan.unserved == ("tags",)
    assert plan.replicas == {variant("chat"): 10, variant("tags"): 2}


def test_a_backlog_beside_a_service_that_was_never_seen(fleet: FleetSpec) -> None:
    """Who is left out of the loads keeps what it was sized for last, and gives up nothing."""
    services = tuple(
        s.model_copy(update={"load": s.load.model_copy(update={"arrival_rate_rps": 60.0})})
        if s.name == "tags"
        else s
        for s in fleet.services
    )
    known = fleet.model_copy(update={"services": services})
    planner = Planner(known, ControlSpec(fleet="fleet.yaml"))
    here = {variant("chat"): 9, variant("tags"): 3}
    lasting, backlog = {"chat": ExpectedLoad(250.0)}, {"chat": ExpectedLoad(350.0)}
    plan = planner.plan(backlog, here, moves=Moves.NEVER, lasting=lasting)
    assert plan.unserved == ("chat",)
    assert plan.replicas == {variant("chat"): 9, variant("tags"): 2}


def test_as_few_move_as_serve_everyone(planner: Planner) -> None:
    """Both would be cheaper on H100; the 12 A100 are one too few, and so one service goes."""
    loads = {"chat": ExpectedLoad(100.0), "tags": ExpectedLoad(20.0)}
    here = {variant("chat", "A100", 32): 11, variant("tags", "A100"): 1}
    cheapest = planner.plan(loads, here, moves=Moves.ALLOWED)
    assert {v.accelerator for v in cheapest.replicas} == {"H100"}
    needed = planner.plan(loads, here, moves=Moves.IF_NEEDED)
    assert needed.unserved == ()
    assert {v.accelerator for v in needed.replicas} == {"A100", "H100"}


def test_moves_pay_for_their_start_up(fleet: FleetSpec) -> None:
    """4 H100 (18/h) for 11 A100 (40.37/h) pay for the minute in which they start up in 49 s."""
    loads = {"chat": ExpectedLoad(100.0), "tags": ExpectedLoad(0.0)}
    here = {variant("chat", "A100", 32): 11}
    for every_s, place in ((55.0, "H100"), (45.0, "A100")):
        stabilization = StabilizationSpec(move_every_s=every_s)
        planner = Planner(fleet, ControlSpec(fleet="fleet.yaml", stabilization=stabilization))
        plan = planner.plan(loads, here, moves=Moves.WORTHWHILE)
        assert {v.accelerator for v in plan.replicas if v.service == "chat"} == {place}


def test_moves_that_pay_have_room_beside_what_runs(planner: Planner) -> None:
    """4 H100 could replace 11 A100, but 2 are free until `tags` has given up 6."""
    loads = {"chat": ExpectedLoad(100.0), "tags": ExpectedLoad(120.0)}
    here = {variant("chat", "A100", 32): 11, variant("tags"): 10}
    stays = planner.plan(loads, here, moves=Moves.WORTHWHILE)
    assert stays.replicas == {variant("chat", "A100", 32): 11, variant("tags"): 4}
    goes = planner.plan(loads, stays.replicas, moves=Moves.WORTHWHILE)
    assert goes.replicas == {variant("chat"): 4, variant("tags"): 4}


def test_moves_that_pay_are_not_made_all_at_once_for_the_same_cards(planner: Planner) -> None:
    """There is room for either on the 4 H100 that are left, and not for both of them."""
    loads = {"chat": ExpectedLoad(100.0), "tags": ExpectedLoad(10.0)}
    here = {variant("chat", "A100", 32): 11, variant("tags", "A100"): 1}
    plan = planner.plan(loads, here, moves=Moves.WORTHWHILE, cards={"H100": 4})
    moved = {v.service for v in plan.replicas if v.accelerator == "H100"}
    assert plan.unserved == ()
    assert len(moved) <= 1


def test_what_cannot_be_served_whole_gets_what_there_is(planner: Planner) -> None:
    """Under more load than the cards carry, the important service gets all of a type."""
    loads = {"chat": ExpectedLoad(5000.0), "tags": ExpectedLoad(5.0)}
    proposal = planner.plan(loads, {}, moves=Moves.ALLOWED)
    assert proposal.unserved == ("chat",)
    given = {v.accelerator: n for v, n in proposal.replicas.items() if v.service == "chat"}
    assert max(given.values()) >= 11


def test_lost_cards_bind(planner: Planner) -> None:
    """Cards counted in the cluster replace those described, and come back."""
    loads = {"chat": ExpectedLoad(100.0), "tags": ExpectedLoad(0.0)}
    fewer = planner.plan(loads, {}, moves=Moves.ALLOWED, cards={"H100": 1})
    assert fewer.replicas.get(variant("chat"), 0) <= 1
    assert next(q.capacity for q in planner.quotas() if q.name == "H100") == 1
    again = planner.plan(loads, {}, moves=Moves.ALLOWED)
    assert again.replicas[variant("chat")] == 4
    assert next(q.capacity for q in planner.quotas() if q.name == "H100") == 12


def test_longer_prompts_need_more(planner: Planner) -> None:
    """Lengths seen replace those described."""
    short = planner.plan({"chat": ExpectedLoad(100.0, 500.0, 100.0)}, {}, moves=Moves.ALLOWED)
    long = planner.plan({"chat": ExpectedLoad(100.0, 2000.0, 100.0)}, {}, moves=Moves.ALLOWED)
    assert long.replicas[variant("chat")] > short.replicas[variant("chat")]


def test_a_margin_is_left_free(fleet: FleetSpec) -> None:
    """With a margin replicas count for less."""
    tight = Planner(fleet, ControlSpec(fleet="f"))
    loose = Planner(fleet, ControlSpec(fleet="f", margin=0.5))
    loads = {"chat": ExpectedLoad(100.0)}
    plain = tight.plan(loads, {}, moves=Moves.ALLOWED).replicas[variant("chat")]
    assert loose.plan(loads, {}, moves=Moves.ALLOWED).replicas[variant("chat")] > 1.5 * plain
    assert loose.rate_rps(variant("chat")) == pytest.approx(tight.rate_rps(variant("chat")) / 2)


def test_pools_are_refused() -> None:
    """Fleets whose replicas are not deployed one by one are refused in words."""
    fleet = load(REPOSITORY / "examples" / "disaggregated.yaml")
    with pytest.raises(ControlError, match="planned by `fleetopt solve` alone"):
        Planner(fleet, ControlSpec(fleet="f"))


def test_types_without_limit_have_no_end(fleet: FleetSpec) -> None:
    """Where neither cards nor replicas are limited, any load is within reach."""
    endless = Planner(fleet.model_copy(update={"capacities": ()}), ControlSpec(fleet="f"))
    proposal = endless.plan({"chat": ExpectedLoad(5000.0)}, {}, moves=Moves.ALLOWED)
    assert proposal.unserved == ()
    assert endless.quotas() == ()
