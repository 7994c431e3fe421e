"""Exact queues against the reference table of two other tools."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from queue_models import (
    BatchServiceQueue,
    BirthDeathChain,
    SteadyState,
    ggc_wait,
    ggc_wait_quantile,
    inoue_bound,
    limited_sharing_queue,
    mdc_wait,
    mmc_queue,
    mmc_wait_quantile,
    mmck_queue,
    pollaczek_khinchine_wait,
    take_all_queue,
)

TABLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "queueing_reference.csv"
KINDS = ("M/M/1", "M/M/1/K", "M/M/c", "M/M/c/K", "birth-death mu(n)=n/(a+b*n) capped at B")


def _rows() -> list[dict[str, str]]:
    if not TABLE.exists():
        return []
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


EVERY = _rows()
ROWS = [row for row in EVERY if row["model"] in KINDS]
GENERAL = [row for row in EVERY if row["model"] in ("M/G/1", "M/H2/1", "M/D/c")]
BATCHES = [row for row in EVERY if "^[b]/1" in row["model"]]
SIMULATED = [row for row in EVERY if row["kind"] == "simulation"]
needs_table = pytest.mark.skipif(not ROWS, reason=f"no reference table at {TABLE}")


def _rates(row: dict[str, str]) -> tuple[np.ndarray, float]:
    """Service rates and arrival rate, with the digits that printing n/(a + b n) cut off.

    p(K) goes with the rates to the power K: twelve digits of them are too few for nine of it.
    """
    rate, servers = float(row["lambda"]), int(float(row["c"]))
    n = np.arange(1.0, servers + 1.0)
    if not row["mu_n"]:
        return float(row["mu"]) * n, rate
    printed = np.array([float(part) for part in row["mu_n"].split(";")])
    slope, base = np.polyfit(n, n / printed, 1)
    rates = n / (round(base, 8) + round(slope, 8) * n)
    assert rates == pytest.approx(printed, rel=1e-11)
    exact = round(rate / rates[-1], 8) * rates[-1]
    assert exact == pytest.approx(rate, rel=1e-11)
    return rates, exact


def _solved(row: dict[str, str]) -> SteadyState:
    rates, rate = _rates(row)
    chain = BirthDeathChain.from_rates(rates, float(row["capacity_K"]) - len(rates))
    return chain.steady_state(np.array([rate]))


@needs_table
@pytest.mark.parametrize("row", ROWS, ids=[row["case_id"] for row in ROWS])
def test_engine_equals_the_table(row: dict[str, str]) -> None:
    """Means, blocking and wait percentiles agree to 1e-9 relative."""
    steady = _solved(row)
    came = {
        "Lq": steady.queue_length,
        "Wq": steady.mean_wait,
        "W": steady.mean_wait + steady.time_in_service,
        "L": steady.queue_length + steady.in_service,
        "throughput": steady.throughput,
        "blocking_prob": steady.blocking_probability,
        "mean_in_service": steady.in_service,
    }
    # A quantile of 0 in the table is one that most do not wait for.
    for column, share in (("p95_wait", 0.95), ("p99_wait", 0.99)):
        if row[column]:
            came[column] = steady.wait_quantile(share)
    # The tools take Lq as a difference of L, so that its last digits are those of L.
    rounding = 1e-15 * float(row["L"])
    for column, value in came.items():
        if row[column]:
            least = rounding if column in ("Lq", "Wq") else 1e-60
            assert value == pytest.approx(float(row[column]), rel=1e-9, abs=least), column


def test_a_tiny_queue_keeps_its_digits() -> None:
    """Lq = 1.76e-9 beside L = 65.8 (case O069) has ten digits: it equals that of fractions."""
    slots, places = 128, 128
    rate = Fraction(6, 10) * slots / (3 + Fraction(slots, 100))
    weights = [Fraction(1)]
    for n in range(1, slots + places + 1):
        busy = min(n, slots)
        weights.append(weights[-1] * rate * (3 + Fraction(busy, 100)) / busy)
    waiting = sum((n - slots) * weights[n] for n in range(slots, slots + places + 1))
    n = np.arange(1.0, slots + 1.0)
    chain = BirthDeathChain.from_rates(n / (3.0 + 0.01 * n), places)
    steady = chain.steady_state(np.array([float(rate)]))
    assert steady.queue_length == pytest.approx(float(waiting / sum(weights)), rel=1e-10)


@needs_table
def test_closed_forms_equal_the_table() -> None:
    """Erlang C's means and quantiles, and M/M/c/K's means, agree to 1e-9 relative."""
    seen = set()
    for row in ROWS:
        if row["mu_n"]:
            continue
        rate, speed, servers = float(row["lambda"]), float(row["mu"]), int(float(row["c"]))
        if row["capacity_K"] == "inf":
            queue = mmc_queue(rate, speed, servers)
            p99 = mmc_wait_quantile(rate, speed, servers, 0.99)
            assert p99 == pytest.approx(float(row["p99_wait"]), rel=1e-9)
        else:
            limited = mmck_queue(rate, speed, servers, float(row["capacity_K"]))
            blocked = float(row["blocking_prob"])
            assert limited.blocking_probability == pytest.approx(blocked, rel=1e-9)
            queue = limited
        assert queue.wait == pytest.approx(float(row["Wq"]), rel=1e-9)
        assert queue.queue_length == pytest.approx(float(row["Lq"]), rel=1e-9)
        seen.add(row["model"])
    assert seen == {"M/M/1", "M/M/1/K", "M/M/c", "M/M/c/K"}


@needs_table
@pytest.mark.parametrize("row", GENERAL, ids=[row["case_id"] for row in GENERAL])
def test_general_service_equals_the_table(row: dict[str, str]) -> None:
    """Pollaczek-Khinchine and Crommelin agree to 1e-9, by their own names and as G/G/c."""
    rate, time, scv = (float(row[c]) for c in ("lambda", "service_mean", "service_scv"))
    servers, wanted = float(row["c"]), pytest.approx(float(row["Wq"]), rel=1e-9)
    assert ggc_wait(rate, time, servers, scv) == wanted
    if row["model"] == "M/D/c":
        assert mdc_wait(rate, time, servers) == wanted
    else:
        assert pollaczek_khinchine_wait(rate, time, scv) == wanted


def _batches(row: dict[str, str]) -> BatchServiceQueue:
    rate, slope, base = (float(row[c]) for c in ("lambda", "batch_alpha", "batch_tau0"))
    if row["batch_max"] == "inf":
        return take_all_queue(rate, slope, base)
    batch = np.arange(1.0, float(row["batch_max"]) + 1.0)
    return BatchServiceQueue(
        rate,
        base + slope * batch,
        batch_time_scv=float(row["service_scv"]),
        places=float(row["capacity_K"]),
    )


@needs_table
@pytest.mark.parametrize("row", BATCHES, ids=[row["case_id"] for row in BATCHES])
def test_batch_service_equals_the_table(row: dict[str, str]) -> None:
    """Means and blocking of servers in batches agree to 1e-9 relative, blocking of 2e-28 too."""
    queue = _batches(row)
    came = {
        "Lq": queue.queue_length,
        "Wq": queue.wait,
        "W": queue.wait + queue.time_in_service,
        "L": queue.queue_length + queue.in_service,
        "utilisation": queue.utilization,
        "throughput": queue.throughput,
        "blocking_prob": queue.blocking_probability,
        "mean_in_service": queue.in_service,
    }
    for column, value in came.items():
        assert value == pytest.approx(float(row[column]), rel=1e-9, abs=0.0), column


@needs_table
def test_inoue_bounds_the_take_all_rows() -> None:
    """The closed form is at least the exact stay, and above it by at most 0.15 %."""
    rows = [row for row in BATCHES if row["batch_max"] == "inf"]
    assert rows
    for row in rows:
        bound = inoue_bound(*(float(row[c]) for c in ("lambda", "batch_alpha", "batch_tau0")))
        assert 1.0 - 1e-9 <= bound / float(row["W"]) <= 1.0015


@needs_table
@pytest.mark.parametrize("row", SIMULATED, ids=[row["case_id"] for row in SIMULATED])
def test_approximations_lie_within_twice_the_half_width(row: dict[str, str]) -> None:
    """Means and percentiles of M/G/c and of limited sharing agree with simulation."""
    rate, time, scv = (float(row[c]) for c in ("lambda", "service_mean", "service_scv"))
    servers = float(row["c"])
    if row["model"] == "M/G/c":
        wait = float(ggc_wait(rate, time, servers, scv))
        percentiles = [float(ggc_wait_quantile(rate, time, servers, q, scv)) for q in (0.95, 0.99)]
        stay = wait + time
    else:
        sharing = np.minimum(np.arange(1.0, servers + 1.0), float(row["ps_threshold"]))
        steady = limited_sharing_queue(rate, float(row["mu"]) * sharing, service_scv=scv)
        wait = steady.mean_wait.item()
        percentiles = [steady.wait_quantile(q).item() for q in (0.95, 0.99)]
        stay = wait + steady.time_in_service.item()
    came = {"Wq": wait, "W": stay, "p95_wait": percentiles[0], "p99_wait": percentiles[1]}
    for column, value in came.items():
        within = 2.0 * float(row[f"{column}_hw"])
        assert value == pytest.approx(float(row[column]), abs=within), column


@needs_table
def test_no_row_is_left_out() -> None:
    """Every row of the table is in one of the tests above."""
    tested = [*ROWS, *GENERAL, *BATCHES, *SIMULATED]
    assert sorted(row["case_id"] for row in tested) == sorted(row["case_id"] for row in EVERY)
