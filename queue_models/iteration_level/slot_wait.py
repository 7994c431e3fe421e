"""The wait for a slot of those who wait."""

from __future__ import annotations

import math

from queue_models.compilation import compiled
from queue_models.iteration_level.bursts import burst_tail

__all__ = ["truncated_mean", "truncated_tail", "wait_stretch", "wait_tail"]

# How soon the wait's variability approaches its limit as slots (1 - load)^2 falls, for fixed
# lengths, and more for each unit of the stay's SCV: from simulated fixed and lognormal lengths.
_FIXED_APPROACH, _VARIED_APPROACH = 0.35, 0.75

# Requests of a burst that stay equally long free their slots together: what that adds to the wait
# in light traffic, from simulated stays without prompts.
_TOGETHER, _TOGETHER_POWER = 0.052, 0.6

# Load up to which the root of GI/M/1 is computed; the stretch changes little from there to 1.
_MOST_BURST_LOAD = 0.9999

# The shorter of two waits in a row is at most this share of the longer.
_MOST_HEAD = 0.999

# Of waits that vary more than the mean does, the short ones are this share of those of light load.
_SHORT_WAITS = 0.6


@compiled
def wait_stretch(
    slots: float, load: float, size_scv: float, stay_scv: float, arrival_scv: float
) -> tuple[float, float]:
    """Return (mean wait) (full rate - rate) of those who wait, and its limit as load goes to 1.

    The limit is (ca2 + cs2)/2, as in any queue in heavy traffic, cs2 being the SCV of the time that
    a request takes from a saturated replica. In light traffic the first of many slots frees itself
    as if stays were exponential, whatever they are: 1. In between a share 1/(1 + kappa y),
    y = slots (1 - load)^2 (Halfin and Whitt's scale), of the way from one to the other is
    covered; arrivals in bursts wait for each other at any load.
    """
    limit = 0.5 * (arrival_scv + size_scv)
    kappa = _FIXED_APPROACH + _VARIED_APPROACH * stay_scv
    share = 1.0 / (1.0 + kappa * slots * (1.0 - load) ** 2)
    bursts = 0.5 * (arrival_scv - 1.0)
    if arrival_scv > 1.0:
        bursts = burst_stretch(slots, min(load, _MOST_BURST_LOAD), stay_scv, arrival_scv)
    return 1.0 + share * 0.5 * (size_scv - 1.0) + bursts, limit


@compiled
def burst_stretch(slots: float, load: float, stay_scv: float, arrival_scv: float) -> float:
    """Return what bursty arrivals add to the stretch: exact for exponential stays (GI/M/c).

    Other stays of a burst end together, the more the less they vary; that matters in light traffic.
    """
    exponential = (1.0 - load) / (1.0 - burst_tail(load, arrival_scv, 1.0)) - 1.0
    apart = (1.0 - stay_scv) / (1.0 + stay_scv)
    scale = (slots * (1.0 - load) ** 2) ** _TOGETHER_POWER
    return float(max(exponential + _TOGETHER * (arrival_scv - 1.0) * apart * scale, 0.0))


@compiled
def wait_tail(time: float, mean: float, limit: float, stretch: float) -> float:
    """Return P(wait > time), of those who wait, without limit of the queue.

    `limit` is the mean in the heavy-traffic limit and the decay of the tail. A greater mean is the
    sum of two exponential waits; a smaller one is a mixture of short and long exponential waits.
    """
    if time <= 0.0:
        return 1.0
    if mean >= limit:
        head = min(mean - limit, _MOST_HEAD * limit)
        if head < 1e-9 * limit:
            return math.exp(-time / limit)
        return (limit * math.exp(-time / limit) - head * math.exp(-time / head)) / (limit - head)
    short = _SHORT_WAITS * min(1.0, 1.0 / stretch) * mean
    long = (mean - short) / (limit - short)
    return long * math.exp(-time / limit) + (1.0 - long) * math.exp(-time / short)


@compiled
def truncated_tail(time: float, decay: float, longest: float) -> float:
    """Return P(wait > time) of an exponential law of any decay, cut at the longest wait."""
    if time <= 0.0:
        return 1.0
    if time >= longest:
        return 0.0
    x = decay * longest
    if abs(x) < 1e-9:
        return 1.0 - time / longest
    if x > 0.0:
        return (math.exp(-decay * time) - math.exp(-x)) / -math.expm1(-x)
    return math.expm1(-decay * (time - longest)) / math.expm1(x)


@compiled
def truncated_mean(decay: float, longest: float) -> float:
    """Return the mean of such a wait: longest (1/x - 1/(e^x - 1)), x = decay longest."""
    x = decay * longest
    if abs(x) < 1e-4:
        return longest * (0.5 - x / 12.0)
    if x > 700.0:
        return 1.0 / decay
    return longest * (1.0 / x - 1.0 / math.expm1(x))
