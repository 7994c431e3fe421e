"""Recursive least squares on the times of single iterations of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.tuner.base import Tuner, Update
from optimizer.performance.tuner.errors import TunerError
from optimizer.performance.tuner.first_fit import first_fit
from optimizer.performance.tuner.gated_filter import GatedFilter
from optimizer.performance.tuner.law import TimingLaw
from optimizer.performance.tuner.learnt import LearntTiming
from optimizer.performance.tuner.observation import Observation, StepObservation
from optimizer.performance.tuner.settings import TunedReplica, TunerSettings
from optimizer.performance.tuner.tally import Tally
from queue_models import IterationTiming, Timing

__all__ = ["LeastSquaresTuner"]

FloatArray = NDArray[np.float64]

_TIME = "iteration_ms"
# The first observations are fitted together until so many agree, or so many were seen.
_AGREEING, _MOST_FIRST = 6, 14
# What a change of the replica may do to each coefficient, and to all together, as a share.
_CHANGE, _COMMON_CHANGE = 0.5, 0.7
# Residuals of observations that agree, in standard deviations of the noise.
_AGREES = 3.0
# Without a start, each kind of work is thought to take about this share of an iteration.
_SHARE, _SHARE_SD = 0.25, 0.5
# The last observations, whatever became of them, are looked at together: so many, one time in so
# many. They are fitted anew where half of them are off by more than this many times what half of
# normal noise is within, and the fit is believed that makes this at most this share of it.
_WATCHED, _LOOKED_EVERY = 16, 4
_DOUBTED, _FAR_CLOSER = 2.0, 0.6
_HALF_OF_NORMAL = 0.6745
# Fits take the noise to be at most so many times what it was said to be.
_MOST_NOISE = 3.0
# The least that a coefficient may be, as a share of its scale.
_LEAST = 1e-6
_MOST_SD = 3.0


@final
class LeastSquaresTuner(Tuner):
    """Iteration time = base + decode tokens + prompt tokens + KV tokens, each times a coefficient.

    Relative errors are squared, old observations are forgotten in the directions that new ones
    tell of, outliers are rejected and change is followed as `GatedFilter` says; coefficients are
    kept positive by projection. The first observations are fitted together, robustly, and so are
    those that were rejected in a row: if they agree with each other, they are the new truth. Where
    gross errors among the first ones led astray, or hid a change, the last observations do not suit
    what is believed; then a robust fit of them replaces it.
    """

    name: ClassVar[str] = "least-squares"
    summary: ClassVar[str] = "recursive least squares on engine iterations: the most exact data"
    source: ClassVar[str] = "Ljung, System Identification, 2nd edition, section 11.2"
    observes: ClassVar[type[Observation]] = StepObservation

    def __init__(
        self,
        replica: TunedReplica,
        start: Timing | None = None,
        settings: TunerSettings | None = None,
    ) -> None:
        super().__init__(replica, start, settings)
        if self.law.kind is not IterationTiming:
            raise TunerError(
                f"tuner '{self.name}' learns iteration times; law '{self.law.name}' has none: "
                f"take 'iteration' or 'three_parameter'"
            )
        self._tally = Tally()
        # Work and time of the first observations, later of those rejected in a row.
        self._kept: list[list[float]] = []
        self._watched: list[list[float]] = []  # work and time of the last ones, taken in or not
        self._begun = False
        self._scale: FloatArray | None = None
        self._filter: GatedFilter | None = None
        self._last: FloatArray | None = None  # work of the observation taken last

    def update(self, observation: Observation) -> Update:
        """Take an iteration into account; see `Tuner.update`."""
        fault = self._tally.fault(observation, StepObservation)
        if fault:
            return self._tally.refuse(fault)
        assert isinstance(observation, StepObservation)
        assert observation.iteration_ms is not None
        work, time = _work(self.law, observation), observation.iteration_ms
        self._watched = [*self._watched[1 - _WATCHED :], [*work.tolist(), time]]
        observed = {_TIME: time}
        if not self._begun:
            predicted = {} if self._filter is None else {_TIME: float(work @ self._values())}
            self._kept.append([*work.tolist(), time])
            agreeing = self._agreeing(self._fit(self._kept, *self._prior()))
            if agreeing >= _AGREEING or len(self._kept) >= _MOST_FIRST:
                self._kept, self._begun = [], True
            self._last = work
            self._tally.accepted += 1
            return Update(
                accepted=True,
                reason="fitted with the first observations",
                predicted_ms=predicted,
                observed_ms=observed,
            )
        return self._correct(work, time, observed)

    def _correct(self, work: FloatArray, time: float, observed: dict[str, float]) -> Update:
        assert self._filter is not None
        assert self._scale is not None
        predicted = float(work @ self._values())
        share = work * self._scale / predicted
        off = np.array([time / predicted - 1])
        verdict = self._filter.decide(self._filter.weigh(off, share[None, :], (0,)))
        anew = False
        if verdict.accepted:
            self._project()
            self._last, self._kept = work, []
        else:
            self._kept = [*self._kept, [*work.tolist(), time]][-2 * self.settings.reopen_after :]
            anew = verdict.overdue and self._begin_anew()
        anew = anew or self._look_again()
        return self._tally.judged(verdict, {_TIME: predicted}, observed, anew=anew)

    def _begin_anew(self) -> bool:
        """Fit what was rejected in a row; True where it agrees with itself, or goes on for long."""
        assert self._filter is not None
        before, mean = self._filter.document(), self._filter.mean
        # A coefficient may also come up from nothing.
        part = np.maximum(mean, _SHARE * self.settings.reopen_log_sd)
        change = np.diag((_CHANGE * part) ** 2) + _COMMON_CHANGE**2 * np.outer(mean, mean)
        off = self._fit(self._kept, mean, self._filter.covariance + change)
        if self._agreeing(off) >= self.settings.reopen_after:
            self._kept, self._watched = [], self._kept  # those before tell of what was
            return True
        self._filter.take(before)
        if self._filter.rejected_in_a_row < 2 * self.settings.reopen_after:
            return False
        self._filter.reopen(self.settings.reopen_log_sd * part)
        return True

    def _look_again(self) -> bool:
        """Fit the last observations where they do not suit; True where the fit suits far better."""
        assert self._filter is not None
        seen = self._tally.accepted + self._tally.rejected
        if seen % _LOOKED_EVERY or len(self._watched) < _WATCHED:
            return False
        before, mean = self._filter.document(), self._filter.mean
        off = float(np.median(self._off(self._watched, mean)))
        if off < _DOUBTED * _HALF_OF_NORMAL * self.settings.noise_log_sd:
            return False
        typical = np.maximum(mean, self._typical)
        change = np.diag(typical**2) + _COMMON_CHANGE**2 * np.outer(mean, mean)
        if np.median(self._fit(self._watched, mean, change)) < _FAR_CLOSER * off:
            self._kept = []
            return True
        self._filter.take(before)
        return False

    @property
    def learnt(self) -> LearntTiming | None:
        """What is known now; see `Tuner.learnt`."""
        if self._filter is None or self._scale is None or self._last is None:
            return None
        values = self._values()
        share = self._last * self._scale / float(self._last @ values)
        spread = float(share @ self._filter.covariance @ share)
        mean = self._filter.mean
        return LearntTiming(
            law=self.law,
            values=values,
            log_covariance=self._filter.covariance / mean / mean[:, None],
            noise_log_sd={_TIME: float(np.sqrt(self._filter.noise_variance(0)))},
            accepted=self._tally.accepted,
            rejected=self._tally.rejected,
            reopened=self._tally.reopened,
            prediction_log_sd=float(np.sqrt(max(spread, 0.0))),
        )

    def checkpoint(self) -> dict[str, Any]:
        """Return all that it knows; see `Tuner.checkpoint`."""
        return self.header() | {
            "tally": self._tally.document(),
            "kept": self._kept,
            "watched": self._watched,
            "begun": self._begun,
            "scale": None if self._scale is None else self._scale.tolist(),
            "filter": None if self._filter is None else self._filter.document(),
            "last": None if self._last is None else self._last.tolist(),
        }

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Return a tuner that goes on; see `Tuner.restore`."""
        tuner = cls.from_header(checkpoint)
        try:
            tuner._tally = Tally(**checkpoint["tally"])
            tuner._kept = [list(map(float, row)) for row in checkpoint["kept"]]
            tuner._watched = [list(map(float, row)) for row in checkpoint["watched"]]
            tuner._begun = bool(checkpoint["begun"])
            if checkpoint["filter"] is not None:
                tuner._scale = np.array(checkpoint["scale"], dtype=np.float64)
                size = len(tuner.law.parameters)
                tuner._filter = tuner._new_filter(np.zeros(size), np.eye(size))
                tuner._filter.take(checkpoint["filter"])
                tuner._last = np.array(checkpoint["last"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise TunerError(f"checkpoint: not readable: {error}") from error
        return tuner

    def _values(self) -> FloatArray:
        assert self._filter is not None
        assert self._scale is not None
        return np.asarray(self._filter.mean * self._scale)

    def _fit(self, kept: list[list[float]], mean: FloatArray, covariance: FloatArray) -> FloatArray:
        """Believe a fit of some observations about a prior; return how far off it each is."""
        assert self._scale is not None
        rows = np.array(kept)
        scaled, time = rows[:, :-1] * self._scale, rows[:, -1]

        def linearised(state: FloatArray) -> tuple[FloatArray, FloatArray]:
            predicted = scaled @ np.maximum(state, _LEAST)
            shares = scaled / predicted[:, None]
            return np.log(time / predicted)[:, None], shares[:, None, :]

        if self._filter is None:
            self._filter = self._new_filter(mean, covariance)
        noise = np.full((len(time), 1), self._noise_sd)
        starts = [mean * off for off in np.unique(time / (scaled @ mean))]
        found, posterior = first_fit(linearised, mean, covariance, starts, noise)
        self._filter.begin_anew(np.maximum(found, _LEAST), posterior)
        return self._off(kept, found)

    def _off(self, kept: list[list[float]], state: FloatArray) -> FloatArray:
        """Return how far off a state's predictions observations are, as |logarithms|."""
        assert self._scale is not None
        rows = np.array(kept)
        predicted = rows[:, :-1] @ (self._scale * np.maximum(state, _LEAST))
        return np.asarray(np.abs(np.log(rows[:, -1] / predicted)))

    def _agreeing(self, off: FloatArray) -> int:
        """Return how many observations so far off are not further than noise is."""
        return int(np.sum(off < _AGREES * self._noise_sd))

    @property
    def _noise_sd(self) -> float:
        """Standard deviation of the noise, as known by now; gross errors in a row blow it up."""
        assert self._filter is not None
        known = float(np.sqrt(self._filter.noise_variance(0)))
        return min(known, _MOST_NOISE * self.settings.noise_log_sd)

    @property
    def _typical(self) -> float:
        """Of a scaled coefficient, what is thought without observations."""
        return _SHARE if self.start is None else 1.0

    def _prior(self) -> tuple[FloatArray, FloatArray]:
        """Return mean and covariance of the scaled coefficients; the scale is set by the start."""
        rows = np.array(self._kept)
        if self.start is not None:
            self._scale = np.maximum(self.start, 1e-12)
            ones = np.ones(self._scale.size)
            return ones, np.diag((1.5 * self.settings.start_log_sd * ones) ** 2)
        # Work that was never there takes a time that nobody knows: a small share, so far.
        largest = np.max(rows[:, :-1], axis=0)
        self._scale = float(np.median(rows[:, -1])) / np.maximum(largest, 1.0)
        ones = np.ones(self._scale.size)
        return ones * _SHARE, np.diag((_SHARE_SD * ones) ** 2)

    def _project(self) -> None:
        """Bring coefficients below the least back to it, the others by what they have in common."""
        assert self._filter is not None
        for place in range(self._filter.mean.size):
            lacking = _LEAST - float(self._filter.mean[place])
            if lacking > 0:
                column = self._filter.covariance[:, place]
                tied = column / max(float(column[place]), 1e-300)
                self._filter.mean = np.maximum(self._filter.mean + tied * lacking, _LEAST)

    def _new_filter(self, mean: FloatArray, covariance: FloatArray) -> GatedFilter:
        return GatedFilter(mean, covariance, (_TIME,), self.settings, _MOST_SD)


def _work(law: TimingLaw, seen: StepObservation) -> FloatArray:
    """Return what each parameter of the law is multiplied with."""
    each = np.array(
        [1.0, seen.decode_tokens or 0.0, seen.prefill_tokens or 0.0, seen.kv_tokens or 0.0]
    )
    work = np.zeros(len(law.parameters))
    np.add.at(work, list(law.coefficients), each)
    return work
