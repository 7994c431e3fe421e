"""Two-moment waits: where they are exact, their order, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import (
    ServiceProcessError,
    UnstableError,
    WaitApproximation,
    cosmetatos_factor,
    ggc_wait,
    ggc_wait_quantile,
    mdc_wait,
    mdc_wait_quantile,
    mmc_queue,
    mmc_wait_quantile,
    pollaczek_khinchine_wait,
)


@pytest.mark.parametrize("approximation", list(WaitApproximation))
def test_exact_where_the_queue_is_known(approximation: WaitApproximation) -> None:
    """Every approximation is M/M/c for exponential times, and P-K for one server."""
    rate = np.array([0.5, 3.0, 7.9])
    several = ggc_wait(rate, 1.0, 8, 1.0, approximation=approximation)
    assert several == pytest.approx(mmc_queue(rate, 1.0, 8).wait, rel=1e-12)
    for scv in (0.0, 0.4, 3.0):
        one = ggc_wait(rate / 8.0, 1.0, 1, scv, approximation=approximation)
        assert one == pytest.approx(pollaczek_khinchine_wait(rate / 8.0, 1.0, scv), rel=1e-9)


@pytest.mark.parametrize("approximation", ["linear", "kimura"])
def test_constant_times_are_crommelins(approximation: str) -> None:
    """With the exact end, interpolations are exact M/D/c; so are quantiles."""
    rate = np.array([3.0, 14.0])
    wait = ggc_wait(rate, 1.0, 16, 0.0, approximation=approximation)
    assert wait == pytest.approx(mdc_wait(rate, 1.0, 16), rel=1e-12)
    quantile = ggc_wait_quantile(rate, 1.0, 16, 0.99, 0.0, approximation=approximation)
    assert np.array_equal(quantile, mdc_wait_quantile(rate, 1.0, 16, 0.99))


def test_exponential_quantile_is_exact() -> None:
    """With exponential times the quantile is that of M/M/c."""
    wanted = mmc_wait_quantile(7.0, 1.0, 8, [0.5, 0.99])
    assert ggc_wait_quantile(7.0, 1.0, 8, [0.5, 0.99]) == pytest.approx(wanted, rel=1e-12)


def test_cosmetatos_error_is_as_documented() -> None:
    """Where a tenth of the arrivals wait Cosmetatos is within 2.7 % of exact M/D/c."""
    worst = 0.0
    for servers in (2, 8, 32, 128, 512):
        for load in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.999):
            exponential = mmc_queue(load * servers, 1.0, servers)
            if exponential.wait_probability >= 0.1:
                exact = mdc_wait(load * servers, 1.0, servers) / exponential.wait
                worst = max(worst, abs(float(cosmetatos_factor(load, servers) / exact) - 1.0))
    assert 0.005 < worst < 0.027


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    servers=st.integers(1, 4096),
    load=st.floats(0.0, 0.999999),
    scv=st.floats(0.0, 30.0),
    burst=st.floats(0.0, 30.0),
    approximation=st.sampled_from(list(WaitApproximation)),
)
def test_waits_grow_with_load_and_variability(
    servers: int, load: float, scv: float, burst: float, approximation: WaitApproximation
) -> None:
    """Finite for any valid input; not less with more load, more bursts or fewer servers."""

    def wait(load: float, scv: float, burst: float, servers: int = servers) -> float:
        arrivals = load * servers
        return float(ggc_wait(arrivals, 1.0, servers, scv, burst, approximation))

    here = wait(load, scv, burst)
    assert np.isfinite(here)
    assert here >= 0.0
    assert wait(0.97 * load, scv, burst) <= here * (1.0 + 1e-9)
    assert wait(load, scv, burst + 1.0) >= here
    fixed = ggc_wait(load * servers, 1.0, [servers, servers + 1], scv, burst, approximation)
    assert fixed[1] <= fixed[0] * (1.0 + 1e-9)


def test_bad_arguments_are_named() -> None:
    """Unknown approximations list the known ones; saturation and SCVs are named."""
    with pytest.raises(ServiceProcessError, match=r"'kimuro'.*'kimura'"):
        ggc_wait(1.0, 1.0, 2, approximation="kimuro")
    with pytest.raises(ServiceProcessError, match=r"service_scv = -1\.0"):
        ggc_wait(1.0, 1.0, 2, -1.0)
    with pytest.raises(UnstableError):
        ggc_wait(2.0, 1.0, 2)
    with pytest.raises(UnstableError):
        pollaczek_khinchine_wait(1.0, 1.0, 0.0)
