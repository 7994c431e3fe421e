"""When requests arrive: renewal processes on a clock that runs at the rate of the moment.

Gaps of mean 1 are drawn, exponential or gamma; a clock that has run through Λ(t) = ∫ rate dt turns
their sums into times. With a constant rate that is a renewal process, with a periodic one the
nonhomogeneous process of a day, with a rate that jumps at random a Markov-modulated one.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.errors import WorkloadError

__all__ = [
    "AbstractRate",
    "ArrivalStream",
    "Arrivals",
    "ConstantRate",
    "MarkovModulatedRate",
    "PeriodicRate",
]

FloatArray = NDArray[np.float64]

_MS_PER_S = 1000.0
# Stretches of constant rate drawn at a time.
_STRETCHES = 1024


class AbstractRate(ABC):
    """An arrival rate over time, constant by stretches."""

    @property
    @abstractmethod
    def mean_rps(self) -> float:
        """Rate on average over time [1/s]."""

    @abstractmethod
    def scaled(self, factor: float) -> AbstractRate:
        """Return the same shape with every rate multiplied."""

    @abstractmethod
    def stretches(self, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Yield durations [s] and rates [1/s] without end."""


@dataclass(frozen=True)
class ConstantRate(AbstractRate):
    """The same rate [1/s] at all times, > 0."""

    rate_rps: float

    def __post_init__(self) -> None:
        _require("ConstantRate.rate_rps", self.rate_rps)

    @property
    def mean_rps(self) -> float:
        """The rate."""
        return self.rate_rps

    def scaled(self, factor: float) -> ConstantRate:
        """Return the rate multiplied."""
        return ConstantRate(self.rate_rps * factor)

    def stretches(self, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Yield one stretch again and again."""
        del rng
        return itertools.repeat((1e9, self.rate_rps))


@dataclass(frozen=True)
class PeriodicRate(AbstractRate):
    """Rates of equal intervals that repeat, such as the 24 hours of a day.

    Parameters
    ----------
    rates_rps
        One per interval, >= 0 and not all 0 [1/s].
    interval_s
        Length of an interval, > 0.
    """

    rates_rps: tuple[float, ...]
    interval_s: float = 3600.0

    def __post_init__(self) -> None:
        _require("PeriodicRate.interval_s", self.interval_s)
        rates = np.array(self.rates_rps)
        if not rates.size or not np.all(np.isfinite(rates) & (rates >= 0)) or not rates.sum() > 0:
            raise WorkloadError(
                f"PeriodicRate.rates_rps = {self.rates_rps}: must be finite numbers >= 0, one above"
            )

    @classmethod
    def diurnal(cls, mean_rps: float, swing: float = 0.5, peak_hour: float = 14.0) -> PeriodicRate:
        """Return a day as a cosine around the mean, in steps of 15 minutes.

        Parameters
        ----------
        swing
            How far the peak lies above the mean, as a share of it, in [0, 1].
        peak_hour
            When the peak is.
        """
        if not 0.0 <= swing <= 1.0:
            raise WorkloadError(f"PeriodicRate.diurnal: swing = {swing}: must be from 0 to 1")
        hours = (np.arange(96) + 0.5) / 4.0
        rates = mean_rps * (1.0 + swing * np.cos(2.0 * np.pi * (hours - peak_hour) / 24.0))
        return cls(tuple(rates.tolist()), 900.0)

    @property
    def mean_rps(self) -> float:
        """Mean of the intervals."""
        return float(np.mean(self.rates_rps))

    def scaled(self, factor: float) -> PeriodicRate:
        """Return every rate multiplied."""
        return PeriodicRate(tuple(factor * rate for rate in self.rates_rps), self.interval_s)

    def stretches(self, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Yield the intervals in turn."""
        del rng
        return ((self.interval_s, rate) for rate in itertools.cycle(self.rates_rps))


@dataclass(frozen=True)
class MarkovModulatedRate(AbstractRate):
    """A rate that jumps between states, with exponential stays: an MMPP with Poisson arrivals.

    Parameters
    ----------
    rates_rps
        Rate in each state, >= 0 and not all 0 [1/s].
    stays_s
        Mean stay in each state, > 0; the next state is any other one with equal chances.
    """

    rates_rps: tuple[float, ...]
    stays_s: tuple[float, ...]

    def __post_init__(self) -> None:
        rates, stays = np.array(self.rates_rps), np.array(self.stays_s)
        good = rates.shape == stays.shape and rates.size >= 2 and np.all(stays > 0)
        if not good or not np.all(np.isfinite(rates) & (rates >= 0)) or not rates.sum() > 0:
            raise WorkloadError(
                f"MarkovModulatedRate: rates {self.rates_rps} and stays {self.stays_s}: two states "
                f"at least, rates >= 0 and one above, stays > 0"
            )

    @property
    def mean_rps(self) -> float:
        """Mean over time; every state is visited equally often."""
        return float(np.average(self.rates_rps, weights=self.stays_s))

    def scaled(self, factor: float) -> MarkovModulatedRate:
        """Return every rate multiplied; the stays remain."""
        return MarkovModulatedRate(tuple(factor * r for r in self.rates_rps), self.stays_s)

    def stretches(self, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
        """Yield the stays, from a state drawn by its share of the time on."""
        states = len(self.rates_rps)
        state = int(rng.choice(states, p=np.array(self.stays_s) / sum(self.stays_s)))
        while True:
            for stay in rng.exponential(1.0, _STRETCHES).tolist():
                yield stay * self.stays_s[state], self.rates_rps[state]
                state = (state + 1 + int(rng.integers(states - 1))) % states


@dataclass(frozen=True)
class Arrivals:
    """A stream of arrivals.

    Parameters
    ----------
    rate
        Over time.
    scv
        Squared coefficient of variation of the gaps on the clock of the rate, > 0; 1 is Poisson.
    """

    rate: AbstractRate
    scv: float = 1.0

    def __post_init__(self) -> None:
        _require("Arrivals.scv", self.scv)

    def stream(self, rng: np.random.Generator) -> ArrivalStream:
        """Return the arrivals, to be taken in pieces."""
        return ArrivalStream(self, rng)


class ArrivalStream:
    """Arrival times without end; what is kept does not grow."""

    def __init__(self, arrivals: Arrivals, rng: np.random.Generator) -> None:
        self._scv, self._rng = arrivals.scv, rng
        self._stretches = arrivals.rate.stretches(rng)
        self._passed = self._reached = 0.0  # on the clock of the rate
        self._times, self._clock = np.zeros(1), np.zeros(1)

    def take(self, count: int) -> FloatArray:
        """Return the next arrival times [ms], (count,)."""
        if self._scv == 1.0:
            gaps = self._rng.exponential(1.0, count)
        else:
            gaps = self._rng.gamma(1.0 / self._scv, self._scv, count)
        passed = self._passed + np.cumsum(gaps)
        self._passed = float(passed[-1]) if count else self._passed
        self._extend()
        times: FloatArray = _MS_PER_S * np.interp(passed, self._clock, self._times)
        return times

    def _extend(self) -> None:
        """Draw stretches until the clock is there; forget those that are over."""
        over = max(int(np.searchsorted(self._clock, self._reached)) - 1, 0)
        times, clock = self._times[over:].tolist(), self._clock[over:].tolist()
        while clock[-1] <= self._passed:
            duration, rate = next(self._stretches)
            times.append(times[-1] + duration)
            clock.append(clock[-1] + duration * rate)
        self._times, self._clock = np.array(times), np.array(clock)
        self._reached = self._passed


def _require(what: str, value: float) -> None:
    if not (value > 0 and np.isfinite(value)):
        raise WorkloadError(f"{what} = {value}: must be a finite number above 0")
