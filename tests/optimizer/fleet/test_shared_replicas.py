"""Replicas that several services share: who shares with whom, and what everyone sees of it."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer as fo
from optimizer.errors import SpecError
from optimizer.fleet.changed_problem import changed_problem
from optimizer.fleet.check import check_plan
from optimizer.fleet.difference import difference
from optimizer.fleet.everyone_served import can_serve
from optimizer.fleet.part_of_table import part_of_table
from optimizer.fleet.plan import Allocation, FleetPlan
from optimizer.fleet.problem import build_problem
from optimizer.fleet.replica_pools import sharing_sets
from optimizer.fleet.request_mix import RequestMix
from optimizer.fleet.targets import ServiceTargets
from optimizer.report.difference_text import placements_words
from optimizer.report.manifests import ManifestSettings, manifests
from optimizer.report.plan_csv import plan_csv
from optimizer.spec import FleetSpec, from_data

# Batch 1, 10 ms to the first token and 10 x 10 ms after it, whatever the lengths: requests of 110
# ms, exponential by the model, one after another (M/M/1). A replica carries 9.09 per second.
_TIMES = {
    "decode_base_ms": 10.0,
    "decode_ms_per_request": 0.0,
    "prefill_base_ms": 10.0,
    "prefill_ms_per_token": 0.0,
}
SOLVERS = ("auto", "highs", "lagrangian", "cp-sat", "milp")


def service(name: str, rate: float, **changes: Any) -> dict[str, Any]:
    """Return a service of class `loose` in the pool `all`."""
    entry: dict[str, Any] = {
        "name": name,
        "model": "m",
        "class": "loose",
        "replica_pool": "all",
        "load": {"arrival_rate_rps": rate, "input_tokens": 100, "output_tokens": 11},
    }
    return {**entry, **changes}


def data(*services: dict[str, Any], cards: int = 100, **options: Any) -> dict[str, Any]:
    """Describe a fleet of one accelerator (B, 5 per hour); `tight` wants tokens within 40 ms."""
    return {
        "name": "shared",
        "accelerators": [{"name": "B", "cost_per_hour": 5.0}],
        "capacities": [{"type": "B", "cards": cards}],
        "models": [{"name": "m"}],
        "performance": [
            {"model": "m", "accelerator": "B", "max_batch": 1, "prefill_decode": _TIMES}
        ],
        "classes": [
            {"name": "loose", "priority": 2},
            {
                "name": "tight",
                "priority": 1,
                "slos": [{"targets": [{"metric": "ttft_ms", "bound": 40.0}]}],
            },
        ],
        "services": list(services),
        "optimizer": {"queue_model": "mm1k-state-dependent", **options},
    }


def fleet(*services: dict[str, Any], cards: int = 100, **options: Any) -> FleetSpec:
    """Validate it."""
    return from_data(data(*services, cards=cards, **options))


def solved(spec: FleetSpec, **options: Any) -> FleetPlan:
    """Solve a fleet to the end, and check the plan."""
    plan = fo.optimize(spec, relative_gap=0.0, **options)
    assert check_plan(spec, plan).ok
    return plan


def of(plan: FleetPlan, name: str) -> Allocation:
    """Return the only allocation of a service."""
    (mine,) = plan.allocations_of(name)
    return mine


@pytest.mark.parametrize("solver", SOLVERS)
def test_three_services_fill_one_replica(solver: str) -> None:
    """3 + 3 + 3 requests/s fit into 9.09: one replica at 5 serves what three at 15 did."""
    services = [service(name, 3.0) for name in "abc"]
    plan = solved(fleet(*services), solver=solver)
    assert plan.total_cost_per_hour == 5.0
    assert [of(plan, name).replicas for name in "abc"] == [1, 0, 0]
    assert [of(plan, name).replicas_of for name in "abc"] == [None, "a", "a"]
    assert of(plan, "b").shared_with == ("a", "c")
    assert all(of(plan, name).max_rate_rps == pytest.approx(9.0909 / 3, rel=1e-4) for name in "abc")
    alone = [{**one, "replica_pool": None} for one in services]
    assert solved(fleet(*alone), solver=solver).total_cost_per_hour == 15.0


def test_two_that_need_two_together_gain_nothing() -> None:
    """5 + 5 requests/s are more than 9.09: two replicas together, as alone."""
    plan = solved(fleet(service("a", 5.0), service("b", 5.0)))
    assert plan.total_cost_per_hour == 10.0


def test_the_cheapest_partition_is_found() -> None:
    """Two tight services of 0.9 requests/s and two loose ones of 4: each two share a replica.

    The tight ones together are 1.8, below the 1.948 at which they keep their bound (see below), the
    loose ones 8, below 9.09: two replicas. One replica of all four would need ceil(9.8/1.948) = 6.
    """
    tight = [service(n, 0.9, **{"class": "tight"}) for n in "ac"]
    loose = [service(n, 4.0) for n in "bd"]
    plan = solved(fleet(tight[0], loose[0], tight[1], loose[1]))
    assert plan.total_cost_per_hour == 10.0
    assert (of(plan, "c").replicas_of, of(plan, "d").replicas_of) == ("a", "b")


def test_a_tight_class_among_loose_ones_is_left_alone() -> None:
    """1 request/s within 40 ms to the first token beside 6 that may take their time.

    TTFT is S rate S/(1 - rate S) + 10 ms with S = 110 ms: 40 ms are kept up to 1.948 requests/s.
    Alone the tight one needs one replica and the loose one another; together, 7 requests/s would
    need ceil(7/1.948) = 4: sharing is not even a candidate.
    """
    spec = fleet(service("tight", 1.0, **{"class": "tight"}), service("loose", 6.0))
    plan = solved(spec)
    assert plan.total_cost_per_hour == 10.0
    assert not of(plan, "tight").shared_with
    assert not build_problem(spec).table.sharers


def test_tight_ones_share_where_the_load_is_low() -> None:
    """0.9 + 0.9 requests/s stay below 1.948: one replica, where every first token is in time.

    TTFT is 110 x 0.198/0.802 + 10 = 37.16 ms for both.
    """
    tight = {"class": "tight"}
    plan = solved(fleet(service("a", 0.9, **tight), service("b", 0.9, **tight)))
    assert plan.total_cost_per_hour == 5.0
    for name in "ab":
        (target,) = of(plan, name).targets
        assert target.value == pytest.approx(110 * 0.198 / 0.802 + 10, rel=1e-4)
        assert target.met


def test_sharing_serves_what_one_card_could_not() -> None:
    """One card and two services: together both are served, apart one stays unserved."""
    together = solved(fleet(service("a", 3.0), service("b", 3.0), cards=1))
    assert not together.unserved
    apart = [service(n, 3.0, replica_pool=None) for n in "ab"]
    assert len(solved(fleet(*apart, cards=1)).unserved) == 1


def test_priorities_decide_who_leads_and_who_is_left() -> None:
    """With one card and loads of 0.9 (tight), 6 and 3: the tight one first, then one loose one.

    The tight one cannot share: with 3 more it would miss. So it has the card and the others none.
    """
    services = [service("b", 6.0), service("c", 3.0), service("a", 0.9, **{"class": "tight"})]
    plan = solved(fleet(*services, cards=1))
    assert {u.service for u in plan.unserved} == {"b", "c"}
    plan = solved(fleet(*services, cards=2))
    assert plan.total_cost_per_hour == 10.0
    assert not plan.unserved
    assert of(plan, "c").replicas_of == "b"


def test_spares_are_those_of_the_most_careful() -> None:
    """With one spare wanted by one of them, both have it: 2 replicas, where apart there were 3."""
    plan = solved(fleet(service("a", 3.0), service("b", 3.0, spares=1)))
    assert (plan.total_cost_per_hour, of(plan, "a").replicas) == (10.0, 2)


def test_replicas_go_on_for_all_who_share_them() -> None:
    """Of three replicas today, one of `a` and two of `b`, one goes on for both and two stop.

    Stops cost 24 over a horizon of 24 h, 1 per hour each: 2. Were `b` alone on one of its two, and
    `a` on its own, one would stop, at a price of 5 more per hour.
    """
    today = [{"accelerator": "B", "replicas": n} for n in (1, 2)]
    services = [service(n, 3.0, current=now) for n, now in zip("ab", today, strict=True)]
    change = {"cost_per_stop": 24.0, "horizon_h": 24.0}
    plan = solved(fleet(*services, transition=change))
    assert plan.transition is not None
    assert (plan.total_cost_per_hour, plan.transition.cost_per_hour) == (5.0, 2.0)
    assert (plan.transition.started, plan.transition.stopped) == (0, 2)
    # Dear stops keep both apart: 10 + 1 stop of 20/h beside 5 + 2 stops of 20/h.
    dear = {"cost_per_stop": 480.0, "horizon_h": 24.0}
    assert solved(fleet(*services, transition=dear)).total_cost_per_hour == 10.0


def test_an_idle_service_shares_with_none() -> None:
    """A service without load that may scale to zero costs nothing, alone."""
    plan = solved(fleet(service("a", 3.0), service("b", 0.0, replicas={"min": 0})))
    assert plan.total_cost_per_hour == 5.0
    assert of(plan, "b").accelerator is None


def test_large_pools_try_neighbours_in_tightness() -> None:
    """Of six services, the 15 sets of neighbours are tried; of four, all 11 sets."""
    for size, expected in ((4, 11), (6, 15)):
        spec = fleet(*(service(f"s{i}", 1.0) for i in range(size)))
        sets = sharing_sets(spec, ServiceTargets.of(spec))
        assert len(sets) == len(set(sets)) == expected


def test_a_plan_says_where_not_every_set_was_tried() -> None:
    """Of a pool of five, ten sets of neighbours; of one of two, all there are."""
    for size, said in ((5, 1), (2, 0)):
        plan = solved(fleet(*(service(f"s{i}", 0.5) for i in range(size))))
        notes = [note for note in plan.notes if "next to one another in tightness" in note]
        assert len(notes) == said
        assert all("5 services" in note and "10 sets" in note for note in notes)


@given(
    rates=st.lists(st.floats(0.2, 9.0), min_size=2, max_size=4),
    tight=st.lists(st.booleans(), min_size=4, max_size=4),
    cards=st.integers(1, 8),
)
@settings(deadline=None, max_examples=12, derandomize=True)
def test_sharing_never_costs_more(rates: list[float], tight: list[bool], cards: int) -> None:
    """With a pool no more is unserved and no plan costs more; more cards or looser bounds neither.

    Objective: weighted, 100 per hour for every service left out.
    """
    services = [
        service(f"s{i}", rate, **({"class": "tight"} if tight[i] else {}))
        for i, rate in enumerate(rates)
    ]
    options = {"priorities": "weighted", "unserved_penalty_per_hour": 100.0}
    alone = [{**one, "replica_pool": None} for one in services]

    def value(described: dict[str, Any]) -> float:
        plan = solved(from_data(described))
        return (plan.total_cost_per_hour or 0.0) + 100.0 * len(plan.unserved)

    shared = value(data(*services, cards=cards, **options))
    assert shared <= value(data(*alone, cards=cards, **options)) + 1e-9
    assert value(data(*services, cards=cards + 1, **options)) <= shared + 1e-9
    looser = data(*services, cards=cards, **options)
    looser["classes"][1]["slos"][0]["targets"][0]["bound"] = 80.0
    assert value(looser) <= shared + 1e-9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shared_with": ()}, "has none for it"),
        ({"replicas": 0}, "instances"),
        ({"shared_with": ("b", "nobody")}, "no service 'nobody'"),
        ({"max_batch": 2}, "is not where the replicas"),
    ],
)
def test_the_checker_finds_what_is_not_so(change: dict[str, Any], words: str) -> None:
    """A plan that says otherwise of the shared replicas is found out."""
    spec = fleet(service("a", 3.0), service("b", 3.0))
    plan = solved(spec)
    first, second = plan.allocations
    broken = plan.model_copy(update={"allocations": (first.model_copy(update=change), second)})
    found = check_plan(spec, broken)
    assert not found.ok
    assert words in " ".join(str(violation) for violation in found.violations)


def test_the_checker_asks_about_the_traffic_of_all() -> None:
    """A plan that lets tight services share too little is found out by the queue model."""
    tight = {"class": "tight"}
    small = solved(fleet(service("a", 0.9, **tight), service("b", 0.9, **tight)))
    more = fleet(service("a", 1.2, **tight), service("b", 1.2, **tight))
    violations = " ".join(str(v) for v in check_plan(more, small).violations)
    assert "ttft_ms mean 40 is said to be met on B, and is" in violations


def test_a_plan_must_not_share_what_the_fleet_does_not_let_it() -> None:
    """Without the pool the same plan is refused."""
    plan = solved(fleet(service("a", 3.0), service("b", 3.0)))
    apart = fleet(*(service(n, 3.0, replica_pool=None) for n in "ab"))
    assert "not their replica_pool" in " ".join(map(str, check_plan(apart, plan).violations))


def test_views_tell_whose_replicas_serve() -> None:
    """Explanation, difference, manifests and table name the service that has the replicas."""
    plan = solved(fleet(service("a", 3.0), service("b", 3.0)))
    assert plan.explain("b").verdict.startswith("1 replica(s) on B shared with a; together 5 ")
    chosen = next(o for o in plan.explain("b").options if o.state == "chosen")
    assert (chosen.shared_with, chosen.replicas, chosen.cost_per_hour) == (("a",), 1, 5.0)
    before = solved(fleet(*(service(n, 3.0, replica_pool=None) for n in "ab")))
    found = {d.service: d for d in difference(before, plan).services}
    assert found["b"].change == "scaled"
    assert placements_words(found["b"].after) == "replicas of a on B (batch 1)"
    assert placements_words(found["a"].after) == "1 x B (batch 1), shared with b"
    deployed = manifests(plan, "kubernetes", ManifestSettings())
    assert deployed.count("kind:") == 1
    assert '/shared-with: "b"' in deployed
    assert plan_csv(plan).splitlines()[2].startswith("b,m,loose,2,B,0,0,1,")
    assert FleetPlan.model_validate_json(plan.model_dump_json()) == plan


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"model": "other"}, {}, "a replica serves one model"),
        ({"tenant": "t"}, {}, "counts for neither's limits"),
        ({"routing": "round_robin"}, {}, "one router spreads the requests of all"),
        ({"max_queue": 3}, {}, "requests of all wait in one queue"),
        ({"replica_pool": "b"}, {}, "no other service has the pool 'all'"),
        ({"allocation": "split"}, {}, "not known together with allocation: split"),
        ({}, {"allocation": "split"}, "not known together with allocation: split"),
        ({}, {"objective": "inferno-value"}, "not known together with objective: inferno-value"),
        ({"serving": "either"}, {}, "not known together with serving: either"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    changes: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    """What the services of a pool must have in common, and what is not known beside it."""
    described = data(service("a", 1.0), service("b", 1.0, **changes), **options)
    described["models"].append({"name": "other"})
    described["performance"].append({**described["performance"][0], "model": "other"})
    with pytest.raises(SpecError) as refused:
        from_data(described)
    assert words in str(refused.value)


def test_too_large_a_pool_is_refused() -> None:
    """Thirteen services of one pool are one too many."""
    with pytest.raises(SpecError, match="13 services have the pool 'all', at most 12 may"):
        fleet(*(service(f"s{i}", 1.0) for i in range(13)))


def test_a_part_of_the_table_shares_with_nobody_outside() -> None:
    """Of two that share, one alone is left its own candidates: nothing is served for free."""
    table = build_problem(fleet(service("a", 3.0), service("b", 3.0))).table
    assert len(table.sharers) == 1
    part = part_of_table(table, [1])
    assert not part.sharers
    assert (part.cost_per_hour == 5.0).all()


def test_a_change_may_make_sharing_worth_it() -> None:
    """At 6 + 6 requests/s nobody shares; at 6 + 3 the changed problem does as the whole one."""
    both = [service("a", 6.0), service("b", 6.0)]
    options = {"unserved": "forbidden"}
    before = build_problem(fleet(*both, cards=1, **options))
    assert not before.table.sharers
    after = changed_problem(before, fleet(both[0], service("b", 3.0), cards=1, **options))
    assert can_serve(after) is True


def test_streams_of_three_poisson_services_are_poisson() -> None:
    """0.5 + 3 + 1 requests/s: shares sum to 1 - 1e-16, and the mixture is Poisson all the same.

    Models that know Poisson arrivals alone would refuse it, and the three not share: one replica
    (4.5 of 9.09 requests/s) in any order, where apart there are three. Where prompts, hit rates or
    outputs are equal, they are so of the mixture, and prompts and outputs do not go together.
    """
    rates = {"a": 0.5, "b": 3.0, "c": 1.0}
    for names in permutations(rates):
        services = [service(name, rates[name]) for name in names]
        for one in services:
            one["load"]["prefix_hit_rate"] = 0.1
        spec = fleet(*services)
        mix = RequestMix.of([s.load for s in spec.services], [rates[n] for n in names])
        assert (mix.arrival_scv, mix.prefix_hit_rate, mix.length_covariance) == (1.0, 0.1, 0.0)
        assert solved(fleet(*(service(n, rates[n]) for n in names))).total_cost_per_hour == 5.0
