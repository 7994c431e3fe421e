"""Levels by chunk against an SLO."""

from __future__ import annotations

import pytest

from optimizer.errors import SpecError
from optimizer.kv import CompressionLevel, ContextChunk, plan_chunks

FINE = CompressionLevel(name="fine", compression=2, quality_loss=0.01)
COARSE = CompressionLevel(name="coarse", compression=8, quality_loss=0.05)
# 100 MB of KV and 200 ms of computing each.
CHUNKS = [ContextChunk(size_bytes=1e8, recompute_ms=200.0)] * 4


def levels(plan):
    """Names of the choices in order."""
    return [choice.level for choice in plan.choices]


def test_time_enough_computes_everything():
    """800 ms of computing within 800 ms: text, without loss."""
    plan = plan_chunks(CHUNKS, [FINE, COARSE], slo_ms=800, expected_gb_s=1)
    assert levels(plan) == ["text"] * 4
    assert plan.total_ms == 800
    assert plan.meets_slo
    assert plan.worst_quality_loss == 0


def test_less_time_takes_the_finest_level_that_fits():
    """400 MB / 2 at 1 GB/s: 200 ms; within 250 ms fine, within 60 ms only coarse."""
    assert levels(plan_chunks(CHUNKS, [FINE, COARSE], slo_ms=250, expected_gb_s=1)) == ["fine"] * 4
    plan = plan_chunks(CHUNKS, [FINE, COARSE], slo_ms=60, expected_gb_s=1)
    assert levels(plan) == ["coarse"] * 4
    assert plan.total_ms == pytest.approx(50)


def test_time_that_is_left_over_buys_quality_at_the_end():
    """Coarse is quick enough to leave 200 ms for computing the last chunk."""
    plan = plan_chunks(CHUNKS, [COARSE], slo_ms=300, expected_gb_s=1)
    assert levels(plan) == ["coarse", "coarse", "coarse", "text"]
    assert plan.meets_slo


def test_a_drop_in_bandwidth_is_answered_at_the_next_chunk():
    """First chunk at 0.5 instead of 1 GB/s: 100 ms gone; fine would need 300 more of 150."""
    plan = plan_chunks(
        CHUNKS, [FINE, COARSE], slo_ms=250, expected_gb_s=1, observed_gb_s=[0.5, 0.5, 0.5, 0.5]
    )
    assert levels(plan)[:2] == ["fine", "coarse"]
    assert plan.meets_slo


def test_what_cannot_be_met_takes_the_quickest():
    """1 ms is too little: coarse, and the plan says that the SLO is missed."""
    plan = plan_chunks(CHUNKS, [FINE, COARSE], slo_ms=1, expected_gb_s=1)
    assert set(levels(plan)) == {"coarse"}
    assert not plan.meets_slo


def test_decoding_may_be_the_limit():
    """Decoding 0.5 GB/s of KV takes 200 ms a chunk whatever the link."""
    slow = CompressionLevel(name="slow", compression=8, quality_loss=0.01, decode_gb_s=0.5)
    assert slow.delay_ms(1e8, 1000.0) == pytest.approx(200)
    assert (
        levels(plan_chunks(CHUNKS, [slow, COARSE], slo_ms=180, expected_gb_s=10)) == ["coarse"] * 4
    )


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"levels": []}, "levels"),
        ({"levels": [FINE, FINE]}, "levels"),
        ({"levels": [CompressionLevel(name="text", compression=2)]}, "levels"),
        ({"slo_ms": 0}, "slo_ms"),
        ({"expected_gb_s": -1}, "expected_gb_s"),
        ({"observed_gb_s": [1.0]}, "observed_gb_s"),
    ],
)
def test_wrong_questions_are_refused_by_name(changed, path):
    """The fault names the argument."""
    question = {"chunks": CHUNKS, "levels": [FINE], "slo_ms": 100, "expected_gb_s": 1} | changed
    with pytest.raises(SpecError) as caught:
        plan_chunks(**question)
    assert caught.value.faults[0].path == path
