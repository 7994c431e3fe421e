"""M/D/c: known values, both ways to the mean, and the distribution against it and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import (
    ServiceProcessError,
    UnstableError,
    mdc_wait,
    mdc_wait_quantile,
    mdc_wait_tail,
    mmc_queue,
    pollaczek_khinchine_wait,
)
from queue_models.mdc import _by_roots, _by_series


@pytest.mark.parametrize("load", [1e-6, 0.01, 0.3, 0.6, 0.9, 0.999, 0.999999])
def test_one_server_is_pollaczek_khinchine(load: float) -> None:
    """M/D/1 waits as the P-K formula says, at any load."""
    wanted = pollaczek_khinchine_wait(load / 3.0, 3.0, 0.0)
    assert mdc_wait(load / 3.0, 3.0, 1) == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize("servers", [1, 2, 7, 64, 512])
@pytest.mark.parametrize("load", [0.5, 0.7, 0.9, 0.95])
def test_series_and_roots_agree(servers: int, load: float) -> None:
    """Spitzer's series and the roots give one number, as far as the roots' digits reach."""
    decay = servers * (load - 1.0 - np.log(load))
    series = _by_series(load, servers, int(40.0 / decay) + 1)
    roots = _by_roots(load, 1.0 - load, servers)
    assert roots == pytest.approx(series, rel=1e-9, abs=1e-13 * servers**2)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (3, 0.5), (8, 0.9), (40, 0.985)])
def test_the_tail_integrates_to_the_mean(servers: int, load: float) -> None:
    """The integral of P(W > t), its corners at multiples of D kept, is the exact mean."""
    end = mdc_wait_quantile(load * servers, 1.0, servers, 1.0 - 1e-11)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    starts = np.arange(np.ceil(end))
    points = (starts[:, None] + (nodes + 1.0) / 2.0).ravel()
    tails = mdc_wait_tail(points, load * servers, 1.0, servers).reshape(starts.size, -1)
    mean = np.sum(tails @ weights) / 2.0
    # The density jumps where t is a multiple of D alone, so that each piece is smooth.
    assert mean == pytest.approx(float(mdc_wait(load * servers, 1.0, servers)), rel=1e-8)


def test_the_tail_of_one_server_is_erlangs() -> None:
    """P(W <= t) of M/D/1 equals Erlang's alternating sum where that keeps its digits."""
    rate = 0.6
    for wait in (0.0, 0.3, 1.0, 2.5, 4.2):
        total = 0.0
        for k in range(int(wait) + 1):
            term = (-rate * (wait - k)) ** k * np.exp(rate * (wait - k))
            total += term / float(np.prod(np.arange(1.0, k + 1.0)))
        assert mdc_wait_tail(wait, rate, 1.0, 1) == pytest.approx(
            1.0 - (1.0 - rate) * total, abs=1e-11
        )


@pytest.mark.parametrize("servers", [1, 2, 16, 200])
@pytest.mark.parametrize("load", [0.05, 0.6, 0.97, 0.99, 0.999, 0.999999])
def test_quantiles_invert_the_tail(servers: int, load: float) -> None:
    """P(W > quantile) is what was asked, or nobody of that share waits."""
    for share in (0.5, 0.95, 0.999):
        quantile = float(mdc_wait_quantile(load * servers / 2.0, 2.0, servers, share))
        tail = float(mdc_wait_tail(quantile, load * servers / 2.0, 2.0, servers))
        if quantile > 0:
            assert tail == pytest.approx(1.0 - share, rel=1e-6)
        else:
            assert tail <= 1.0 - share


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    servers=st.integers(1, 4096),
    load=st.floats(0.01, 0.999999),
    share=st.floats(0.9, 0.99),
)
def test_mean_is_between_half_and_all_of_exponential_and_grows(
    servers: int, load: float, share: float
) -> None:
    """Constant service waits less than exponential, more than none, and more at higher load."""
    wait = mdc_wait(np.array([share, 1.0]) * load * servers, 1.0, servers)
    exponential = mmc_queue(load * servers, 1.0, servers).wait
    assert np.all(np.isfinite(wait))
    assert 0.0 <= wait[0] <= wait[1] * (1.0 + 1e-9)
    # The ratio to M/M/c lies between 1/2 and 1; below 1e-290 both have lost digits.
    if exponential > 1e-290:
        assert 0.5 * (1.0 - 1e-7) <= wait[1] / exponential <= 1.0 + 1e-7


def test_four_thousand_servers() -> None:
    """The 99th percentile at c = 4096 and load 0.999999 is near that of the exponential tail."""
    wait = float(mdc_wait(0.999999 * 4096, 1.0, 4096))
    quantile = float(mdc_wait_quantile(0.999999 * 4096, 1.0, 4096, 0.99))
    assert quantile == pytest.approx(wait * np.log(100.0), rel=1e-3)


def test_no_arrivals_do_not_wait() -> None:
    """At rate 0 the mean, the tail and the quantile are 0."""
    assert mdc_wait(0.0, 1.0, 3) == 0.0
    assert mdc_wait_quantile(0.0, 1.0, 3, 0.9) == 0.0
    assert mdc_wait_tail([0.0, 1.0], 0.0, 1.0, 3).tolist() == [0.0, 0.0]


def test_bad_arguments_are_named() -> None:
    """Saturation and values out of range raise with name and value."""
    with pytest.raises(UnstableError, match=r"arrival_rate = 3\.0"):
        mdc_wait(3.0, 1.0, 3)
    with pytest.raises(ServiceProcessError, match=r"service_time = -1\.0"):
        mdc_wait(1.0, -1.0, 3)
    with pytest.raises(ServiceProcessError, match=r"servers = 1\.5"):
        mdc_wait(1.0, 1.0, 1.5)
    with pytest.raises(ServiceProcessError, match=r"probability = 1\.0"):
        mdc_wait_quantile(1.0, 1.0, 3, 1.0)
