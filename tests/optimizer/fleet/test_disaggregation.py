"""Prefill and decode in pools of their own: which accelerators, how many of each."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer as fo
from optimizer.errors import SpecError
from optimizer.fleet.check import check_plan
from optimizer.fleet.part_of_table import part_of_table
from optimizer.spec import FleetSpec, from_data
from queue_models import (
    Lengths,
    Metric,
    PrefillDecodeTiming,
    Role,
    ServiceProcess,
    Statistic,
    Tandem,
    evaluate_tandem,
)
from queue_models import get as get_queue_model


def fast_and_slow() -> dict[str, Any]:
    """One accelerator that prefills fast (P, 3 per hour), one that decodes fast (D, 1 per hour).

    A prompt of 1 000 tokens takes 100 ms on P and 1 000 ms on D; a token takes 50 ms on P and 10 ms
    on D. TTFT within 300 ms rules out D, 30 ms between tokens rule out P: neither can serve alone.
    A prefill pool on P and a decode pool on D can: the KV cache of 1 GB is sent at 100 GB/s in
    10 ms, so that the first of ten gaps takes 20 ms and the others 10 ms. At one request per
    second P is busy 10 % of the time and D 10 %: one replica of each, 4 per hour.
    """

    def entry(accelerator: str, prefill: float, decode: float) -> dict[str, Any]:
        times = {
            "decode_base_ms": decode,
            "decode_ms_per_request": 0.0,
            "prefill_base_ms": 0.0,
            "prefill_ms_per_token": prefill,
        }
        pair = {"model": "m", "accelerator": accelerator, "max_batch": 1}
        return {**pair, "prefill_decode": times}

    return {
        "name": "fast and slow",
        "accelerators": [
            {"name": "P", "cost_per_hour": 3.0},
            {"name": "D", "cost_per_hour": 1.0},
        ],
        "kv_transfer": {"bandwidth_gb_s": 100},
        "models": [{"name": "m", "kv_bytes_per_token": 1e6}],
        "performance": [entry("P", 0.1, 50.0), entry("D", 1.0, 10.0)],
        "classes": [
            {
                "name": "c",
                "priority": 1,
                "slos": [
                    {
                        "targets": [
                            {"metric": "ttft_ms", "bound": 300},
                            {"metric": "itl_ms", "bound": 30},
                        ]
                    }
                ],
            }
        ],
        "services": [
            {
                "name": "s",
                "model": "m",
                "class": "c",
                "load": {"arrival_rate_rps": 1, "input_tokens": 1000, "output_tokens": 11},
            }
        ],
        "optimizer": {"serving": "either"},
    }


def fleet(data: dict[str, Any] | None = None, **of_service: Any) -> FleetSpec:
    """Return the fleet with changes to its service."""
    document = deepcopy(data or fast_and_slow())
    document["services"][0].update(of_service)
    return from_data(document)


def load(rate: float, output: float = 11) -> dict[str, float]:
    """Return a load."""
    return {"arrival_rate_rps": rate, "input_tokens": 1000, "output_tokens": output}


def test_golden_two_pools_serve_what_neither_accelerator_can() -> None:
    """4 per hour, one replica of each, as `fast_and_slow` works out; aggregated, nothing serves."""
    spec = fleet()
    plan = fo.optimize(spec)
    prefill, decode = plan.allocations
    assert plan.total_cost_per_hour == 4.0
    assert (prefill.role, prefill.accelerator, prefill.replicas) == ("prefill", "P", 1)
    assert (decode.role, decode.accelerator, decode.replicas) == ("decode", "D", 1)
    assert prefill.transfer_ms == pytest.approx(10.0)
    assert prefill.slo_met
    assert prefill.ttft_ms is not None
    assert 100 < prefill.ttft_ms < 120
    assert not check_plan(spec, plan).violations
    assert fo.FleetPlan.from_json(plan.to_json()) == plan
    assert "prefill: 1 replica(s) on P, decode: 1 replica(s) on D" in plan.explain("s").verdict
    assert not fo.optimize(spec, serving="aggregated").services_served


def changing(today: list[dict[str, Any]], **transition: Any) -> FleetSpec:
    """Two of P (2 requests/s take 0.2 of one) and one of D run today, unless said otherwise."""
    data = fast_and_slow()
    data["optimizer"]["transition"] = {
        "cost_per_start": 2.0,
        "cost_per_stop": 0.5,
        "cost_per_move": 8.0,
        "horizon_h": 4.0,
        "start_up_s": 3600.0,
        **transition,
    }
    return fleet(data, current=today)


def test_todays_pools_go_on_each_in_its_role() -> None:
    """One of each is wanted: of 2 P that prefill one stops, the D that decodes goes on: 0.5 once.

    A D that does both today has to be started anew to decode alone: 2 and an hour of it (1), and
    the other stops, 0.5. From nothing on P alone both start, 2 + 3 and 2 + 1, and the service moves
    to D besides, 8. Spread over 4 hours.
    """
    prefill = {"accelerator": "P", "replicas": 2, "role": "prefill"}
    cases = (
        ([prefill, {"accelerator": "D", "replicas": 1, "role": "decode"}], 0, 1, (), 0.5),
        ([prefill, {"accelerator": "D", "replicas": 1}], 1, 2, (), 0.5 + 2 + 1 + 0.5),
        ([{"accelerator": "P", "replicas": 1}], 2, 1, ("s",), 2 + 3 + 2 + 1 + 0.5 + 8),
    )
    for today, started, stopped, moved, cost in cases:
        spec = changing(today)
        plan = fo.optimize(spec)
        change = plan.transition
        assert change is not None
        assert (change.started, change.stopped, change.moved) == (started, stopped, moved)
        assert change.cost == pytest.approx(cost)
        assert plan.total_cost_per_hour == 4.0
        assert plan.primal_bound == pytest.approx(4.0 + cost / 4.0)
        assert check_plan(spec, plan).violations == ()


def test_each_pool_keeps_its_spares() -> None:
    """One of each carries the load, and one of each may fail: 2 P and 2 D, 8 per hour.

    The latencies are those without the spares; with at most 3 replicas there is no such pair. The
    checker misses a spare that the decode pool does not have at a load that its one replica needs.
    """
    plain, spec = fo.optimize(fleet()), fleet(spares=1)
    plan = fo.optimize(spec)
    assert [a.replicas for a in plan.allocations] == [2, 2]
    assert plan.total_cost_per_hour == 8.0
    assert [a.ttft_ms for a in plan.allocations] == [a.ttft_ms for a in plain.allocations]
    assert check_plan(spec, plan).violations == ()
    assert not fo.optimize(fleet(spares=1, replicas={"max": 3})).services_served
    words = str(check_plan(spec, plain).violations)
    assert "no replica carries load beside 1 spare(s)" in words


def test_steps_from_todays_pools_are_limited() -> None:
    """Two starts are needed from nothing; one is allowed, so the service stays out."""
    one = [{"accelerator": "P", "replicas": 1, "role": "prefill"}]
    assert fo.optimize(changing(one, most_started=1)).services_served == ("s",)
    short = fo.optimize(changing([], most_started=1))
    assert [service.service for service in short.unserved] == ["s"]
    moved = fo.optimize(changing(one, most_moved=0))
    assert [service.service for service in moved.unserved] == ["s"]


@given(
    rate=st.sampled_from([1.0, 9.0, 25.0]),
    replicas=st.tuples(*[st.integers(0, 4)] * 3),
)
@settings(deadline=None, max_examples=8, derandomize=True)
def test_what_changes_is_what_the_checker_counts(
    rate: float, replicas: tuple[int, int, int]
) -> None:
    """Of any plan of today's: the objective is the cost and the checker's own count of changes."""
    roles = (("P", "prefill"), ("D", "decode"), ("D", "aggregated"))
    today = [
        {"accelerator": name, "role": role, "replicas": count}
        for (name, role), count in zip(roles, replicas, strict=True)
        if count
    ]
    spec = changing(today)
    spec = fleet(spec.model_dump(mode="json", by_alias=True), load=load(rate))
    plan = fo.optimize(spec)
    assert plan.transition is not None
    assert plan.primal_bound == pytest.approx(
        (plan.total_cost_per_hour or 0.0) + plan.transition.cost_per_hour
    )
    assert check_plan(spec, plan).violations == ()


def test_both_halves_load_their_own_types_rows() -> None:
    """Without a card of either type the pair does not fit."""
    for short in ("P", "D"):
        data = fast_and_slow()
        data["capacities"] = [{"type": "P", "cards": 1}, {"type": "D", "cards": 1}]
        assert fo.optimize(fleet(data)).services_served
        data["capacities"] = [{**c, "cards": int(c["type"] != short)} for c in data["capacities"]]
        assert not fo.optimize(fleet(data)).services_served


def test_power_of_both_halves_is_minimised() -> None:
    """P draws 400 W and D 100 W whatever they do: the pair 0.5 kW."""
    data = fast_and_slow()
    for accelerator, watts in zip(data["accelerators"], (400.0, 100.0), strict=True):
        accelerator["power"] = {"idle_w": watts, "full_w": watts}
    data["optimizer"]["objective"] = "power"
    spec = fleet(data)
    plan = fo.optimize(spec)
    assert plan.primal_bound == pytest.approx(0.5)
    assert not check_plan(spec, plan).violations


def test_the_ratio_follows_the_lengths() -> None:
    """Ten times the output takes more decode replicas, and as many for prefill."""
    replicas = {}
    for output in (11, 110):
        plan = fo.optimize(fleet(load=load(4, output)))
        replicas[output] = [a.replicas for a in plan.allocations]
    assert replicas[110][0] == replicas[11][0]
    assert replicas[110][1] > replicas[11][1]


def cheapest_by_exhaustion(rate: float, bounds: dict[Statistic, float], most: int = 12) -> float:
    """Return the least cost of a pair, every number of replicas of both pools tried."""
    timings = {"P": (3.0, (50.0, 0.0, 0.0, 0.1)), "D": (1.0, (10.0, 0.0, 0.0, 1.0))}
    model = get_queue_model("mm1k-state-dependent")
    counts = np.array(list(product(range(1, most + 1), repeat=2)))
    best = np.inf
    for (price_p, times_p), (price_d, times_d) in product(timings.values(), repeat=2):
        halves = [
            ServiceProcess(
                PrefillDecodeTiming(*times),
                Lengths.fixed(1000.0),
                Lengths.fixed(11.0),
                1,
                role=role,
            )
            for times, role in ((times_p, Role.PREFILL), (times_d, Role.DECODE))
        ]
        tandem = Tandem(*halves, 10.0, prefill_replicas=counts[:, 0], decode_replicas=counts[:, 1])
        found = evaluate_tandem(model, tandem, np.full(len(counts), rate), tuple(bounds))
        kept = np.array(found.stable)
        for statistic, bound in bounds.items():
            kept &= found.value(statistic) <= bound
        cost = counts @ np.array([price_p, price_d])
        best = min(best, cost[kept].min(initial=np.inf))
    return float(best)


@given(
    rate=st.floats(0.5, 12.0),
    ttft=st.floats(105.0, 2000.0),
    itl=st.floats(12.0, 80.0),
    e2e=st.one_of(st.none(), st.floats(230.0, 3000.0)),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_pairs_cost_what_exhaustion_finds(
    rate: float, ttft: float, itl: float, e2e: float | None
) -> None:
    """Without objectives on both pools exactly; with one, no less, and seldom more."""
    data = fast_and_slow()
    targets = [{"metric": "ttft_ms", "bound": ttft}, {"metric": "itl_ms", "bound": itl}]
    bounds = {Statistic(Metric.TTFT): ttft, Statistic(Metric.ITL): itl}
    if e2e is not None:
        targets.append({"metric": "e2e_ms", "bound": e2e})
        bounds[Statistic(Metric.E2E)] = e2e
    data["classes"][0]["slos"][0]["targets"] = targets
    data["optimizer"] = {"serving": "disaggregated", "queue_model": "mm1k-state-dependent"}
    spec = fleet(data, load=load(rate))
    plan = fo.optimize(spec)
    assert not check_plan(spec, plan).violations
    best = cheapest_by_exhaustion(rate, bounds)
    if not plan.services_served:
        assert best == np.inf
        return
    assert plan.total_cost_per_hour is not None
    assert plan.total_cost_per_hour >= best - 1e-9
    if e2e is None:
        assert plan.total_cost_per_hour == pytest.approx(best)


@given(rate=st.floats(0.2, 10.0), ttft=st.floats(120.0, 4000.0), itl=st.floats(12.0, 100.0))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_the_choice_never_costs_more_than_one_pool(rate: float, ttft: float, itl: float) -> None:
    """`either` serves whatever `aggregated` serves, at no more."""
    data = fast_and_slow()
    data["classes"][0]["slos"][0]["targets"] = [
        {"metric": "ttft_ms", "bound": ttft},
        {"metric": "itl_ms", "bound": itl},
    ]
    either = fo.optimize(fleet(data, load=load(rate)))
    alone = fo.optimize(fleet(data, load=load(rate)), serving="aggregated")
    if alone.services_served:
        assert either.total_cost_per_hour is not None
        assert alone.total_cost_per_hour is not None
        assert either.total_cost_per_hour <= alone.total_cost_per_hour + 1e-9


def test_pools_apart_in_place_or_kv_precision_are_not_paired() -> None:
    """A KV cache is not sent between regions, nor read in another precision."""
    for accelerator in ({"pool": "eu"}, {"zone": "a"}):
        data = fast_and_slow()
        data["accelerators"][0].update(accelerator)
        assert not fo.optimize(fleet(data)).services_served
    data = fast_and_slow()
    data["performance"][0]["kv_precision"] = "fp8"
    assert not fo.optimize(fleet(data)).services_served


def test_disaggregated_alone_says_why_one_pool_is_out() -> None:
    """Where one pool could serve, `explain` says that the service does not want it."""
    data = fast_and_slow()
    data["classes"][0]["slos"] = []
    plan = fo.optimize(fleet(data, serving="disaggregated"))
    assert [a.role for a in plan.allocations] == ["prefill", "decode"]
    options = plan.explain("s").options
    assert [option.decode is not None for option in options if option.state == "chosen"] == [True]
    details = [option.detail for option in options]
    assert "the service prefills and decodes in pools of their own" in details


def test_the_checker_finds_a_decode_pool_that_is_too_small() -> None:
    """It asks the queue model about both pools together."""
    spec = fleet(load=load(20))
    plan = fo.optimize(spec)
    prefill, decode = plan.allocations
    fewer = decode.model_copy(update={"replicas": 1, "instances": 1, "cards": 1})
    changed = plan.model_copy(update={"allocations": (prefill, fewer)})
    assert any(violation.kind == "slo" for violation in check_plan(spec, changed).violations)
    lone = plan.model_copy(update={"allocations": (prefill,)})
    assert "not one for prefill and one for decode" in str(check_plan(spec, lone).violations)


def test_percentiles_over_both_pools_are_kept() -> None:
    """TTFT and E2E at the 95th percentile, by the model that answers them in pools."""
    data = fast_and_slow()
    iteration = {"decode_ms_per_token": 0.1, "kv_ms_per_token": 1e-5}
    data["performance"] = [
        {
            "model": "m",
            "accelerator": name,
            "max_batch": 16,
            "iteration": {**iteration, "base_ms": base, "prefill_ms_per_token": prefill},
        }
        for name, base, prefill in (("P", 30.0, 0.05), ("D", 10.0, 0.5))
    ]
    data["classes"][0]["slos"][0]["targets"] = [
        {"metric": "ttft_ms", "statistic": "p95", "bound": 400},
        {"metric": "e2e_ms", "statistic": "p95", "bound": 900},
        {"metric": "itl_ms", "statistic": "p99", "bound": 60},
    ]
    spec = fleet(data, load=load(2))
    plan = fo.optimize(spec, serving="disaggregated")
    assert plan.services_served == ("s",)
    assert all(target.met for target in plan.allocations[0].targets)
    assert not check_plan(
        spec.model_copy(
            update={"optimizer": spec.optimizer.model_copy(update={"serving": "disaggregated"})}
        ),
        plan,
    ).violations


def test_a_part_of_the_table_keeps_its_pairs() -> None:
    """What looks at some services alone sees their pools."""
    data = fast_and_slow()
    data["services"].append({**data["services"][0], "name": "t"})
    table = fo.build_candidates(fleet(data))
    part = part_of_table(table, [1])
    rows = table.service == 1
    np.testing.assert_array_equal(part.decode.replicas, table.decode.replicas[rows])
    np.testing.assert_array_equal(part.halves[1].cards, table.halves[1].cards[rows])


FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no link": ({"kv_transfer": None}, {}, "kv_transfer: is missing: service 's' may prefill and"),
    "no size": (
        {"models": [{"name": "m"}]},
        {},
        "models[0].kv_bytes_per_token: is missing: service 's' sends its KV cache between pools",
    ),
    "limited queue": ({}, {"max_queue": 4}, "service 's' has max_queue, which pools of their own"),
    "role without pools": (
        {"optimizer": {"serving": "aggregated"}},
        {"current": {"accelerator": "P", "replicas": 1, "role": "prefill"}},
        "services[0].current.role = 'prefill': is that of a pool, and the service is served by one",
    ),
    "role twice": (
        {},
        {
            "current": [
                {"accelerator": "P", "replicas": 1, "role": "prefill"},
                {"accelerator": "P", "replicas": 2, "role": "prefill"},
            ]
        },
        "another entry is for this accelerator, maximum batch and role",
    ),
    "unknown role": (
        {},
        {"current": {"accelerator": "P", "replicas": 1, "role": "prefil"}},
        "must be one of aggregated, prefill, decode",
    ),
    "split": ({}, {"allocation": "split"}, "service 's' has allocation: split"),
    "unknown word": ({}, {"serving": "apart"}, "must be one of aggregated, disaggregated, either"),
    "no bandwidth": ({"kv_transfer": {"bandwidth_gb_s": 0}}, {}, "must be greater than 0 (GB/s)"),
}


def tiered(rate: float = 1.0, **options: Any) -> FleetSpec:
    """As `fast_and_slow`, one P reserved at 1.5, two D on spot at 0.25, the rest on demand."""
    described = fast_and_slow()
    described["accelerators"] = [
        {
            "name": "P",
            "cost_per_hour": 3.0,
            "tiers": [
                {"tier": "reserved", "instances": 1, "cost_per_hour": 1.5},
                {"tier": "on-demand"},
            ],
        },
        {
            "name": "D",
            "cost_per_hour": 1.0,
            "tiers": [
                {"tier": "spot", "instances": 2, "cost_per_hour": 0.25},
                {"tier": "on-demand"},
            ],
        },
    ]
    described["services"][0]["load"]["arrival_rate_rps"] = rate
    return from_data({**described, "optimizer": {**described.get("optimizer", {}), **options}})


@pytest.mark.parametrize("solver", ["auto", "highs", "lagrangian", "milp"])
def test_each_pool_is_bought_in_tiers(solver: str) -> None:
    """One P reserved, 1.5, and one D on spot, 0.25: 1.75 in place of 4."""
    plan = fo.optimize(tiered(), solver=solver)
    assert plan.termination == "optimal"
    assert plan.total_cost_per_hour == pytest.approx(1.75)
    assert [a.tiers for a in plan.allocations] == [{"reserved": 1}, {"spot": 1}]
    assert [(p.tier, p.instances) for p in plan.purchases] == [
        ("reserved", 1), ("on-demand", 0), ("spot", 1), ("on-demand", 0),
    ]  # fmt: skip


def test_quotas_are_shared_by_pools_of_all_services() -> None:
    """Two such services: one P reserved and one on demand, 4.5, both D on spot, 0.5: 5."""
    described = tiered().model_dump(mode="json", by_alias=True, exclude_unset=True)
    (first,) = described["services"]
    described["services"] = [first, {**deepcopy(first), "name": "t"}]
    spec = from_data(described)
    plan = fo.optimize(spec)
    assert plan.total_cost_per_hour == pytest.approx(5.0)
    assert check_plan(spec, plan).ok
    bought = {a.tier: a.instances for a in plan.purchases if a.accelerator == "P"}
    assert bought == {"reserved": 1, "on-demand": 1}


@given(rate=st.sampled_from([0.5, 2.0, 7.0, 20.0]))
@settings(max_examples=4, deadline=None, derandomize=True)
def test_tiers_never_cost_more_than_the_usual_price(rate: float) -> None:
    """Every plan at the usual prices may be bought on demand."""
    described = tiered(rate).model_dump(mode="json", by_alias=True, exclude_unset=True)
    for machine in described["accelerators"]:
        machine.pop("tiers")
    usual = fo.optimize(from_data(described)).total_cost_per_hour
    found = fo.optimize(tiered(rate)).total_cost_per_hour
    assert usual is not None
    assert found is not None
    assert found <= usual + 1e-9


@pytest.mark.parametrize("name", FAULTS)
def test_misuse_is_found_with_what_to_try(name: str) -> None:
    """Each names its place and the remedy."""
    changes, of_service, message = FAULTS[name]
    data = fast_and_slow()
    data.update(changes)
    with pytest.raises(SpecError) as caught:
        fleet(data, **of_service)
    assert message in str(caught.value)
