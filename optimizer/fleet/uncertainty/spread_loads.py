"""Loads that vary about their means, as levels; and the room that a probability asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.uncertainty import SpreadLaw, SpreadLoadsSpec

__all__ = ["SpreadLoads", "kept_probability", "room_factor"]

FloatArray = NDArray[np.float64]

# Equally likely levels at which a load is looked at: more change means and deviations of replicas,
# which are steps of the load, by less than the loads themselves are known to.
_LEVELS = 9


@dataclass(frozen=True, eq=False)
class SpreadLoads:
    """Mean loads, and equally likely levels with the stated standard deviations.

    Parameters
    ----------
    mean_rps
        (services,).
    levels_rps
        (levels, services), rising; every service at its own quantile of a normal load, none below
        0.
    """

    mean_rps: FloatArray
    levels_rps: FloatArray

    @classmethod
    def of(cls, spec: FleetSpec) -> SpreadLoads:
        """Read the loads of a fleet whose loads spread."""
        spread = spread_of(spec)
        mean = np.array([service.load.arrival_rate_rps for service in spec.services])
        std = np.array(
            [
                spread.std_rps.get(service.name, spread.relative * rate)
                for service, rate in zip(spec.services, mean.tolist(), strict=True)
            ]
        )
        normal = NormalDist()
        steps = np.array([normal.inv_cdf((place + 0.5) / _LEVELS) for place in range(_LEVELS)])
        steps /= math.sqrt(float(np.mean(steps**2)))
        return cls(mean, np.maximum(mean + np.outer(steps, std), 0.0))


def spread_of(spec: FleetSpec) -> SpreadLoadsSpec:
    """Return what a fleet whose loads spread says of them."""
    assert spec.uncertainty is not None
    assert spec.uncertainty.spread is not None
    return spec.uncertainty.spread


def room_factor(spread: SpreadLoadsSpec) -> float:
    """Return the standard deviations of room above the mean that the probability asks for.

    References
    ----------
    .. [1] Cantelli, F. P. (1928). Sui confini della probabilita. Atti del Congresso Internazionale
       dei Matematici 6. (P(X > mean + z std) <= 1 / (1 + z^2), whatever the law of X.)
    """
    kept = spread.keep_probability
    if spread.law is SpreadLaw.ANY:
        return math.sqrt(kept / (1.0 - kept))
    return NormalDist().inv_cdf(kept)


def kept_probability(spread: SpreadLoadsSpec, room: float, std: float) -> float:
    """Return the probability that a use stays below its mean plus some room, by the stated law."""
    if std == 0.0:
        return 1.0 if room >= 0 else 0.0
    z = room / std
    if spread.law is SpreadLaw.ANY:
        return z * z / (1.0 + z * z) if z > 0 else 0.0
    return NormalDist().cdf(z)
