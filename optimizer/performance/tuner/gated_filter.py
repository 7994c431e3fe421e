"""A Kalman filter that tells outliers from change, and learns nothing from silence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.tuner.settings import TunerSettings

__all__ = ["GatedFilter", "Verdict", "Weighed"]

FloatArray = NDArray[np.float64]

# Innovations per time from which the noise is read, and how many the first guess counts for.
_NOISE_WINDOW = 32
_NOISE_PRIOR = 8
_LEAST_NOISE = 0.003
_MOST_NOISE = 1.0
# Standard deviation of normal noise over its median absolute value.
_FROM_MEDIAN = 1.4826
# Predictions that are one and the same but for this share have one direction in common.
_SINGULAR = 1e-10


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an innovation was taken in, and how far off it was.

    Parameters
    ----------
    accepted
        Whether it was.
    nis
        Normalised innovation squared.
    overdue
        Whether so many were rejected in a row that the world must have changed.
    """

    accepted: bool
    nis: float
    overdue: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """An innovation and what it would do, before it is decided on.

    Parameters
    ----------
    innovation, jacobian, which
        As they came.
    nis
        Normalised innovation squared.
    passes
        Whether it is within the gate.
    mean
        (n,): the state that it would lead to.
    prior, gain, noise
        Drifted covariance, Kalman gain, and variance of the noise.
    spread
        (m,): variance of the innovation that is not noise.
    """

    innovation: FloatArray
    jacobian: FloatArray
    which: tuple[int, ...]
    nis: float
    passes: bool
    mean: FloatArray
    prior: FloatArray
    gain: FloatArray
    noise: FloatArray
    spread: FloatArray


class GatedFilter:
    """Mean and covariance of a state that relative innovations correct.

    Between observations the state drifts, but only in the directions that the next observation
    tells of: what is never observed neither wanders nor loses the confidence that it has. An
    innovation beyond the gate changes nothing; several in a row are taken for a change of the
    world: the covariance is widened, and the filter follows. The noise of each kind of time is
    read from the median of its innovations, which outliers do not move.

    Parameters
    ----------
    mean, covariance
        (n,) and (n, n): what is believed at first.
    times
        Names of the kinds of times.
    settings
        See `TunerSettings`.
    most_sd
        Standard deviations do not grow beyond this.
    """

    def __init__(
        self,
        mean: FloatArray,
        covariance: FloatArray,
        times: tuple[str, ...],
        settings: TunerSettings,
        most_sd: float,
    ) -> None:
        self.mean = np.array(mean, dtype=np.float64)
        self.covariance = np.array(covariance, dtype=np.float64)
        self.times = times
        self.settings = settings
        self.most_sd = most_sd
        self.rejected_in_a_row = 0
        # Per kind of time: squared innovations, and how much of each was the state's own spread.
        self._squares = np.full((len(times), _NOISE_WINDOW), np.nan)
        self._spreads = np.full((len(times), _NOISE_WINDOW), np.nan)
        self._seen = np.zeros(len(times), dtype=np.int64)
        self._noise = [settings.noise_log_sd**2] * len(times)
        self._gates = [_gate(count, settings.gate_probability) for count in (1, 2)]
        self._unit = np.eye(self.mean.size)

    def noise_variance(self, time: int) -> float:
        """Return the variance of the noise of one kind of time, as known by now."""
        return self._noise[time]

    def weigh(
        self,
        innovation: FloatArray,
        jacobian: FloatArray,
        which: tuple[int, ...],
        more_variance: FloatArray | float = 0.0,
    ) -> Weighed:
        """Return what an innovation would do; nothing changes.

        Parameters
        ----------
        innovation
            (m,): observed less predicted, relative.
        jacobian
            (m, n): what a change of the state does to the predictions.
        which
            Kind of each of the m times, as an index.
        more_variance
            Variance of the innovation beside state and noise, (m,).

        Notes
        -----
        With A = HPH', the drift adds q² m / tr A · PH'A⁻¹HP, which raises the spread of the
        predictions by q² on average and leaves all other directions alone.
        """
        prior = self._drifted(jacobian)
        noise = np.array([self._noise[time] for time in which]) + more_variance
        across = jacobian @ prior
        of_state = across @ jacobian.T
        inverse = _inverse(of_state + np.diag(noise))
        nis = float(innovation @ inverse @ innovation)
        gain = across.T @ inverse
        return Weighed(
            innovation=innovation,
            jacobian=jacobian,
            which=which,
            nis=nis,
            passes=nis <= self._gates[len(which) - 1],
            mean=self.mean + gain @ innovation,
            prior=prior,
            gain=gain,
            noise=noise,
            spread=of_state.diagonal() + more_variance,
        )

    def decide(self, weighed: Weighed) -> Verdict:
        """Take an innovation in, unless it is beyond the gate.

        The update is Joseph's form, which keeps the covariance positive whatever the rounding.
        """
        self._remember(weighed)
        if not weighed.passes:
            self.rejected_in_a_row += 1
            overdue = self.rejected_in_a_row >= self.settings.reopen_after
            return Verdict(False, weighed.nis, overdue)
        self.mean = weighed.mean
        gain = weighed.gain
        rest = self._unit - gain @ weighed.jacobian
        self.covariance = self._capped(
            rest @ weighed.prior @ rest.T + (gain * weighed.noise) @ gain.T
        )
        self.rejected_in_a_row = 0
        return Verdict(True, weighed.nis)

    def begin_anew(self, mean: FloatArray, covariance: FloatArray) -> None:
        """Believe something else from now on; what is known of the noise stays."""
        self.mean = np.array(mean, dtype=np.float64)
        self.covariance = self._capped(covariance)
        self.rejected_in_a_row = 0

    def reopen(self, sd: float | FloatArray) -> None:
        """Widen the covariance: the state may have changed by so many standard deviations."""
        wider = np.broadcast_to(sd, self.mean.shape) ** 2
        self.covariance = self._capped(self.covariance + np.diag(wider))
        self.rejected_in_a_row = 0

    def document(self) -> dict[str, Any]:
        """Return the whole state as lists for JSON."""
        return {
            "mean": self.mean.tolist(),
            "covariance": self.covariance.tolist(),
            "rejected_in_a_row": self.rejected_in_a_row,
            "squares": _with_none(self._squares),
            "spreads": _with_none(self._spreads),
            "seen": self._seen.tolist(),
        }

    def take(self, document: Mapping[str, Any]) -> None:
        """Go on from a state that `document` gave."""
        self.mean = np.array(document["mean"], dtype=np.float64)
        self.covariance = np.array(document["covariance"], dtype=np.float64)
        self.rejected_in_a_row = int(document["rejected_in_a_row"])
        self._squares = np.array(document["squares"], dtype=np.float64)
        self._spreads = np.array(document["spreads"], dtype=np.float64)
        self._seen = np.array(document["seen"], dtype=np.int64)
        self._noise = [self._noise_read(time) for time in range(len(self.times))]

    def _drifted(self, jacobian: FloatArray) -> FloatArray:
        across = jacobian @ self.covariance
        of_state = across @ jacobian.T
        total = float(of_state.trace())
        drift = self.settings.drift_log_sd**2
        if drift == 0 or total <= 1e-18:
            return self.covariance
        count = len(of_state)
        regular = of_state + _SINGULAR * total * np.eye(count)
        seen = across.T @ _inverse(regular) @ across
        return np.asarray(self.covariance + drift * count / total * seen)

    def _remember(self, weighed: Weighed) -> None:
        for i, time in enumerate(weighed.which):
            place = int(self._seen[time]) % _NOISE_WINDOW
            self._squares[time, place] = weighed.innovation[i] ** 2
            self._spreads[time, place] = weighed.spread[i]
            self._seen[time] += 1
            self._noise[time] = self._noise_read(time)

    def _noise_read(self, time: int) -> float:
        """Return the variance of the noise by the innovations, mixed with the first guess."""
        guess = self.settings.noise_log_sd**2
        count = min(int(self._seen[time]), _NOISE_WINDOW)
        if count < _NOISE_PRIOR // 2:
            return guess
        spread = _FROM_MEDIAN**2 * _median(self._squares[time, :count])
        read = max(spread - _median(self._spreads[time, :count]), 0.0)
        mixed = (_NOISE_PRIOR * guess + count * read) / (_NOISE_PRIOR + count)
        return min(max(mixed, _LEAST_NOISE**2), _MOST_NOISE**2)

    def _capped(self, covariance: FloatArray) -> FloatArray:
        """Return it symmetric, with standard deviations of `most_sd` at most."""
        even: FloatArray = (covariance + covariance.T) / 2
        if even.diagonal().max() <= self.most_sd**2:
            return even
        shrink = np.minimum(1.0, self.most_sd / np.sqrt(np.maximum(np.diag(even), 1e-300)))
        return np.asarray(even * shrink * shrink[:, None])


def _inverse(matrix: FloatArray) -> FloatArray:
    """Return the inverse of a positive matrix of 1 or 2 rows; many times faster than numpy's."""
    if len(matrix) == 1:
        return 1 / matrix
    (a, b), (_, d) = matrix.tolist()
    determinant = a * d - b * b
    return np.array([[d / determinant, -b / determinant], [-b / determinant, a / determinant]])


def _gate(count: int, probability: float) -> float:
    """Return the quantile of the chi-square distribution with 1 or 2 degrees of freedom."""
    if count == 1:
        return NormalDist().inv_cdf((1 + probability) / 2) ** 2
    return -2 * math.log1p(-probability)


def _median(values: FloatArray) -> float:
    """Return the upper median; many times faster than numpy's for a few values."""
    return float(sorted(values.tolist())[values.size // 2])


def _with_none(values: FloatArray) -> list[list[float | None]]:
    """Return rows with None for NaN, which JSON lacks."""
    return [[None if math.isnan(v) else v for v in row] for row in values.tolist()]
