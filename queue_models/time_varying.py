"""Load that varies over time: stationary models applied interval by interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import BoolArray, FloatArray, checked_array
from queue_models.base import QueueMetrics, QueueModel, Statistic, Targets
from queue_models.errors import ServiceProcessError
from queue_models.process import ServiceProcess, checked_arrival_rate
from queue_models.quantile_mixture import mixture_quantile_of, tail_grid

__all__ = ["TimeVaryingMetrics", "modified_offered_load", "pointwise_stationary"]

# Averaged over time; latencies are averaged over accepted arrivals.
_OVER_TIME = ("throughput_rps", "utilization", "concurrency", "queue_length")


@dataclass(frozen=True, eq=False, kw_only=True)
class TimeVaryingMetrics:
    """What a load that varies over T intervals does to every pair.

    Attributes
    ----------
    average
        Averages of the stationary metrics: of latencies over accepted arrivals, of the others over
        time. Where `transient_overload`, `stable` is False and latencies that include waiting are
        `inf`: they depend on how long the overload lasts, which a stationary model does not know.
    transient_overload
        Whether some interval has no steady state: its rate reaches the capacity, and the queue has
        no limit.
    fluid_backlog
        Requests waiting at the end of every interval if arrivals and service were fluids, starting
        empty, shape (T, ...): the scale of what an overload leaves behind. A limited queue holds no
        more than its places.
    intervals
        The stationary metrics, with a leading axis of intervals.
    """

    average: QueueMetrics
    transient_overload: BoolArray
    fluid_backlog: FloatArray
    intervals: QueueMetrics


def pointwise_stationary(
    model: QueueModel,
    service: ServiceProcess,
    arrival_rate_rps: ArrayLike,
    duration_s: ArrayLike,
    statistics: Sequence[Statistic] = (),
) -> TimeVaryingMetrics:
    """Evaluate a model in every interval as if that lasted forever, and average.

    Good where requests are short against the intervals; use `modified_offered_load` first where
    they are not.

    Parameters
    ----------
    model
        Any model.
    service
        The pairs.
    arrival_rate_rps
        Rate in every interval, shape (T,), or (T, ...) where ... broadcasts with the process.
    duration_s
        Lengths of the intervals, > 0, shape (T,).
    statistics
        Percentiles wanted beside the means.

    Raises
    ------
    OutsideValidityError
        If the model refuses.
    ServiceProcessError
        If rates or durations are out of range.

    Notes
    -----
    A percentile of the whole is that of the mixture of the intervals' distributions, weighted by
    accepted arrivals. Models give quantiles, not distributions: they are asked for 49 of every
    interval, those that 98 % to a thousandth of the share wanted exceed, between which ln P(X > x)
    is taken as linear in x, exact for exponential tails; the mixture is inverted by bisection.

    References
    ----------
    .. [1] Green, L., Kolesar, P. (1991). The pointwise stationary approximation for queues with
       nonstationary arrivals. Management Science 37.
    """
    span = checked_array("pointwise_stationary", "duration_s", duration_s, 0.0, above=True)
    rates = _rates_of_intervals(arrival_rate_rps, span, service)
    percentiles = {s: 1.0 - s.percentile / 100.0 for s in statistics if s.percentile is not None}
    grids = {s: [_at_share(s, one) for one in tail_grid(q)] for s, q in percentiles.items()}
    wanted = [*percentiles, *(one for grid in grids.values() for one in grid)]
    metrics = model.evaluate(service, rates, tuple(dict.fromkeys(wanted)))

    length = span.reshape(-1, *(1,) * (rates.ndim - 1))
    overload = np.asarray(~metrics.stable.all(axis=0), dtype=np.bool_)
    accepted = metrics.throughput_rps * length
    weights = np.where(accepted.sum(axis=0) > 0, accepted, length)
    weights = weights / weights.sum(axis=0)
    mixed = {}
    for statistic, share in percentiles.items():
        table = np.stack([metrics.percentiles[one] for one in grids[statistic]])
        endless = np.isinf(table).any(axis=(0, 1))
        finite = np.where(np.isinf(table), 0.0, table)
        found = mixture_quantile_of(finite, tail_grid(share), weights, share)
        mixed[statistic] = np.where(endless, np.inf, found)
    shares_of_time = length / span.sum()
    means = {
        f.name: _average(getattr(metrics, f.name), weights, shares_of_time, f.name)
        for f in fields(QueueMetrics)
        if f.name not in ("stable", "percentiles", "blocking_probability")
    }
    return TimeVaryingMetrics(
        average=QueueMetrics(
            stable=np.logical_not(overload),
            blocking_probability=_blocked(metrics, rates, length),
            percentiles=mixed,
            **means,
        ),
        transient_overload=overload,
        fluid_backlog=_fluid_backlog(model, service, rates, length),
        intervals=replace(metrics, percentiles={s: metrics.percentiles[s] for s in percentiles}),
    )


def _rates_of_intervals(
    arrival_rate_rps: ArrayLike, span: FloatArray, service: ServiceProcess
) -> FloatArray:
    """Return rates of shape (T, ...), ... being that of the process and the rates."""
    rates = np.asarray(arrival_rate_rps, dtype=np.float64)
    if span.ndim != 1 or not span.size or not rates.ndim or rates.shape[0] != span.size:
        raise ServiceProcessError(
            f"pointwise_stationary.arrival_rate_rps: shape {rates.shape} must begin with the "
            f"intervals of duration_s, {span.shape}"
        )
    missing = max(len(service.shape) + 1 - rates.ndim, 0)
    rates = rates.reshape(span.size, *(1,) * missing, *rates.shape[1:])
    return checked_arrival_rate(rates, (span.size, *service.shape))


def _at_share(statistic: Statistic, share: float) -> Statistic:
    return Statistic(statistic.metric, 100.0 * (1.0 - share))


def _average(
    values: FloatArray, weights: FloatArray, shares_of_time: FloatArray, name: str
) -> FloatArray:
    """Average over the intervals; those without weight do not count, whatever they hold."""
    by = shares_of_time if name in _OVER_TIME else weights
    average: FloatArray = np.where(by > 0, by * np.where(by > 0, values, 0.0), 0.0).sum(axis=0)
    return average


def _blocked(metrics: QueueMetrics, rates: FloatArray, length: FloatArray) -> FloatArray:
    """Return the share of all arrivals that a full queue refuses."""
    arrivals = rates * length
    refused: FloatArray = (arrivals * metrics.blocking_probability).sum(axis=0)
    total = arrivals.sum(axis=0)
    shares: FloatArray = np.divide(refused, total, out=np.zeros_like(total), where=total > 0)
    return shares


def _fluid_backlog(
    model: QueueModel, service: ServiceProcess, rates: FloatArray, length: FloatArray
) -> FloatArray:
    """Return the fluid backlog at the end of every interval [requests]."""
    capacity = model.max_rate(service, Targets())
    places = np.inf if service.queue_capacity is None else service.queue_capacity
    backlog = np.zeros(rates.shape)
    held = np.zeros(rates.shape[1:])
    for interval in range(len(rates)):
        grown = held + (rates[interval] - capacity) * length[interval]
        held = np.clip(grown, 0.0, places)
        backlog[interval] = held
    return backlog


def modified_offered_load(
    arrival_rate_rps: ArrayLike,
    duration_s: ArrayLike,
    time_in_service_s: ArrayLike,
    *,
    periodic: bool = True,
) -> FloatArray:
    """Rates at which a stationary model sees the load that requests still in service carry.

    Parameters
    ----------
    arrival_rate_rps
        Rate in every interval, >= 0, shape (T,) or (T, ...).
    duration_s
        Lengths of the intervals, > 0, shape (T,).
    time_in_service_s
        Mean time in service E[S] > 0, shape (...).
    periodic
        Whether the intervals repeat, as those of a day; else they begin with the first interval's
        stationary load.

    Returns
    -------
    FloatArray
        m(t)/E[S] averaged over every interval, shape (T, ...), for `pointwise_stationary`.

    Raises
    ------
    ServiceProcessError
        If an argument is out of range.

    Notes
    -----
    m(t) = E[λ(t - S_e)] E[S] is the mean number in service without a limit on it; with
    exponential times it follows m' = λ - m/E[S].

    References
    ----------
    .. [1] Jennings, O. B. et al. (1996). Server staffing to meet time-varying demand. Management
       Science 42.
    """
    owner = "modified_offered_load"
    span = checked_array(owner, "duration_s", duration_s, 0.0, above=True)
    rates = checked_array(owner, "arrival_rate_rps", arrival_rate_rps, 0.0)
    stay = checked_array(owner, "time_in_service_s", time_in_service_s, 0.0, above=True)
    if span.ndim != 1 or not rates.ndim or rates.shape[0] != span.size:
        raise ServiceProcessError(
            f"{owner}.arrival_rate_rps: shape {rates.shape} must begin with {span.shape}"
        )
    shape = np.broadcast_shapes(rates.shape[1:], stay.shape)
    rates = np.broadcast_to(
        rates.reshape(span.size, *(1,) * (len(shape) + 1 - rates.ndim), *rates.shape[1:]),
        (span.size, *shape),
    )
    passed = span.reshape(-1, *(1,) * len(shape)) / stay
    kept = np.exp(-passed)
    seen = np.array(rates[0])
    if periodic:
        # After one period 0 becomes `grown`, and of any start the share e^-(period/E[S]) is left.
        grown = np.zeros(shape)
        for interval in range(span.size):
            grown = rates[interval] + (grown - rates[interval]) * kept[interval]
        seen = grown / -np.expm1(-passed.sum(axis=0))
    averages = np.empty((span.size, *shape))
    for interval in range(span.size):
        rate, begun = rates[interval], seen
        seen = rate + (begun - rate) * kept[interval]
        # Mean of rate + (begun - rate) e^-u over 0 < u < passed.
        averages[interval] = rate + (begun - rate) * -np.expm1(-passed[interval]) / passed[interval]
    return averages
