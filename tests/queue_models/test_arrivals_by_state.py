"""Arrival rates that depend on the number present."""

from __future__ import annotations

import numpy as np
import pytest

from queue_models import BirthDeathChain, ServiceProcessError, StateDependentArrivals


def test_one_rate_is_the_birth_death_chain() -> None:
    """With λ(n) constant it is the chain with a limited queue, percentiles included."""
    rates = np.array([1.0, 1.5, 1.8])
    queue = StateDependentArrivals(np.full(9, 1.6), rates)
    steady = BirthDeathChain.from_rates(rates, 6).steady_state(np.array([1.6]))
    assert queue.throughput == pytest.approx(steady.throughput.item(), rel=1e-12)
    assert queue.wait == pytest.approx(steady.mean_wait.item(), rel=1e-12)
    assert queue.in_service == pytest.approx(steady.in_service.item(), rel=1e-12)
    assert queue.wait_quantile(0.95) == pytest.approx(steady.wait_quantile(0.95).item(), rel=1e-9)


def test_a_closed_population_is_engsets() -> None:
    """λ(n) = (N - n)λ with a server each gives the binomial distribution."""
    sources, rate = 7, 0.3
    n = np.arange(sources)
    queue = StateDependentArrivals((sources - n) * rate, n + 1.0)
    share = rate / (1.0 + rate)
    binomial = [1.0]
    for k in range(sources):
        binomial.append(binomial[-1] * (sources - k) / (k + 1) * share / (1 - share))
    wanted = np.array(binomial) / np.sum(binomial)
    assert queue.probability == pytest.approx(wanted, rel=1e-12)
    assert queue.wait == 0.0
    assert queue.wait_tail(0.0) == 0.0


def test_rates_after_a_zero_do_not_matter() -> None:
    """Nothing passes a state without arrivals; nothing divides by it."""
    cut = StateDependentArrivals([1.0, 0.5, 0.0, 3.0], [1.0, 2.0])
    short = StateDependentArrivals([1.0, 0.5], [1.0, 2.0])
    assert cut.probability[:3] == pytest.approx(short.probability)
    assert cut.probability[3:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("arrivals", "rates", "message"),
    [
        ([1.0], [1.0, 2.0], "shapes"),
        ([0.0, 1.0], [1.0], "the first above 0"),
        ([1.0, -1.0], [1.0], "at least 0"),
        ([1.0, 1.0], [0.0], "greater than 0"),
    ],
)
def test_bad_arguments_are_named(arrivals: list[float], rates: list[float], message: str) -> None:
    """Shapes and values out of range raise."""
    with pytest.raises(ServiceProcessError, match=message):
        StateDependentArrivals(arrivals, rates)
