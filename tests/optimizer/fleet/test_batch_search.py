"""The maximum batch is a decision: searched, and the one kept dominates the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer as fo
from optimizer.fleet.batch_limits import batch_ladder
from optimizer.spec import FleetSpec, from_data

ITERATION = {
    "base_ms": 10.0,
    "decode_ms_per_token": 1.0,
    "prefill_ms_per_token": 0.05,
    "kv_ms_per_token": 0.0005,
}


def fleet(
    itl_ms: float = 25.0,
    ttft_ms: float = 4000.0,
    rate: float = 6.0,
    *,
    batch: Any = None,
    largest: int = 64,
    output: float = 100,
    **options: Any,
) -> FleetSpec:
    """Return one service whose objectives pull its batch both ways, on two types of cards."""
    slow = {name: 1.6 * value for name, value in ITERATION.items()}
    timings = {"A": ITERATION, "B": slow}
    service: dict[str, Any] = {
        "name": "s",
        "model": "m",
        "class": "c",
        "load": {"arrival_rate_rps": rate, "input_tokens": 300, "output_tokens": output},
    }
    if batch is not None:
        service["max_batch"] = batch
    targets = [{"metric": "ttft_ms", "bound": ttft_ms}, {"metric": "itl_ms", "bound": itl_ms}]
    return from_data(
        {
            "accelerators": [
                {"name": "A", "cost_per_hour": 3.0},
                {"name": "B", "cost_per_hour": 2.0},
            ],
            "models": [{"name": "m"}],
            "performance": [
                {"model": "m", "accelerator": name, "max_batch": largest, "iteration": timing}
                for name, timing in timings.items()
            ],
            "classes": [{"name": "c", "priority": 1, "slos": [{"targets": targets}]}],
            "services": [service],
            "optimizer": {"queue_model": "mm1k-state-dependent", **options},
        }
    )


def cost(spec: FleetSpec) -> float:
    """Return what the fleet costs; `inf` where it cannot be served."""
    plan = fo.optimize(spec)
    assert plan.total_cost_per_hour is not None
    return plan.total_cost_per_hour if plan.services_served else np.inf


def test_golden_a_smaller_batch_keeps_itl_with_fewer_replicas() -> None:
    """An iteration takes 10 + n ms and more with n requests in decode: 15 ms of ITL want n < 5.

    A replica that may batch 64 must be offered little enough that n stays there on average, while
    one that never batches more may be kept busy: requests wait instead, which 4 s of TTFT allow.
    The searched batch is 4, and saves replicas.
    """
    searched = fo.build_candidates(fleet(itl_ms=15.0, rate=20.0))
    fixed = fo.build_candidates(fleet(itl_ms=15.0, rate=20.0, batch=64))
    assert searched.max_batch[0] == 4
    assert searched.replicas[0] < fixed.replicas[0]


@given(
    itl=st.floats(12.0, 60.0),
    ttft=st.floats(30.0, 5000.0),
    rate=st.floats(0.1, 40.0),
    largest=st.integers(1, 48),
    output=st.integers(2, 300),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_no_batch_of_the_ladder_is_cheaper_than_the_one_kept(
    itl: float, ttft: float, rate: float, largest: int, output: int
) -> None:
    """By exhaustion: the fleet is solved with each batch alone, and none beats the search."""
    given = {"itl_ms": itl, "ttft_ms": ttft, "rate": rate, "largest": largest, "output": output}
    alone = [cost(fleet(**given, batch=batch)) for batch in batch_ladder(1, largest)]
    assert cost(fleet(**given)) == pytest.approx(min(alone))


@given(itl=st.floats(14.0, 40.0), ttft=st.floats(100.0, 5000.0), rate=st.floats(1.0, 40.0))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_steps_of_one_are_exact_over_every_batch(itl: float, ttft: float, rate: float) -> None:
    """With `step: 1` nothing is left out, so powers of two can only cost as much or more."""
    given = {"itl_ms": itl, "ttft_ms": ttft, "rate": rate, "largest": 24}
    alone = [cost(fleet(**given, batch=batch)) for batch in range(1, 25)]
    every = cost(fleet(**given, batch={"min": 1, "max": 24, "step": 1}))
    assert every == pytest.approx(min(alone))
    assert cost(fleet(**given)) >= every - 1e-9


@given(itl=st.floats(14.0, 40.0), rate=st.floats(1.0, 40.0))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_services_that_split_keep_the_batch_of_the_largest_rate(itl: float, rate: float) -> None:
    """Where replicas are whole and load is divided, the rate of a replica decides."""
    table = fo.build_candidates(fleet(itl_ms=itl, rate=rate, largest=32, allocation="split"))
    for row in range(2):
        alone = [
            fo.build_candidates(fleet(itl_ms=itl, rate=rate, largest=32, batch=batch))
            for batch in batch_ladder(1, 32)
        ]
        best = max(float(one.rate_per_replica_rps[row]) for one in alone)
        assert table.rate_per_replica_rps[row] == pytest.approx(best)


def test_of_batches_that_need_as_many_replicas_the_largest_is_kept() -> None:
    """A load that one replica carries with any batch leaves the entry's own."""
    table = fo.build_candidates(fleet(itl_ms=60.0, rate=0.1))
    assert table.max_batch.tolist() == [64, 64]


def test_a_range_bounds_the_search() -> None:
    """Nothing above its maximum, nothing below its minimum."""
    table = fo.build_candidates(fleet(itl_ms=15.0, rate=20.0, batch={"min": 12, "max": 40}))
    assert all(12 <= batch <= 40 for batch in table.max_batch.tolist())


def test_compatibility_models_keep_their_own_batches() -> None:
    """inferno's sizing is reproduced with the batches that inferno takes."""
    table = fo.build_candidates(fleet(itl_ms=15.0, rate=20.0), "inferno-3p")
    assert set(table.max_batch.tolist()) == {64}


def test_ladders_hold_both_ends() -> None:
    """Powers of two between, or every so-many-th; empty where the ends cross."""
    assert batch_ladder(3, 50) == (3, 4, 8, 16, 32, 50)
    assert batch_ladder(3, 12, 4) == (3, 7, 11, 12)
    assert batch_ladder(5, 4) == ()
    assert batch_ladder(7, 7) == (7,)
