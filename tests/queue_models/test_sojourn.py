"""Sojourn times followed step by step, against closed forms and Little's law."""

from __future__ import annotations

import numpy as np
import pytest

from queue_models import BirthDeathChain, ServiceProcessError, SojournTime, UnstableError, erlang_c


@pytest.mark.parametrize(("servers", "rate"), [(1, 0.8), (3, 2.7), (10, 6.0)])
def test_equals_the_closed_form_of_mmc(servers: int, rate: float) -> None:
    """In M/M/c the stay is the wait plus an independent exponential time."""
    time = SojournTime(rate, np.arange(1.0, servers + 1.0))
    waits = float(erlang_c(servers, rate))
    spare = servers - rate
    for t in (0.0, 0.4, 2.0, 11.0):
        if servers == 1:
            wanted = np.exp(-spare * t)
        else:
            both = (spare * np.exp(-t) - np.exp(-spare * t)) / (spare - 1.0)
            wanted = (1.0 - waits) * np.exp(-t) + waits * both
        assert time.tail(t) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("rates", "rate", "places"),
    [
        (np.arange(1, 33) / (1.5 + 0.02 * np.arange(1, 33)), 12.0, np.inf),
        (np.array([1.0, 1.5, 1.8, 2.0]), 2.5, 10),
        (np.array([1.0, 0.7, 0.6]), 0.5, 0),
        (np.full(6, 1.0), 0.7, np.inf),
    ],
)
def test_mean_is_littles(rates: np.ndarray, rate: float, places: float) -> None:
    """The mean of the distribution is L/X of the chain, shared rates of any shape included."""
    time = SojournTime(rate, rates, places)
    steady = BirthDeathChain.from_rates(rates, places).steady_state(np.array([rate]))
    assert time.mean() == pytest.approx(
        (steady.mean_wait + steady.time_in_service).item(), rel=1e-9
    )


def test_quantiles_invert_the_tail() -> None:
    """P(T > quantile) is the share asked for."""
    time = SojournTime(2.0, [1.0, 1.8, 2.4])
    for share in (0.1, 0.5, 0.99):
        assert time.tail(time.quantile(share)) == pytest.approx(1.0 - share, rel=1e-9)


def test_processor_sharing_has_a_heavier_tail_than_fcfs() -> None:
    """With the same total rate, sharing keeps the mean and raises the 99th percentile."""
    shared, alone = SojournTime(0.7, np.ones(60)), SojournTime(0.7, [1.0])
    assert shared.mean() == pytest.approx(alone.mean(), rel=1e-6)
    assert shared.quantile(0.99) > 1.1 * alone.quantile(0.99)


def test_bad_arguments_are_named() -> None:
    """Saturation, endless queues in use and shapes raise."""
    with pytest.raises(UnstableError, match=r"arrival_rate = 3\.0"):
        SojournTime(3.0, [1.0, 2.0])
    with pytest.raises(ServiceProcessError, match="at most"):
        SojournTime(1.9999, [1.0, 2.0])
    with pytest.raises(ServiceProcessError, match=r"arrival_rate = 0\.0"):
        SojournTime(0.0, [1.0])
    with pytest.raises(ServiceProcessError, match="one row"):
        SojournTime(0.5, [[1.0]])
