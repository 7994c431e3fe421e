"""Priorities: conservation, known special cases, transforms against closed forms, simulation."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import (
    ServiceProcessError,
    erlang_c,
    mg1_priority_waits,
    mmc_priority_wait_quantile,
    mmc_priority_wait_tail,
    mmc_priority_waits,
    mmc_queue,
    pollaczek_khinchine_wait,
    shared_priority_waits,
)

RATES = np.array([0.5, 1.0, 1.2])


def test_one_class_is_the_plain_queue() -> None:
    """A single class waits as in M/M/c, and as in M/G/1."""
    assert mmc_priority_waits([2.7], 1.0, 3) == pytest.approx(mmc_queue(2.7, 1.0, 3).wait)
    wanted = pollaczek_khinchine_wait(0.7, 1.0, 2.5)
    assert mg1_priority_waits([0.7], 1.0, 2.5) == pytest.approx(wanted)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    shares=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6),
    servers=st.integers(1, 200),
    load=st.floats(0.01, 0.999),
)
def test_priorities_conserve_the_mean(shares: list[float], servers: int, load: float) -> None:
    """Kleinrock's conservation law: the mean over requests is the queue's; higher waits less."""
    rates = np.array(shares) / sum(shares) * load * servers
    waits = mmc_priority_waits(rates, 1.0, servers)
    plain = float(mmc_queue(rates.sum(), 1.0, servers).wait)
    assert rates @ waits / rates.sum() == pytest.approx(plain, rel=1e-9, abs=1e-300)
    assert np.all(np.diff(waits) >= 0)
    shared = shared_priority_waits(plain, rates / servers)
    assert shared == pytest.approx(waits, rel=1e-8, abs=1e-300)


def test_cobham_equals_kella_yechiali_for_one_server() -> None:
    """Exponential M/G/1 is M/M/1, saturated lower classes included."""
    for rates in ([0.3, 0.4], [0.3, 0.5, 0.9, 0.1]):
        cobham = mg1_priority_waits(rates, 1.0, 1.0)
        assert cobham == pytest.approx(mmc_priority_waits(rates, 1.0, 1), rel=1e-12)
    assert np.isinf(mg1_priority_waits([0.3, 0.5, 0.9, 0.1], 1.0, 1.0)).tolist() == [
        False,
        False,
        True,
        True,
    ]


def test_tails_integrate_to_the_means() -> None:
    """The integral of P(W > t) of every class is its exact mean wait."""
    points = np.linspace(0.0, 300.0, 60_001)
    for place, wait in enumerate(mmc_priority_waits(RATES, 1.0, 3)):
        tails = mmc_priority_wait_tail(points, RATES, 1.0, 3, place)
        # Simpson's rule.
        mean = (tails[0] + tails[-1] + 4 * tails[1::2].sum() + 2 * tails[2:-1:2].sum()) * 0.005 / 3
        assert mean == pytest.approx(wait, rel=1e-6)


def test_the_highest_class_waits_an_exponential_time() -> None:
    """Its tail is closed; a class above without requests changes the inverted one not at all."""
    waits = np.array([0.0, 0.3, 2.0, 9.0])
    busy = erlang_c(3, 2.7)
    closed = busy * np.exp(-(3.0 - 0.5) * waits)
    assert mmc_priority_wait_tail(waits, RATES, 1.0, 3, 0) == pytest.approx(closed, rel=1e-12)
    nearly = np.concatenate([[1e-12], RATES])
    inverted = mmc_priority_wait_tail(waits, nearly, 1.0, 3, 1)
    assert inverted == pytest.approx(closed, abs=1e-8)


def test_quantiles_invert_the_tail() -> None:
    """P(W > quantile) is the share asked for, in every class."""
    for place in range(3):
        quantile = mmc_priority_wait_quantile(RATES, 1.0, 3, place, 0.99)
        tail = mmc_priority_wait_tail(quantile, RATES, 1.0, 3, place)
        assert tail == pytest.approx(0.01, rel=1e-6)
    assert mmc_priority_wait_quantile([0.01], 1.0, 3, 0, 0.5) == 0.0


def test_agrees_with_simulation() -> None:
    """Mean waits and a 95th percentile of a seeded simulation of M/M/3 with three classes."""
    rng = np.random.default_rng(1)
    count = 200_000
    rates = RATES * 0.7
    arrivals = np.cumsum(rng.exponential(1.0 / rates.sum(), count))
    kinds = rng.choice(3, count, p=rates / rates.sum())
    services = rng.exponential(1.0, count)
    waits, free, queues, at = np.zeros(count), [0.0] * 3, [[], [], []], [0, 0, 0]
    next_ = 0
    while next_ < count or any(at[k] < len(queues[k]) for k in range(3)):
        soonest = free[0]
        waiting = [k for k in range(3) if at[k] < len(queues[k])]
        if not waiting or (next_ < count and arrivals[next_] <= soonest):
            queues[kinds[next_]].append(next_)
            next_ += 1
            continue
        request = queues[waiting[0]][at[waiting[0]]]
        at[waiting[0]] += 1
        start = max(soonest, arrivals[request])
        waits[request] = start - arrivals[request]
        heapq.heapreplace(free, start + services[request])
    late = np.arange(count) > count // 10
    # Relative to all requests, in which most of the noise is common.
    wanted = mmc_priority_waits(rates, 1.0, 3) / float(mmc_queue(rates.sum(), 1.0, 3).wait)
    for k in range(3):
        share = waits[late & (kinds == k)].mean() / waits[late].mean()
        assert share == pytest.approx(wanted[k], rel=0.04)
    p95 = mmc_priority_wait_quantile(rates, 1.0, 3, 2, 0.95)
    assert np.quantile(waits[late & (kinds == 2)], 0.95) == pytest.approx(p95, rel=0.12)


def test_bad_arguments_are_named() -> None:
    """Scalars without classes, wrong places and saturated classes raise."""
    with pytest.raises(ServiceProcessError, match="axis of classes"):
        mmc_priority_waits(1.0, 1.0, 2)
    with pytest.raises(ServiceProcessError, match="place = 3"):
        mmc_priority_wait_tail(1.0, RATES, 1.0, 3, 3)
    with pytest.raises(ServiceProcessError, match="place = 2"):
        mmc_priority_wait_quantile(2 * RATES, 1.0, 3, 2, 0.5)
    with pytest.raises(ServiceProcessError, match="sum below 1"):
        shared_priority_waits(1.0, [0.5, 0.5])
    with pytest.raises(ServiceProcessError, match="mean_wait"):
        shared_priority_waits(-1.0, [0.5])
    with pytest.raises(ServiceProcessError, match="service_scvs"):
        mg1_priority_waits([0.5], 1.0, -1.0)
