"""KV storage as a decision: which store, how much recomputed, under what the fleet shares."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer as fo
from optimizer.errors import SpecError
from optimizer.fleet import Verdict
from optimizer.fleet.check import check_plan
from optimizer.fleet.impossible import why_not
from optimizer.fleet.one_pair import pair_data
from optimizer.fleet.replica import size_replica
from optimizer.kv import MINIMUM_RATIO
from optimizer.spec import FleetSpec, from_data
from optimizer.spec.storage import LEAST_RATIO


def two_services() -> dict[str, Any]:
    """Two services and two stores of which the cheap one can feed only one of them.

    A prompt of 1 000 tokens takes 1 000 ms to compute; 900 of them are found in a store, 1 MB each,
    so 0.9 GB are loaded per request while 100 ms are computed. `fast` reads 10 GB/s, of which 7 may
    be used: 129 ms; `slow` reads as fast and answers 150 ms later. So TTFT on an empty replica is
    1 000 ms without a store, 229 ms with `fast` and 379 ms with `slow`. Gold wants 300 ms: only
    `fast` does. Silver wants 500 ms: either does. Each keeps 10 GB: 1 per hour on `fast`, 3 on
    `slow`.

    At 4.5 requests/s each service reads 4.05 GB/s. Alone, silver takes `fast`. Together they would
    read 8.1 of 7 GB/s, and gold has no other way: silver pays 3 for `slow`. With four replicas each
    (1 per hour apiece) that makes 4 + 1 + 4 + 3 = 12 per hour.
    """

    def service(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "model": "m",
            "class": name,
            "load": {"arrival_rate_rps": 4.5, "input_tokens": 1000, "output_tokens": 2},
            "replicas": {"min": 4},
            "kv_reuse": {
                "hit_rate": 1.0,
                "cached_tokens": 900,
                "working_set_gb": 10,
                "recompute_ratios": [0],
            },
        }

    def group(name: str, ttft_ms: float) -> dict[str, Any]:
        slos = [{"targets": [{"metric": "ttft_ms", "bound": ttft_ms}]}]
        return {"name": name, "priority": 1, "slos": slos}

    times = {
        "decode_base_ms": 10.0,
        "decode_ms_per_request": 0.0,
        "prefill_base_ms": 0.0,
        "prefill_ms_per_token": 1.0,
    }
    return {
        "name": "two stores",
        "accelerators": [{"name": "A", "cost_per_hour": 1.0}],
        "stores": [
            {"name": "fast", "bandwidth_gb_s": 10, "cost_per_gb_hour": 0.1},
            {"name": "slow", "bandwidth_gb_s": 10, "latency_ms": 150, "cost_per_gb_hour": 0.3},
        ],
        "models": [{"name": "m", "kv_bytes_per_token": 1e6}],
        "performance": [
            {"model": "m", "accelerator": "A", "max_batch": 4, "prefill_decode": times}
        ],
        "classes": [group("gold", 300), group("silver", 500)],
        "services": [service("gold"), service("silver")],
    }


def fleet(data: dict[str, Any] | None = None, **of_silver: Any) -> FleetSpec:
    """Return the fleet with changes to what silver reuses."""
    document = deepcopy(data or two_services())
    document["services"][-1]["kv_reuse"].update(of_silver)
    return from_data(document)


def chosen(spec: FleetSpec) -> dict[str, str | None]:
    """Return the store of each service, and check the plan."""
    plan = fo.optimize(spec)
    assert not check_plan(spec, plan).violations
    return {a.service: a.storage.store if a.storage else None for a in plan.allocations}


def test_golden_the_store_of_one_service_changes_that_of_another() -> None:
    """12 per hour, silver on `slow`, as `two_services` works out; alone, silver takes `fast`."""
    spec = fleet()
    assert chosen(spec) == {"gold": "fast", "silver": "slow"}
    plan = fo.optimize(spec)
    assert plan.total_cost_per_hour == pytest.approx(12.0)
    used = {use.name: (use.used, use.capacity) for use in plan.resources}
    assert used["fast bandwidth"] == (pytest.approx(4.05), pytest.approx(7.0))
    assert used["slow"] == (pytest.approx(10.0), None)
    storage = plan.allocation("gold").storage
    assert storage is not None
    assert storage.loading_ms == pytest.approx(900 / 7)
    assert storage.reused_share == pytest.approx(0.9)
    alone = two_services()
    alone["services"] = alone["services"][1:]
    assert chosen(fleet(alone)) == {"silver": "fast"}


def test_golden_capacity_counts_once_per_service_on_a_shared_store() -> None:
    """With 20 GB of bandwidth to spare, `fast` holds both (20 GB); with 19 GB it does not."""
    data = two_services()
    data["stores"][0].update(bandwidth_gb_s=20, capacity_gb=20)
    assert chosen(fleet(data)) == {"gold": "fast", "silver": "fast"}
    data["stores"][0]["capacity_gb"] = 19
    assert chosen(fleet(data)) == {"gold": "fast", "silver": "slow"}


def test_golden_a_local_store_is_kept_by_every_replica_and_shares_no_bandwidth() -> None:
    """Four replicas keep 40 GB, each reading its own; 79 GB are not enough for two."""
    data = two_services()
    data["stores"][0].update(scope="local", total_gb=80, cost_per_gb_hour=0)
    plan = fo.optimize(fleet(data))
    assert chosen(fleet(data)) == {"gold": "fast", "silver": "fast"}
    assert [a.storage.kept_gb for a in plan.allocations if a.storage] == [40, 40]
    assert "fast bandwidth" not in {use.name for use in plan.resources}
    data["stores"][0]["total_gb"] = 79
    assert chosen(fleet(data)) == {"gold": "fast", "silver": "slow"}


def test_a_local_store_feeds_only_so_much_per_replica() -> None:
    """Its own 0.7 GB/s feeds 0.778 requests/s of 0.9 GB: 4.5 requests/s want six replicas."""
    data = two_services()
    data["stores"] = [{"name": "disk", "scope": "local", "bandwidth_gb_s": 1.0}]
    data["classes"][0]["slos"][0]["targets"][0]["bound"] = 5000
    data["services"] = data["services"][:1]
    data["services"][0]["kv_reuse"]["recompute_ratios"] = [0]
    table = fo.build_candidates(from_data(data))
    assert table.rate_per_replica_rps[table.reuse.store == 0] == pytest.approx(0.7 / 0.9)
    assert table.replicas[table.reuse.store == 0] == 6


def test_golden_quality_decides_the_ratio() -> None:
    """Q(r) with Q0 = 0.5, Q1 = 0.9, k = 5: 0.8 needs r = 0.271; 0.9 needs everything computed."""
    data = two_services()
    data["services"] = data["services"][1:]
    reuse = {
        "kind": "chunks",
        "quality": {"at_zero": 0.5, "at_one": 0.9, "rate": 5.0},
        "recompute_ratios": None,
        "minimum_quality": 0.8,
    }
    data["classes"][1]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": 900}]}]
    table = fo.build_candidates(fleet(data, **reuse))
    ratio = float(table.reuse.ratio[table.reuse.store == 0].min())
    assert ratio == pytest.approx(-np.log(1 - 0.75 * (1 - np.exp(-5))) / 5)
    assert table.reuse.quality[table.reuse.store == 0].min() == pytest.approx(0.8)
    plan = fo.optimize(fleet(data, **reuse))
    storage = plan.allocation("silver").storage
    assert storage is not None
    assert storage.quality == pytest.approx(0.8)
    unmet = plan.model_copy(
        update={
            "allocations": tuple(
                a.model_copy(update={"storage": storage.model_copy(update={"quality": 0.9})})
                for a in plan.allocations
            )
        }
    )
    assert "quality 0.9" in str(check_plan(fleet(data, **reuse), unmet).violations[0])


def test_the_default_ratios_lie_between_quality_and_what_loading_hides() -> None:
    """Of a prefix, r f = (1 - r) l: r = l / (f + l), with f = 900 ms and l = 129 ms on `fast`."""
    data = two_services()
    del data["services"][0]["kv_reuse"]["recompute_ratios"]
    table = fo.build_candidates(from_data(data))
    mine = (table.service == 0) & (table.reuse.store == 0)
    hidden = (900 / 7) / (900 + 900 / 7)
    assert table.reuse.ratio[mine].tolist() == pytest.approx([0, hidden / 2, hidden])
    assert table.reuse.mean_ms[mine][-1] == pytest.approx(0, abs=1e-9)


def test_without_load_in_a_store_nothing_changes() -> None:
    """The rows without a store are those of the same fleet without reuse."""
    plain = two_services()
    for service in plain["services"]:
        del service["kv_reuse"]
    with_stores, without = fo.build_candidates(fleet()), fo.build_candidates(from_data(plain))
    rows = np.flatnonzero(with_stores.reuse.store < 0)
    np.testing.assert_array_equal(with_stores.verdict[rows], without.verdict)
    np.testing.assert_array_equal(with_stores.cost_per_hour[rows], without.cost_per_hour)


def test_what_a_store_cannot_hold_says_so() -> None:
    """10 GB where 8 fit."""
    data = two_services()
    data["stores"][0]["capacity_gb"] = 8
    table = fo.build_candidates(fleet(data))
    (row, *_) = np.flatnonzero(table.verdict == Verdict.STORE).tolist()
    assert why_not(table, row) == "10 GB are kept for it, fast holds 8 GB"


@given(
    bandwidth=st.floats(5.0, 30.0),
    capacity=st.floats(5.0, 30.0),
    bound=st.floats(150.0, 1500.0),
    hit=st.floats(0.1, 1.0),
)
@settings(max_examples=6, deadline=None, derandomize=True)
def test_more_of_a_store_never_costs_more_and_a_tighter_slo_never_less(
    bandwidth: float, capacity: float, bound: float, hit: float
) -> None:
    """Cost and service counts move the right way; the plan keeps the checker's rules."""

    def worth(spec: FleetSpec) -> tuple[int, float]:
        plan = fo.optimize(spec)
        assert not check_plan(spec, plan).violations
        assert plan.total_cost_per_hour is not None
        return len(plan.unserved), plan.total_cost_per_hour

    def spec(bandwidth: float, capacity: float, bound: float) -> FleetSpec:
        data = two_services()
        data["stores"][0].update(bandwidth_gb_s=bandwidth, capacity_gb=capacity)
        data["classes"][0]["slos"][0]["targets"][0]["bound"] = bound
        return fleet(data, hit_rate=hit, recompute_ratios=None)

    base = worth(spec(bandwidth, capacity, bound))
    assert worth(spec(bandwidth, 1.5 * capacity, bound)) <= (base[0], base[1] + 1e-9)
    assert worth(spec(bandwidth, capacity, 0.9 * bound)) >= (base[0], base[1] - 1e-9)


def test_plans_with_stores_survive_a_round_trip_and_say_what_is_wrong_with_them() -> None:
    """Bytes that are not those of the fleet are found by the checker."""
    spec = fleet()
    plan = fo.optimize(spec)
    assert fo.FleetPlan.from_json(plan.to_json()) == plan
    storage = plan.allocations[0].storage
    assert storage is not None
    wrong = plan.allocations[0].model_copy(
        update={"storage": storage.model_copy(update={"kept_gb": 1.0})}
    )
    changed = plan.model_copy(update={"allocations": (wrong, *plan.allocations[1:])})
    assert "kept_gb 1 of fast, not 10" in str(check_plan(spec, changed).violations[0])
    assert "fast" in plan.explain("gold").verdict


def test_one_replica_of_a_service_with_a_store_is_sized_without_it() -> None:
    """`fleetopt size` looks at a replica that computes what it is asked."""
    study = size_replica(from_data(pair_data(fleet(), service="silver")))
    assert study.sizes[0].max_rate_rps == 0


def test_the_least_ratio_of_chunks_is_the_loading_controllers() -> None:
    """Fleet files and `fleetopt kv` default to one figure."""
    assert LEAST_RATIO == MINIMUM_RATIO


FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no bandwidth": (
        {"stores": [{"name": "a"}]},
        {},
        "stores[0].bandwidth_gb_s: is missing: give the read bandwidth in GB/s, or catalog",
    ),
    "unknown device": (
        {"stores": [{"name": "a", "catalog": "nvme_gen44"}]},
        {},
        "the catalogue has no such storage device",
    ),
    "no store": ({"stores": []}, {}, "kv_reuse: the fleet has no store: add stores"),
    "unknown store": (
        {},
        {"stores": ["fst"]},
        "services[1].kv_reuse.stores[0] = 'fst': there is no such store: did you mean 'fast'?",
    ),
    "ratios below the least": (
        {},
        {"kind": "chunks", "recompute_ratios": [0.05, 0.1]},
        "recompute_ratios = a list of 2: none is at least the minimum ratio, 0.15: add a larger",
    ),
    "no ratio": ({}, {"recompute_ratios": []}, "recompute_ratios = an empty list: must have at"),
    "no working set": ({}, {"working_set_gb": None}, "working_set_gb: is missing: give what has"),
    "two working sets": ({}, {"keep_hours": 2}, "is given beside keep_hours"),
    "quality of a prefix": (
        {},
        {"minimum_quality": 0.5},
        "is of chunks: an exact prefix loses no quality: remove it, or set kind: chunks",
    ),
    "quality without a curve": (
        {},
        {"kind": "chunks", "minimum_quality": 0.5},
        "kv_reuse.quality: is missing: minimum_quality needs it",
    ),
    "falling quality": (
        {},
        {"kind": "chunks", "quality": {"at_zero": 0.9, "at_one": 0.5, "rate": 1}},
        "at_zero = 0.9: must be at most at_one = 0.5",
    ),
    "quality out of reach": (
        {},
        {
            "kind": "chunks",
            "quality": {"at_zero": 0.1, "at_one": 0.5, "rate": 1},
            "minimum_quality": 0.6,
        },
        "minimum_quality = 0.6: must be at most quality.at_one = 0.5",
    ),
    "more than the prompt": (
        {},
        {"cached_tokens": 2000},
        "cached_tokens = 2000: must be at most the mean prompt, 1000 (tokens)",
    ),
    "size unknown": (
        {"models": [{"name": "m"}]},
        {},
        "models[0].kv_bytes_per_token: is missing: service 'gold' stores its KV cache",
    ),
    "hit rate above one": ({}, {"hit_rate": 1.5}, "must be at most 1"),
    "misspelt key": ({}, {"hitrate": 0.5}, "unknown key 'hitrate': did you mean 'hit_rate'?"),
    "pool of nothing": (
        {"stores": [{"name": "fast", "bandwidth_gb_s": 1, "pools": ["eu"]}]},
        {},
        "stores[0].pools[0] = 'eu': no accelerator is in this pool",
    ),
    "split": (
        {"optimizer": {"allocation": "split"}},
        {},
        "kv_reuse: is not decided for services with allocation: split",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_misuse_is_found_with_what_to_try(name: str) -> None:
    """Each names its place and the remedy."""
    changes, of_silver, message = FAULTS[name]
    data = two_services()
    data.update(changes)
    with pytest.raises(SpecError) as caught:
        fleet(data, **of_silver)
    assert message in str(caught.value)
