"""Part 2: the device for a ratio."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.errors import SpecError
from optimizer.kv import (
    DevicePreference,
    DeviceScope,
    HidingRule,
    KvDemand,
    KvShape,
    LocalCost,
    RatioPolicy,
    SelectionPolicy,
    StorageDevice,
    StorageTopology,
    StorageUse,
    WholeModelTime,
    select_device,
    storage_cost,
)

# 10 layers, 1 MB a token, 1,000 tokens: 1 GB. 15 % of 4,000 ms: 600 ms without overhead.
DEMAND = KvDemand(
    shape=KvShape(layers=10, elements_per_layer_token=50_000),
    tokens=1000.0,
    prefill=WholeModelTime(4000.0),
)
BARE = SelectionPolicy(ratios=RatioPolicy(recompute_overhead=0.0))
RAM = StorageDevice(name="ram", bandwidth_gb_s=20, usd_per_gb_hour=0.003)  # 50 ms
DISK = StorageDevice(name="disk", bandwidth_gb_s=2, usd_per_gb_hour=0.0001)  # 500 ms
TAPE = StorageDevice(name="tape", bandwidth_gb_s=0.5, usd_per_gb_hour=0.00001)  # 2,000 ms
EARTH = StorageDevice(name="earth", bandwidth_gb_s=0.01, usd_per_gb_hour=0.0)  # 100,000 ms
ALL = [RAM, DISK, TAPE, EARTH]


def names(selection):
    """Names in the order of the ranking."""
    return [one.device.name for one in selection.ranking]


def test_cacheblends_rule_takes_the_cheapest_that_is_fast_enough():
    """Loading within 600 ms: RAM and disk qualify, disk is cheaper; the others follow by delay."""
    selection = select_device(DEMAND, ALL, policy=BARE)
    assert selection.chosen is not None
    assert selection.chosen.device.name == "disk"
    assert not selection.is_fallback
    assert names(selection) == ["disk", "ram", "tape", "earth"]
    assert selection.chosen.load_ms == pytest.approx(500)
    assert selection.chosen.recompute_ms == pytest.approx(600)
    assert selection.chosen.total_ms == pytest.approx(600)


def test_the_opposite_rule_never_takes_the_slowest_store_on_earth():
    """Recompute within loading: tape and earth are slow enough, but earth is over the budget."""
    policy = replace(BARE, hiding=HidingRule.RECOMPUTE_HIDDEN)
    selection = select_device(DEMAND, ALL, policy=policy)
    assert selection.ttft_budget_ms == 4000
    assert names(selection)[0] == "tape"
    earth = next(one for one in selection.ranking if one.device.name == "earth")
    assert earth.recompute_hidden
    assert not earth.qualifies
    assert not earth.within_budget


def test_both_rules_are_reported_for_every_device():
    """Fast devices hide their loading, slow ones the recomputing."""
    flags = {
        one.device.name: (one.loading_hidden, one.recompute_hidden)
        for one in select_device(DEMAND, ALL, policy=BARE).ranking
    }
    assert flags == {
        "ram": (True, False), "disk": (True, False), "tape": (False, True), "earth": (False, True),
    }  # fmt: skip


def test_latency_takes_the_least_total_delay():
    """RAM and disk both end with the recomputing: the cheaper; at ratio 0 RAM is quicker."""
    policy = replace(BARE, prefer=DevicePreference.LATENCY)
    assert names(select_device(DEMAND, ALL, policy=policy))[0] == "disk"
    assert names(select_device(DEMAND, ALL, policy=replace(policy, ratio=0.0)))[0] == "ram"


def test_each_alternative_has_its_own_ratio():
    """Load over prefill, at least 15 %, at most all."""
    ratios = {
        one.device.name: one.optimal_ratio
        for one in select_device(DEMAND, ALL, policy=BARE).ranking
    }
    assert ratios == pytest.approx({"ram": 0.15, "disk": 0.15, "tape": 0.5, "earth": 1.0})


def test_where_none_qualifies_the_fallback_says_so():
    """Only slow devices under CacheBlend's rule: the quickest of them, with the reason."""
    selection = select_device(DEMAND, [EARTH, TAPE], policy=BARE)
    assert selection.chosen is not None
    assert selection.chosen.device.name == "tape"
    assert selection.is_fallback
    assert "fallback" in selection.reason
    nothing = select_device(DEMAND, [], policy=BARE)
    assert nothing.chosen is None
    assert "recompute everything" in nothing.reason


def test_obstacles_are_named():
    """No room, no way, and a load that takes too long."""
    topology = StorageTopology()
    topology.connect("disk", "gpu", bandwidth_gb_s=10)
    topology.connect("tape", "gpu", bandwidth_gb_s=10)
    full = replace(DISK, free_gb=0.5)
    policy = replace(BARE, max_load_ms=1000)
    selection = select_device(
        DEMAND, [RAM, full, TAPE], policy=policy, topology=topology, compute="gpu"
    )
    assert selection.chosen is None
    found = {one.device.name: one.obstacles[0] for one in selection.ranking}
    assert "cannot be reached" in found["ram"]
    assert "needs 1 GB, has 0.5 GB left" in found["disk"]
    assert "loads in 2e+03 ms" in found["tape"]


def test_the_path_narrows_and_delays():
    """A device of 20 GB/s behind a link of 4 GB/s and 1.5 ms loads 1 GB in 251.5 ms."""
    topology = StorageTopology()
    topology.connect("ram", "gpu", bandwidth_gb_s=4, latency_ms=1.5)
    (one,) = select_device(DEMAND, [RAM], policy=BARE, topology=topology, compute="gpu").ranking
    assert one.load_ms == pytest.approx(251.5)


def test_ties_go_to_reliability_then_availability():
    """Same price and speed: the more reliable; unknown ranks last."""
    twins = [
        replace(DISK, name="a"),
        replace(DISK, name="b", reliability=0.999, availability=0.9),
        replace(DISK, name="c", reliability=0.999, availability=0.99),
        replace(DISK, name="d", reliability=0.99),
    ]
    assert names(select_device(DEMAND, twins, policy=BARE)) == ["c", "b", "d", "a"]


def test_costs_by_hand():
    """1 GB for 24 h at 0.001 with two copies, 3 reads and a write with fees, 8 MB requests."""
    device = StorageDevice(
        name="s", bandwidth_gb_s=1, usd_per_gb_hour=0.001, read_usd_per_gb=0.01,
        write_usd_per_gb=0.02, usd_per_1000_reads=0.4, copies=2,
    )  # fmt: skip
    cost = storage_cost(device, 1e9, StorageUse(duration_h=24, reads=3, request_bytes=8e6))
    assert cost.storage_usd == pytest.approx(0.048)
    assert cost.usd_per_hour == pytest.approx(0.002)
    assert cost.transfer_usd == pytest.approx(3 * 0.01 + 2 * 0.02)
    assert cost.request_usd == pytest.approx(3 * 125 * 0.4 / 1000)
    assert cost.total_usd == pytest.approx(0.048 + 0.07 + 0.15)


def test_local_devices_are_free_unless_opportunity_counts():
    """Their price is what else they could hold."""
    local = replace(RAM, scope=DeviceScope.LOCAL)
    assert storage_cost(local, 1e9, StorageUse()).total_usd == 0
    priced = storage_cost(local, 1e9, StorageUse(local=LocalCost.OPPORTUNITY))
    assert priced.total_usd == pytest.approx(0.003)
    assert names(select_device(DEMAND, [local, DISK], policy=BARE))[0] == "ram"
    policy = replace(BARE, use=StorageUse(local=LocalCost.OPPORTUNITY))
    assert names(select_device(DEMAND, [local, DISK], policy=policy))[0] == "disk"


def test_two_devices_of_one_name_are_refused():
    """An answer by name would be ambiguous."""
    with pytest.raises(SpecError, match="'ram'"):
        select_device(DEMAND, [RAM, RAM], policy=BARE)


@given(
    bandwidths=st.lists(st.floats(0.01, 1000), min_size=1, max_size=6),
    prices=st.lists(st.floats(0, 1), min_size=6, max_size=6),
    rule=st.sampled_from(HidingRule),
    budget=st.floats(1, 1e5),
)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_the_chosen_one_is_the_cheapest_of_the_qualifying(bandwidths, prices, rule, budget):
    """Against enumeration by the definitions."""
    devices = [
        StorageDevice(name=f"d{k}", bandwidth_gb_s=b, usd_per_gb_hour=prices[k])
        for k, b in enumerate(bandwidths)
    ]
    policy = replace(BARE, hiding=rule, ttft_budget_ms=budget)
    selection = select_device(DEMAND, devices, policy=policy)
    loads = [1000 / b for b in bandwidths]
    fits = [
        k
        for k, load in enumerate(loads)
        if max(load, 600.0) <= budget
        and (
            load <= 600 * (1 + 1e-9)
            if rule is HidingRule.LOADING_HIDDEN
            else load * (1 + 1e-9) >= 600
        )
    ]
    assert selection.chosen is not None
    assert selection.is_fallback == (not fits)
    if fits:
        chosen = int(selection.chosen.device.name[1:])
        assert chosen in fits
        assert prices[chosen] == min(prices[k] for k in fits)
    else:
        assert selection.chosen.total_ms == pytest.approx(max(min(loads), 600.0))
