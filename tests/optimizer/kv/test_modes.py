"""Sequential and parallel mode."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.kv import (
    JointPrices,
    SaturatingQuality,
    StorageDevice,
    optimize_jointly,
    run_sequentially,
)
from tests.optimizer.kv.cases import DEMAND, DISK, POLICY, RAM

TAPE = StorageDevice(name="tape", bandwidth_gb_s=0.5, usd_per_gb_hour=0.00001)
QUALITY = SaturatingQuality(at_zero=0.15, at_one=0.35, rate=15.0)


def test_a_satisfactory_ratio_asks_for_no_other_device():
    """Tape recomputes half in 2,000 ms, within the full prefill."""
    outcome = run_sequentially(DEMAND, TAPE, [RAM, DISK], policy=POLICY)
    assert outcome.device == TAPE
    assert outcome.selection is None
    assert float(outcome.choice.ratio) == pytest.approx(0.5)


def test_too_much_recomputing_asks_part_2():
    """At most 30 %: tape's 50 % does not do; disk is the cheapest that hides its loading."""
    outcome = run_sequentially(DEMAND, TAPE, [RAM, DISK], policy=POLICY, largest_ratio=0.3)
    assert outcome.device == DISK
    assert "recomputes 50.0%" in outcome.objections[0]
    assert float(outcome.choice.ratio) == pytest.approx(0.15)


def test_a_budget_that_is_missed_asks_part_2():
    """1,000 ms: tape takes 2,000."""
    policy = replace(POLICY, ttft_budget_ms=1000.0)
    outcome = run_sequentially(DEMAND, TAPE, [DISK], policy=policy)
    assert outcome.device == DISK
    assert "TTFT budget" in outcome.objections[0]


def test_quality_that_is_missed_raises_the_ratio():
    """Q(15 %) = 0.329; 0.34 needs 20 %: part 2 runs with it, and part 1 keeps it."""
    outcome = run_sequentially(
        DEMAND, DISK, [RAM], policy=POLICY, quality=QUALITY, least_quality=0.34
    )
    assert "quality 0.329 is below 0.34" in outcome.objections[0]
    assert float(QUALITY.quality(outcome.choice.ratio)) >= 0.34 - 1e-9


def test_without_a_better_device_one_stays():
    """Nothing qualifies: the current device, its ratio, and the objections."""
    policy = replace(POLICY, ttft_budget_ms=100.0)
    outcome = run_sequentially(DEMAND, TAPE, [], policy=policy)
    assert outcome.device == TAPE
    assert outcome.objections
    assert outcome.selection is not None
    assert outcome.selection.is_fallback


def test_the_joint_optimum_follows_the_prices():
    """Storage alone: the cheapest; delay dear: the quickest; quality dear: all recomputed."""
    cheap = optimize_jointly(DEMAND, [RAM, DISK, TAPE], JointPrices(), policy=POLICY)
    assert cheap.best is not None
    assert cheap.best.device.name == "tape"
    quick = optimize_jointly(
        DEMAND, [RAM, DISK, TAPE], JointPrices(usd_per_ttft_s=1.0), policy=POLICY
    )
    assert quick.best is not None
    assert quick.best.total_ms == pytest.approx(600)
    assert quick.best.device.name == "disk"
    good = optimize_jointly(
        DEMAND, [RAM, DISK, TAPE], JointPrices(usd_per_quality=1e6), policy=POLICY, quality=QUALITY
    )
    assert good.best is not None
    assert good.best.ratio == pytest.approx(1.0)


def test_no_option_is_better_than_the_best_and_efficient_ones_are_unbeaten():
    """By enumeration of the options themselves."""
    prices = JointPrices(usd_per_ttft_s=0.001, usd_per_quality=0.01, gpu_usd_per_hour=2.0)
    outcome = optimize_jointly(DEMAND, [RAM, DISK, TAPE], prices, policy=POLICY, quality=QUALITY)
    assert outcome.best == outcome.options[0]
    kept = [option for option in outcome.options if option.within_budget]
    assert outcome.best.usd_per_request == min(option.usd_per_request for option in kept)
    best_quality = max(o.quality or 0 for o in outcome.options)
    assert any(o.is_efficient and o.quality == best_quality for o in outcome.options)
    assert any(not o.is_efficient for o in outcome.options)


def test_a_quality_floor_puts_what_misses_it_last():
    """0.345 needs more than 15 %; where the floor is out of reach the best is a fallback."""
    outcome = optimize_jointly(
        DEMAND, [DISK], JointPrices(usd_per_ttft_s=1.0), policy=POLICY, quality=QUALITY,
        least_quality=0.345,
    )  # fmt: skip
    assert outcome.best is not None
    assert (outcome.best.quality or 0) >= 0.345
    beyond = optimize_jointly(
        DEMAND, [DISK], JointPrices(), policy=POLICY, quality=QUALITY, least_quality=0.9
    )
    assert beyond.is_fallback
    assert optimize_jointly(DEMAND, [], JointPrices(), policy=POLICY).best is None
