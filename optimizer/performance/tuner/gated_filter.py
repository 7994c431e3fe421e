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

__all__ = ["GatedFilter", "Verdict", "gate"]

FloatArray = NDArray[np.float64]

# Innovations per time from which the noise is read, and how many the first guess counts for.
_NOISE_WINDOW = 32
_NOISE_PRIOR = 8
_LEAST_NOISE = 0.003
_MOST_NOISE = 1.0
# Standard deviation of normal noise over its median absolute value.
_FROM_MEDIAN = 1.4826


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an innovation was taken in, how far off it was, and whether the filter re-opened."""

    accepted: bool
    nis: float
    reopened: bool


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

    def noise_variance(self, time: int) -> float:
        """Return the variance of the noise of one kind of time, as known by now."""
        guess = self.settings.noise_log_sd**2
        count = min(int(self._seen[time]), _NOISE_WINDOW)
        if count < _NOISE_PRIOR // 2:
            return guess
        spread = _FROM_MEDIAN**2 * float(np.median(self._squares[time, :count]))
        read = max(spread - float(np.median(self._spreads[time, :count])), 0.0)
        mixed = (_NOISE_PRIOR * guess + count * read) / (_NOISE_PRIOR + count)
        return min(max(mixed, _LEAST_NOISE**2), _MOST_NOISE**2)

    def consider(
        self,
        innovation: FloatArray,
        jacobian: FloatArray,
        which: tuple[int, ...],
        more_variance: FloatArray | float = 0.0,
    ) -> Verdict:
        """Take an innovation in, unless it is beyond the gate.

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
        With A = HPH', the drift adds q² m / tr A · PH'A⁺HP, which raises the spread of the
        predictions by q² on average and leaves all other directions alone. The update is Joseph's
        form, which keeps P symmetric and positive whatever the rounding.
        """
        count = len(which)
        of_state = jacobian @ self.covariance @ jacobian.T
        noise = np.array([self.noise_variance(time) for time in which]) + more_variance
        prior = self._drifted(jacobian, of_state)
        spread = jacobian @ prior @ jacobian.T + np.diag(noise)
        weighted = np.linalg.solve(spread, innovation)
        nis = float(innovation @ weighted)
        self._remember(innovation, np.diag(of_state) + more_variance, which)
        if not nis <= gate(count, self.settings.gate_probability):
            return Verdict(False, nis, self._rejected())
        gain = np.linalg.solve(spread, jacobian @ prior).T
        self.mean = self.mean + gain @ innovation
        rest = np.eye(self.mean.size) - gain @ jacobian
        self.covariance = self._capped(rest @ prior @ rest.T + (gain * noise) @ gain.T)
        self.rejected_in_a_row = 0
        return Verdict(True, nis, False)

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

    def _drifted(self, jacobian: FloatArray, of_state: FloatArray) -> FloatArray:
        total = float(np.trace(of_state))
        drift = self.settings.drift_log_sd**2
        if drift == 0 or total <= 1e-18:
            return self.covariance
        across = jacobian @ self.covariance
        seen = across.T @ np.linalg.pinv(of_state, rcond=1e-10, hermitian=True) @ across
        return np.asarray(self.covariance + drift * len(of_state) / total * seen)

    def _rejected(self) -> bool:
        self.rejected_in_a_row += 1
        return self.rejected_in_a_row >= self.settings.reopen_after

    def _remember(self, innovation: FloatArray, spread: FloatArray, which: tuple[int, ...]) -> None:
        for i, time in enumerate(which):
            place = int(self._seen[time]) % _NOISE_WINDOW
            self._squares[time, place] = innovation[i] ** 2
            self._spreads[time, place] = spread[i]
            self._seen[time] += 1

    def _capped(self, covariance: FloatArray) -> FloatArray:
        """Return it symmetric, with standard deviations of `most_sd` at most."""
        even = (covariance + covariance.T) / 2
        shrink = np.minimum(1.0, self.most_sd / np.sqrt(np.maximum(np.diag(even), 1e-300)))
        return np.asarray(even * shrink * shrink[:, None])


def gate(count: int, probability: float) -> float:
    """Return the quantile of the chi-square distribution with 1 or 2 degrees of freedom."""
    if count == 1:
        return NormalDist().inv_cdf((1 + probability) / 2) ** 2
    return -2 * math.log1p(-probability)


def _with_none(values: FloatArray) -> list[list[float | None]]:
    """Return rows with None for NaN, which JSON lacks."""
    return [[None if math.isnan(v) else v for v in row] for row in values.tolist()]
