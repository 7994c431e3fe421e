"""The engine where queueing theory has the exact answer, and where a table of an independent
simulator does."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from optimizer.engine import (
    Arrivals,
    ConstantRate,
    DrawnWorkload,
    EngineConfig,
    KvAccounting,
    Router,
    RouterPolicy,
    simulate_replicas,
)
from queue_models import IterationTiming, Lengths, Metric, Statistic

WAIT = Statistic(Metric.WAIT)
REFERENCE = Path(__file__).resolve().parents[3].parent / "shared/data/iteration_level_reference.csv"


def _wait(service: Lengths, token_ms: float, places: int, load: float, mean_ms: float, **more):
    run = simulate_replicas(
        EngineConfig(
            kv_accounting=KvAccounting.RESERVED,
            max_num_seqs=places,
            max_num_batched_tokens=1 << 20,
            max_model_len=1 << 24,
        ),
        IterationTiming(token_ms, 0.0, 0.0),
        DrawnWorkload(
            Arrivals(ConstantRate(1e3 * load * places / mean_ms)),
            Lengths.fixed(1),
            service,
            longest=1 << 20,
        ),
        (WAIT, Statistic(Metric.WAIT, 90.0)),
        precision=0.01,
        most_requests=400_000,
        seed=5,
        **more,
    )
    return run.statistics[WAIT], run


def test_one_place_and_fixed_service_is_m_d_1() -> None:
    """W = rho D / (2 (1 - rho)): every request is one iteration of 10 ms."""
    for load in (0.5, 0.8):
        estimate, run = _wait(Lengths.fixed(1), 10.0, 1, load, 10.0)
        assert estimate.value == pytest.approx(load * 10.0 / (2.0 * (1.0 - load)), rel=0.04)
        assert abs(estimate.value - load * 5.0 / (1.0 - load)) <= 2.0 * estimate.half_width
        assert run.usage.busy == pytest.approx(load, rel=0.01)


def test_one_place_and_exponential_service_is_m_m_1() -> None:
    """W = rho S / (1 - rho), W_q exceeds t with rho exp(-(1 - rho) t / S): a service of a
    geometric number of tiny iterations is exponential."""
    load, mean = 0.7, 100.0
    estimate, run = _wait(Lengths.geometric(2000.0), mean / 2000.0, 1, load, mean)
    assert abs(estimate.value - load * mean / (1.0 - load)) <= 2.0 * estimate.half_width
    p90 = run.statistics[Statistic(Metric.WAIT, 90.0)].value
    assert p90 == pytest.approx(math.log(load / 0.1) * mean / (1.0 - load), rel=0.05)


def test_several_places_and_exponential_service_is_m_m_c() -> None:
    """W = C(c, a) S / (c - a), by Erlang's formula; an arrival waits for the iteration in flight
    too, half of which is subtracted."""
    places, load, mean = 8, 0.85, 200.0
    blocked, offered = 1.0, places * load
    for servers in range(1, places + 1):
        blocked = offered * blocked / (servers + offered * blocked)
    delayed = blocked / (1.0 - load * (1.0 - blocked))
    estimate, _ = _wait(Lengths.geometric(2000.0), mean / 2000.0, places, load, mean)
    exact = delayed * mean / (places - offered)
    assert abs(estimate.value - mean / 4000.0 - exact) <= 2.0 * estimate.half_width


def test_round_robin_smooths_arrivals() -> None:
    """Two replicas in turn see Erlang-2 arrivals: the wait is less than with random routing."""
    waits = [
        _wait(Lengths.fixed(1), 10.0, 1, 0.8, 10.0, replicas=2, router=Router(policy))[0].value
        for policy in (RouterPolicy.RANDOM, RouterPolicy.ROUND_ROBIN)
    ]
    assert waits[1] < 0.75 * waits[0]


def _rows() -> list[dict[str, str]]:
    if not REFERENCE.exists():
        return []
    with REFERENCE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        row for row in rows if row["arrival"] in ("poisson", "gamma") and float(row["load"]) <= 0.8
    ]


def _lengths(row: dict[str, str], which: str) -> Lengths:
    mean, cv = float(row[f"{which}_mean"]), float(row[f"{which}_cv"])
    family = row[f"{which}_dist"]
    if family == "fixed":
        return Lengths.fixed(mean)
    return Lengths.geometric(mean) if family == "geometric" else Lengths.lognormal(mean, cv**2)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the shared reference table is not here")
@pytest.mark.parametrize(
    "part", [slice(0, None, 6), pytest.param(slice(3, None, 6), marks=pytest.mark.slow)]
)
def test_means_are_those_of_an_independent_simulator(part: slice) -> None:
    """Mean TTFT, ITL and E2E of the reference table are met: in the median within 0.5 %, and
    none is further off than both errors and 1 % explain."""
    errors = []
    for row in _rows()[part]:
        replicas = int(row["replicas"])
        routing = {"random": 0, "round_robin": 1, "jsq": 2}[row["routing"]]
        run = simulate_replicas(
            EngineConfig(
                kv_accounting=KvAccounting.RESERVED,
                kv_capacity_tokens=float(row["kv_cap"]),
                max_num_seqs=int(row["max_batch"]),
                max_num_batched_tokens=min(int(float(row["chunk"])), 1 << 30),
                max_model_len=1 << 20,
            ),
            IterationTiming(
                *(float(row[n]) for n in ("alpha", "beta_decode", "beta_prefill", "gamma_kv"))
            ),
            DrawnWorkload(
                Arrivals(ConstantRate(float(row["rate_rps_total"])), float(row["arr_scv"])),
                _lengths(row, "in"),
                _lengths(row, "out"),
                longest=16384,
            ),
            [Statistic(m) for m in (Metric.TTFT, Metric.ITL, Metric.E2E)],
            replicas=replicas,
            router=Router(routing),
            precision=0.004,
            least_requests=40_000,
            most_requests=160_000,
            seed=11,
        )
        for metric, name in ((Metric.TTFT, "ttft"), (Metric.ITL, "itl"), (Metric.E2E, "e2e")):
            estimate, exact = run.statistics[Statistic(metric)], float(row[f"{name}_mean"])
            width = float(row[f"{name}_mean_hw"]) + estimate.half_width
            errors.append(abs(estimate.value / exact - 1.0))
            assert abs(estimate.value - exact) <= 2.0 * width + 0.01 * exact, (row["case_id"], name)
    assert np.median(errors) < 0.005
