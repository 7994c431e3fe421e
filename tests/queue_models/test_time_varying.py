"""Pointwise stationary averages, their percentiles, overload, and the modified offered load."""

from __future__ import annotations

import numpy as np
import pytest

from queue_models import (
    Metric,
    ServiceProcessError,
    Statistic,
    Targets,
    erlang_c,
    modified_offered_load,
    pointwise_stationary,
)
from queue_models.mmc import MMcModel
from queue_models.quantile_mixture import mixture_quantile_of, tail_grid
from queue_models.state_dependent import StateDependentModel
from tests.queue_models.processes import iterations, limited, prefill_decode

P99 = Statistic(Metric.WAIT, 99.0)
ITL95 = Statistic(Metric.ITL, 95.0)
SPAN = np.array([600.0, 1200.0, 1800.0])


def test_a_constant_load_is_the_stationary_model() -> None:
    """Equal rates in all intervals give the model's own means and percentiles."""
    model, service = StateDependentModel(), iterations(6)
    rate = 0.9 * model.max_rate(service, Targets())
    came = pointwise_stationary(model, service, np.tile(rate, (3, 1)), SPAN, (P99, ITL95))
    wanted = model.evaluate(service, rate, (P99, ITL95))
    for name in ("ttft_ms", "itl_ms", "wait_ms", "throughput_rps", "utilization", "queue_length"):
        assert getattr(came.average, name) == pytest.approx(getattr(wanted, name), rel=1e-12), name
    assert came.average.percentiles[P99] == pytest.approx(wanted.percentiles[P99], rel=1e-9)
    assert came.average.percentiles[ITL95] == pytest.approx(wanted.percentiles[ITL95], rel=1e-9)
    assert not came.transient_overload.any()
    assert not came.fluid_backlog.any()


def test_latencies_are_weighted_by_arrivals_and_percentiles_mixed() -> None:
    """Mean waits weigh by arrivals; a percentile is that of the mixture of exact distributions."""
    model, service = MMcModel(), prefill_decode(5)
    capacity = model.max_rate(service, Targets())
    rates = np.array([0.5, 0.8, 0.95])[:, None] * capacity
    came = pointwise_stationary(model, service, rates, SPAN, (P99,))
    each = model.evaluate(service, rates).wait_ms
    weights = rates * SPAN[:, None] / (rates * SPAN[:, None]).sum(axis=0)
    assert came.average.wait_ms == pytest.approx((weights * each).sum(axis=0), rel=1e-12)
    waits = erlang_c(service.max_batch, rates / (capacity / service.max_batch))
    tails = waits * np.exp(-(capacity - rates) * came.average.percentiles[P99] / 1000.0)
    assert (weights * tails).sum(axis=0) == pytest.approx(np.full(5, 0.01), rel=1e-5)


def test_refused_requests_do_not_weigh() -> None:
    """Blocking is averaged over arrivals, and weights are accepted requests."""
    model, service = MMcModel(), limited(prefill_decode(3), 5)
    rates = np.array([0.2, 3.0])[:, None] * model.max_rate(service, Targets())
    came = pointwise_stationary(model, service, rates, SPAN[:2])
    each = model.evaluate(service, rates)
    arrivals = rates * SPAN[:2, None]
    refused = (arrivals * each.blocking_probability).sum(axis=0) / arrivals.sum(axis=0)
    assert came.average.blocking_probability == pytest.approx(refused, rel=1e-12)
    accepted = each.throughput_rps * SPAN[:2, None]
    wanted = (accepted * each.wait_ms).sum(axis=0) / accepted.sum(axis=0)
    assert came.average.wait_ms == pytest.approx(wanted, rel=1e-12)
    # A limited queue has a steady state, and is full of fluid.
    assert not came.transient_overload.any()
    assert came.fluid_backlog[1].tolist() == [5.0] * 3


def test_transient_overload_is_said_and_not_guessed() -> None:
    """Overload in one interval: flagged, waits `inf`, ITL finite, and the fluid backlog is kept."""
    model, service = StateDependentModel(), iterations(4)
    capacity = model.max_rate(service, Targets())
    rates = np.array([0.5, 1.5, 0.9])[:, None] * capacity
    came = pointwise_stationary(model, service, rates, SPAN, (P99, ITL95))
    assert came.transient_overload.all()
    assert not came.average.stable.any()
    assert np.isinf(came.average.ttft_ms).all()
    assert np.isinf(came.average.percentiles[P99]).all()
    assert np.isfinite(came.average.itl_ms).all()
    assert np.isfinite(came.average.percentiles[ITL95]).all()
    built = 0.5 * capacity * 1200.0
    assert came.fluid_backlog[1] == pytest.approx(built, rel=1e-6)
    assert came.fluid_backlog[2] == pytest.approx(built - 0.1 * capacity * 1800.0, rel=1e-6)


def test_no_load_at_all() -> None:
    """Without arrivals nobody waits and nothing is NaN."""
    came = pointwise_stationary(MMcModel(), prefill_decode(3), [0.0, 0.0], [1.0, 2.0], (P99,))
    assert came.average.wait_ms.tolist() == [0.0] * 3
    assert came.average.percentiles[P99].tolist() == [0.0] * 3
    assert np.all(came.average.ttft_ms > 0)


@pytest.mark.parametrize("share", [0.5, 0.05, 0.001])
def test_mixture_of_exponentials(share: float) -> None:
    """The mixture of exponentials of far different scales is inverted to 1e-4 of its share."""
    scales, weights = np.array([1.0, 40.0]), np.array([0.97, 0.03])
    grid = tail_grid(share)
    table = -np.log(grid)[:, None] * scales
    x = float(mixture_quantile_of(table, grid, weights, share))
    assert weights @ np.exp(-x / scales) == pytest.approx(share, rel=1e-4)


def test_modified_offered_load_forgets_and_remembers() -> None:
    """Short requests see the rate of now, long ones the mean of the day; arrivals are conserved."""
    rates = [1.0, 5.0, 2.0, 0.0]
    span = [100.0, 50.0, 100.0, 150.0]
    now = modified_offered_load(rates, span, 1e-3)
    assert now == pytest.approx(np.array(rates), abs=1e-3)
    late = modified_offered_load(rates, span, [1e6, 1e-3])
    mean = np.dot(rates, span) / 400.0
    assert late[:, 0] == pytest.approx(np.full(4, mean), rel=1e-3)
    some = modified_offered_load(rates, span, 70.0)
    assert some @ np.array(span) == pytest.approx(mean * 400.0, rel=1e-12)
    once = modified_offered_load(rates, span, 70.0, periodic=False)
    assert once[0] == pytest.approx(1.0)


def test_bad_arguments_are_named() -> None:
    """Durations and rates that do not fit raise, naming both shapes."""
    with pytest.raises(ServiceProcessError, match=r"\(2,\).*\(3,\)"):
        pointwise_stationary(MMcModel(), prefill_decode(3), [1.0, 2.0], SPAN)
    with pytest.raises(ServiceProcessError, match="duration_s"):
        pointwise_stationary(MMcModel(), prefill_decode(3), [1.0], [0.0])
    with pytest.raises(ServiceProcessError, match="arrival_rate_rps"):
        modified_offered_load([1.0, 2.0], [1.0], 1.0)
