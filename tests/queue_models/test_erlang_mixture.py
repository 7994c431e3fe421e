"""The wait of arrivals that must wait: closed forms against the sum of Erlang tails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaincc

from queue_models.erlang_mixture import mixture_quantile, mixture_tail


def _sum(x: float, log_load: float, places: int) -> float:
    stage = np.arange(places)
    weight = np.exp(stage * log_load - max(log_load * (places - 1), 0.0))
    return float(np.sum(weight * gammaincc(stage + 1.0, x)) / weight.sum())


@pytest.mark.parametrize("places", [1, 2, 3, 30, 5000])
@pytest.mark.parametrize(
    "log_load", [-3.0, -0.1, -1e-3, -1e-5, -1e-7, -1e-12, 0.0, 1e-12, 1e-7, 1e-5, 1e-3, 0.1, 2.0]
)
@pytest.mark.parametrize("stage", [0.0, 0.2, 0.9, 1.0, 1.2, 2.0])
def test_tail_is_the_sum_of_erlang_tails(places: int, log_load: float, stage: float) -> None:
    """Two gamma functions, their expansion near r = 1 or the continued fraction give the sum."""
    x = stage * places
    came = mixture_tail(np.array([x]), np.array([log_load]), np.array([float(places)]))
    assert came[0] == pytest.approx(_sum(x, log_load, places), rel=1e-8, abs=1e-11)


def test_without_limit_the_tail_is_exponential() -> None:
    """m = inf collapses to e^(-(1-r)x)."""
    tail = mixture_tail(np.array([3.0]), np.array([np.log(0.75)]), np.array([np.inf]))
    assert tail[0] == pytest.approx(np.exp(-0.75), rel=1e-14)


def test_many_places_are_as_good_as_no_limit() -> None:
    """For r < 1 the limit m -> inf is reached."""
    x, log_load = np.array([40.0]), np.array([np.log(0.9)])
    finite = mixture_tail(x, log_load, np.array([1e6]))
    assert finite == pytest.approx(mixture_tail(x, log_load, np.array([np.inf])), rel=1e-12)


def test_nobody_waits_without_places() -> None:
    """m = 0 has tail 0 and quantile 0."""
    none = np.zeros(1)
    assert mixture_tail(np.array([1.0]), np.array([-0.1]), none) == 0.0
    assert mixture_quantile(np.array([0.05]), np.array([-0.1]), none) == 0.0


@pytest.mark.parametrize("log_load", [-1.0, -1e-3, -1e-9, 0.0, 1e-4, 0.3])
@pytest.mark.parametrize("places", [1.0, 17.0, 1e6])
def test_quantile_inverts_the_tail(log_load: float, places: float) -> None:
    """The tail at the quantile is the share asked for."""
    share = np.array([0.9, 0.5, 0.01, 1e-6])
    log_loads, room = np.full(4, log_load), np.full(4, places)
    x = mixture_quantile(share, log_loads, room)
    assert np.all(np.diff(x) > 0)
    assert mixture_tail(x, log_loads, room) == pytest.approx(share, rel=1e-6)
