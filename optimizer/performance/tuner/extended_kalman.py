"""An extended Kalman filter on what monitoring sees of a replica: TTFT and ITL under a load."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.tuner.base import Tuner, Update
from optimizer.performance.tuner.errors import TunerError
from optimizer.performance.tuner.first_fit import first_fit
from optimizer.performance.tuner.gated_filter import GatedFilter, Weighed
from optimizer.performance.tuner.learnt import LearntTiming
from optimizer.performance.tuner.observation import Observation, ServingObservation
from optimizer.performance.tuner.serving_prediction import (
    TIMES,
    Prediction,
    ServedLoads,
    ServingPredictor,
)
from optimizer.performance.tuner.settings import TunedReplica, TunerSettings
from optimizer.performance.tuner.starting_point import above_zero, starting_point
from optimizer.performance.tuner.tally import Tally
from queue_models import OutsideValidityError, ServiceProcessError, Timing

__all__ = ["ExtendedKalmanTuner"]

FloatArray = NDArray[np.float64]

# The first observations are fitted together until so many agree, or so many were seen.
_AGREEING, _MOST_FIRST = 5, 12
# Scales of all times that are tried before the first fit.
_SCALES = np.geomspace(0.1, 10.0, 25)
# A correction of a predicted time's logarithm beyond this is made from a prediction closer by.
_LINEAR, _RELINEARISED = 0.1, 3
_MOST_SD = 3.0
# Distance of a logarithm from the anchor at which derivatives are taken anew.
_FAR_FROM_ANCHOR = 0.2
# What a change of the replica may do to the logarithms of each parameter, and of all together.
_CHANGE_SD, _COMMON_CHANGE_SD = 0.5, 0.7
# Residuals of observations that agree, in standard deviations of the noise.
_AGREES = 3.0
# When scales are compared: noise, and how far off is an overload that is none.
_SCAN_SD, _FAR = 0.2, 3.0
# Without a start, spread of the logarithms about the guess.
_GUESS_SD = 1.2


@final
class ExtendedKalmanTuner(Tuner):
    """Logarithms of the parameters follow the logarithms of observed over predicted TTFT and ITL.

    The queue model of the replica predicts; its derivatives are central differences. The first
    five observations are fitted together, robustly; afterwards each corrects the state, or is
    rejected, or, with others in a row that agree with each other, begins anew, as `GatedFilter`
    says. A replica that is overloaded, or that the model thinks is, tells by its ITL alone.
    """

    name: ClassVar[str] = "extended-kalman"
    summary: ClassVar[str] = "extended Kalman filter on TTFT and ITL: needs monitoring alone"
    source: ClassVar[str] = "Bar-Shalom, Li and Kirubarajan, Estimation with Applications, ch. 10"
    observes: ClassVar[type[Observation]] = ServingObservation

    def __init__(
        self,
        replica: TunedReplica,
        start: Timing | None = None,
        settings: TunerSettings | None = None,
    ) -> None:
        super().__init__(replica, start, settings)
        self._predictor = ServingPredictor(self.law, replica)
        self._tally = Tally()
        self._filter: GatedFilter | None = None
        # The first observations, later those rejected in a row.
        self._kept: list[ServingObservation] = []
        self._begun = False
        self._prediction_sd = 0.0
        # Where derivatives are taken: following every step, they would turn noise into knowledge
        # of what a constant load cannot tell.
        self._anchor = np.zeros(0)

    def update(self, observation: Observation) -> Update:
        """Take a window of serving into account; see `Tuner.update`."""
        fault = self._tally.fault(observation, ServingObservation)
        if fault:
            return self._tally.refuse(fault)
        assert isinstance(observation, ServingObservation)
        loads = ServedLoads.of([observation], self.replica.max_batch)
        observed = {
            name: float(np.exp(value))
            for name, value in zip(TIMES, loads.log_times[0], strict=True)
            if np.isfinite(value)
        }
        try:
            if not self._begun:
                return self._begin(observation, loads, observed)
            return self._correct(observation, loads, observed)
        except (OutsideValidityError, ServiceProcessError) as error:
            return self._tally.refuse(f"no load for the queue model: {error}")

    @property
    def learnt(self) -> LearntTiming | None:
        """What is known now; see `Tuner.learnt`."""
        if self._filter is None:
            return None
        noise = [math.sqrt(self._filter.noise_variance(i)) for i in range(len(TIMES))]
        return LearntTiming(
            law=self.law,
            values=np.exp(self._filter.mean),
            log_covariance=self._filter.covariance,
            noise_log_sd=dict(zip(TIMES, noise, strict=True)),
            accepted=self._tally.accepted,
            rejected=self._tally.rejected,
            reopened=self._tally.reopened,
            prediction_log_sd=self._prediction_sd,
        )

    def checkpoint(self) -> dict[str, Any]:
        """Return all that it knows; see `Tuner.checkpoint`."""
        return self.header() | {
            "tally": self._tally.document(),
            "filter": None if self._filter is None else self._filter.document(),
            "kept": [asdict(one) for one in self._kept],
            "begun": self._begun,
            "prediction_sd": self._prediction_sd,
            "anchor": self._anchor.tolist(),
        }

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Return a tuner that goes on; see `Tuner.restore`."""
        tuner = cls.from_header(checkpoint)
        try:
            tuner._tally = Tally(**checkpoint["tally"])
            tuner._kept = [ServingObservation(**one) for one in checkpoint["kept"]]
            tuner._begun = bool(checkpoint["begun"])
            tuner._prediction_sd = float(checkpoint["prediction_sd"])
            tuner._anchor = np.array(checkpoint["anchor"], dtype=np.float64)
            if checkpoint["filter"] is not None:
                size = len(tuner.law.parameters)
                tuner._filter = tuner._new_filter(np.zeros(size), np.eye(size))
                tuner._filter.take(checkpoint["filter"])
        except (KeyError, TypeError, ValueError) as error:
            raise TunerError(f"checkpoint: not readable: {error}") from error
        return tuner

    def _begin(
        self, observation: ServingObservation, loads: ServedLoads, observed: dict[str, float]
    ) -> Update:
        """Fit all observations so far together."""
        predicted = {}
        if self._filter is not None:
            predicted = _named(self._predictor.log_times(self._filter.mean[None, :], loads)[0, 0])
        mean, sd = self._prior(observation)
        agreeing = self._fit([*self._kept, observation], mean, np.diag(sd**2))
        self._kept.append(observation)
        self._tally.accepted += 1
        if agreeing >= _AGREEING or len(self._kept) >= _MOST_FIRST:
            self._kept, self._begun = [], True
        return Update(
            accepted=True,
            reason="fitted with the first observations",
            predicted_ms={name: predicted[name] for name in observed if name in predicted},
            observed_ms=observed,
        )

    def _correct(
        self, observation: ServingObservation, loads: ServedLoads, observed: dict[str, float]
    ) -> Update:
        """Correct the state by one observation, or reject it."""
        assert self._filter is not None
        first, weighed = self._weighed(loads)
        predicted = {n: v for n, v in _named(first.log_predicted[0]).items() if n in observed}
        if weighed is None:
            return self._tally.refuse("overloaded, and no itl_ms to learn from")
        verdict = self._filter.decide(weighed)
        anew = False
        if verdict.accepted:
            self._kept = []
            self._know_spread(weighed.jacobian)
            if np.max(np.abs(self._filter.mean - self._anchor)) > _FAR_FROM_ANCHOR:
                self._anchor = self._filter.mean
        else:
            self._kept = [*self._kept, observation][-2 * self.settings.reopen_after :]
            anew = verdict.overdue and self._begin_anew()
        return self._tally.judged(verdict, predicted, observed, anew=anew)

    def _weighed(self, loads: ServedLoads) -> tuple[Prediction, Weighed | None]:
        """Return the prediction at the state, and what the innovation would do.

        Iterated as in Bell and Cathey (1993): where the correction is large, the derivatives are
        those at its end, and the innovation is as seen from the state. An observation beyond the
        gate as it stands is an outlier, and is not to make its own excuse.
        """
        assert self._filter is not None
        first = near = self._predictor.predict(self._filter.mean, loads, self._anchor)
        moved, weighed = np.zeros(self._filter.mean.size), None
        for _ in range(_RELINEARISED):
            rows = np.flatnonzero(near.counts[0])
            if not rows.size:
                return first, weighed
            jacobian = near.jacobian[0, rows]
            weighed = self._filter.weigh(
                near.innovation[0, rows] + jacobian @ moved,
                jacobian,
                tuple(rows.tolist()),
                near.more_variance[0, rows],
            )
            further = weighed.mean - self._filter.mean - moved
            if not weighed.passes or np.max(np.abs(jacobian @ further)) < _LINEAR:
                break
            moved = moved + further
            near = self._predictor.predict(weighed.mean, loads)
        return first, weighed

    def _begin_anew(self) -> bool:
        """Fit what was rejected in a row; True where it agrees with itself, or goes on for long.

        A change shows alike in all that follows it, outliers do not: those are waited out, until
        there are too many of them to stay at what was believed.
        """
        assert self._filter is not None
        before, anchor = self._filter.document(), self._anchor
        size = self._filter.mean.size
        change = _CHANGE_SD**2 * np.eye(size) + _COMMON_CHANGE_SD**2 * np.ones((size, size))
        agreeing = self._fit(self._kept, self._filter.mean, self._filter.covariance + change)
        if agreeing >= self.settings.reopen_after:
            self._kept = []
            return True
        self._filter.take(before)
        self._anchor = anchor
        if self._filter.rejected_in_a_row < 2 * self.settings.reopen_after:
            return False
        self._filter.reopen(self.settings.reopen_log_sd)
        return True

    def _fit(
        self, seen: Sequence[ServingObservation], mean: FloatArray, covariance: FloatArray
    ) -> int:
        """Fit observations together, about a prior; return how many of them agree with the fit."""
        loads = ServedLoads.of(seen, self.replica.max_batch)
        if self._filter is None:
            self._filter = self._new_filter(mean, covariance)
        noise = np.array([math.sqrt(self._filter.noise_variance(i)) for i in range(len(TIMES))])

        def linearised(state: FloatArray) -> tuple[FloatArray, FloatArray]:
            found = self._predictor.predict(state, loads)
            return found.innovation, found.jacobian

        at_mean = self._predictor.predict(mean, loads)
        spread = np.sqrt(noise**2 + at_mean.more_variance)
        found, posterior = first_fit(
            linearised, mean, covariance, self._starts(mean, loads), spread
        )
        residuals, jacobian = linearised(found)
        self._filter.begin_anew(found, posterior)
        self._anchor = found
        self._know_spread(jacobian[-1])
        return int(np.sum(np.all(np.abs(residuals) < _AGREES * spread, axis=1)))

    def _starts(self, mean: FloatArray, loads: ServedLoads) -> list[FloatArray]:
        """Return where to begin a fit: at the multiples of all times that suit each observation."""
        assert self._filter is not None
        states = mean + np.log(_SCALES)[:, None]
        off = loads.log_times - self._predictor.log_times(states, loads)
        off[:, loads.full, 0] = np.nan
        far = np.nan_to_num(off, nan=0.0, posinf=_FAR, neginf=-_FAR)
        suits = np.argmin(np.sum(far**2, axis=2), axis=0)
        together = int(np.argmin(np.sum(np.log1p((far / _SCAN_SD) ** 2), axis=(1, 2))))
        return [states[place] for place in sorted({together, *suits.tolist()})]

    def _prior(self, observation: ServingObservation) -> tuple[FloatArray, FloatArray]:
        """Return mean and spread of the logarithms before anything was observed."""
        if self.start is None:
            guess = starting_point(self.law, self._kept[0] if self._kept else observation)
            return np.log(guess), np.full(guess.size, _GUESS_SD)
        values = above_zero(self.law, self.start, self.replica)
        spread = np.where(self.start > 0, self.settings.start_log_sd, _GUESS_SD)
        return np.log(values), spread

    def _know_spread(self, jacobian: FloatArray) -> None:
        assert self._filter is not None
        spread = np.einsum("ij,jk,ik->i", jacobian, self._filter.covariance, jacobian)
        self._prediction_sd = float(np.sqrt(max(float(np.max(spread)), 0.0)))

    def _new_filter(self, mean: FloatArray, covariance: FloatArray) -> GatedFilter:
        return GatedFilter(mean, covariance, TIMES, self.settings, _MOST_SD)


def _named(logs: FloatArray) -> dict[str, float]:
    """Return predicted times by name, but for those that are infinite."""
    return {
        name: math.exp(value)
        for name, value in zip(TIMES, logs.tolist(), strict=True)
        if value < math.inf
    }
