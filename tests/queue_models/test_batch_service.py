"""Servers in batches: limits that are other queues, an event simulation, and the wait's law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import (
    BatchServiceQueue,
    ServiceProcessError,
    UnstableError,
    inoue_bound,
    mdc_wait_quantile,
    mmck_queue,
    pollaczek_khinchine_wait,
    take_all_queue,
)
from queue_models.batch_chain import log_tail_pole


@pytest.mark.parametrize("scv", [0.0, 1e-9, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("load", [1e-4, 0.5, 0.97, 0.999999])
def test_batches_of_one_are_pollaczek_khinchine(load: float, scv: float) -> None:
    """With b = 1 it is M/G/1, at any load and variability."""
    queue = BatchServiceQueue(load / 2.0, [2.0], batch_time_scv=scv)
    wanted = float(pollaczek_khinchine_wait(load / 2.0, 2.0, scv))
    assert queue.wait == pytest.approx(wanted, rel=1e-8)
    assert queue.in_service == pytest.approx(load, rel=1e-9)
    assert queue.utilization == pytest.approx(load, rel=1e-9)


@pytest.mark.parametrize("scv", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("most", [3, 24, 96])
def test_at_light_loads_the_tail_ends_with_the_transform(most: int, scv: float) -> None:
    """The pole of gamma times is then next to scv mean (z - 1) = 1, and is found."""
    mean = 1e-9 * most
    assert log_tail_pole(mean, scv, most) == pytest.approx(np.log1p(1 / (scv * mean)), rel=1e-8)
    queue = BatchServiceQueue(mean, np.ones(most), batch_time_scv=scv)
    assert queue.wait == pytest.approx(mean * (1 + scv) / 2, rel=1e-4)


@pytest.mark.parametrize("scv", [0.0, 1e-3, 0.3, 4.0])
@pytest.mark.parametrize("load", [0.3, 0.99])
def test_the_tail_is_a_root_of_its_equation(load: float, scv: float) -> None:
    """z^b = E[z^A] at b = 5, written out for constant and for gamma times."""
    mean, x = load * 5, log_tail_pole(load * 5, scv, 5)
    transform = -np.log1p(-scv * mean * np.expm1(x)) / scv if scv > 0 else mean * np.expm1(x)
    assert transform == pytest.approx(5 * x, rel=1e-10)


def test_exponential_batches_of_one_with_a_limit_are_mm1k() -> None:
    """b = 1, exponential, q places: M/M/1/(q + 1)."""
    queue = BatchServiceQueue(1.3, [1.0], batch_time_scv=1.0, places=6)
    wanted = mmck_queue(1.3, 1.0, 1, 7)
    assert queue.blocking_probability == pytest.approx(float(wanted.blocking_probability), rel=1e-9)
    assert queue.wait == pytest.approx(float(wanted.wait), rel=1e-9)


def test_constant_batches_of_one_wait_as_md1() -> None:
    """The distribution of the wait for b = 1 is that of M/D/1."""
    for load in (0.4, 0.9, 0.9999):
        queue = BatchServiceQueue(load, [1.0])
        for share in (0.8, 0.99, 0.9999):
            wanted = float(mdc_wait_quantile(load, 1.0, 1, share))
            assert queue.wait_quantile(share) == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize(
    ("rate", "times", "places"),
    [
        (3.5, 1.0 + 0.1 * np.arange(1, 9), np.inf),
        (2.0, 1.0 + 0.1 * np.arange(1, 65), np.inf),
        (6.0, 1.0 + 0.1 * np.arange(1, 9), 20),
        (0.9, np.array([1.0, 1.1, 2.5]), np.inf),
    ],
)
def test_the_tail_integrates_to_the_mean(rate: float, times: np.ndarray, places: float) -> None:
    """The integral of P(W > t) over t is the mean wait of accepted requests."""
    queue = BatchServiceQueue(rate, times, places=places)
    end = queue.wait_quantile(1.0 - 1e-10)
    points = np.linspace(0.0, end, 4001)
    mean = np.trapezoid([queue.wait_tail(float(t)) for t in points], points)
    assert mean == pytest.approx(queue.wait, rel=2e-5)


def _simulated(rate: float, times: np.ndarray, count: int) -> tuple[float, float, float]:
    """Mean wait, 95th percentile and half-width of the mean, of a seeded event simulation."""
    rng = np.random.default_rng(11)
    arrivals = np.cumsum(rng.exponential(1.0 / rate, count))
    waits, free, first = np.empty(count), 0.0, 0
    while first < count:
        start = max(free, arrivals[first])
        last = int(np.searchsorted(arrivals, start, side="right"))
        last = max(min(last, first + times.size), first + 1)
        waits[first:last] = start - arrivals[first:last]
        free, first = start + times[last - first - 1], last
    kept = waits[count // 10 :]
    means = kept[: kept.size // 20 * 20].reshape(20, -1).mean(axis=1)
    return kept.mean(), np.quantile(kept, 0.95), 2.09 * means.std(ddof=1) / np.sqrt(20)


def test_agrees_with_simulation() -> None:
    """Mean and 95th percentile of the wait lie within twice the half-width of a simulation."""
    times = 1.0 + 0.1 * np.arange(1, 9)
    queue = BatchServiceQueue(3.8, times)
    mean, p95, half = _simulated(3.8, times, 60_000)
    assert queue.wait == pytest.approx(mean, abs=2.0 * half)
    assert queue.wait_quantile(0.95) == pytest.approx(p95, abs=6.0 * half)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    batch=st.integers(1, 48),
    base=st.floats(0.01, 10.0),
    slope=st.floats(0.0, 2.0),
    load=st.floats(0.001, 0.999999),
    scv=st.sampled_from([0.0, 0.2, 1.0]),
)
def test_waits_grow_with_the_rate(
    batch: int, base: float, slope: float, load: float, scv: float
) -> None:
    """Finite, Little's law holds, and waits do not fall as the rate grows."""
    times = base + slope * np.arange(1.0, batch + 1.0)
    full = batch / times[-1]
    here = BatchServiceQueue(load * full, times, batch_time_scv=scv)
    less = BatchServiceQueue(0.9 * load * full, times, batch_time_scv=scv)
    assert np.isfinite(here.wait)
    assert less.wait <= here.wait * (1.0 + 1e-7)
    assert here.queue_length == pytest.approx(load * full * here.wait, rel=1e-9)
    stay = here.mean_over_requests(times)
    assert here.time_in_service == pytest.approx(stay, rel=1e-7)


@pytest.mark.parametrize("load", [0.05, 0.5, 0.9, 0.95])
def test_inoues_bound_holds(load: float) -> None:
    """The closed form is never below the exact mean stay, and meets it when hardly ever idle."""
    queue = take_all_queue(load / 0.1, 0.1, 1.0)
    bound = float(inoue_bound(load / 0.1, 0.1, 1.0))
    stay = queue.wait + queue.time_in_service
    assert stay * (1.0 - 1e-9) <= bound
    assert bound <= stay * (1.0 + (0.25 if load < 0.2 else 0.02))
    if load > 0.85:
        assert bound == pytest.approx(stay, rel=1e-6)


def test_a_batch_that_never_fills_costs_its_own_size() -> None:
    """b = 4096 at low load is solved over the states in use."""
    queue = BatchServiceQueue(3.0, 1.0 + 0.1 * np.arange(1.0, 4097.0))
    assert queue.probability.size < 100
    assert queue.wait == pytest.approx(take_all_queue(3.0, 0.1, 1.0).wait, rel=1e-12)


def test_bad_arguments_are_named() -> None:
    """Saturation, shapes, sizes and what is not known raise with what came."""
    with pytest.raises(UnstableError, match=r"below 0\.8"):
        BatchServiceQueue(0.9, [1.0, 2.5])
    with pytest.raises(ServiceProcessError, match="one per batch size"):
        BatchServiceQueue(0.9, [])
    with pytest.raises(ServiceProcessError, match="places = 2000"):
        BatchServiceQueue(0.9, [1.0], places=2000)
    with pytest.raises(ServiceProcessError, match="arrival_rate = 0"):
        BatchServiceQueue(0.0, [1.0])
    with pytest.raises(ServiceProcessError, match="constant batch times only"):
        BatchServiceQueue(0.5, [1.0], batch_time_scv=1.0).wait_quantile(0.9)
    with pytest.raises(UnstableError, match="time_per_request"):
        inoue_bound(10.0, 0.1, 1.0)
