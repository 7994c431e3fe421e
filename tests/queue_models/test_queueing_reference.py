"""Exact queues against the reference table of two other tools."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from queue_models import BirthDeathChain, SteadyState, mmc_queue, mmc_wait_quantile, mmck_queue

TABLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "queueing_reference.csv"
KINDS = ("M/M/1", "M/M/1/K", "M/M/c", "M/M/c/K", "birth-death mu(n)=n/(a+b*n) capped at B")


def _rows() -> list[dict[str, str]]:
    if not TABLE.exists():
        return []
    with TABLE.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["model"] in KINDS]


ROWS = _rows()
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
