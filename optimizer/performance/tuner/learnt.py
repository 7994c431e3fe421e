"""What was learnt of a replica's timing, and how well it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.tuner.law import TimingLaw
from queue_models import Timing

__all__ = ["LearntTiming"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class LearntTiming:
    """Parameters of a law of timing with the covariance of their logarithms.

    Parameters
    ----------
    law
        The law.
    values
        (n,), > 0: the parameters.
    log_covariance
        (n, n): covariance of the logarithms of true over learnt parameters. Their errors are tied
        together: predictions near the observed loads are far better known than each parameter.
    noise_log_sd
        By name of a time, the spread of single observations about the law.
    accepted, rejected
        Observations that were taken in, and that were not.
    reopened
        How often rejections in a row were taken for a change of the replica.
    prediction_log_sd
        Standard deviation of the logarithm of predicted times at the loads observed last.
    """

    law: TimingLaw
    values: FloatArray
    log_covariance: FloatArray
    noise_log_sd: dict[str, float]
    accepted: int
    rejected: int
    reopened: int
    prediction_log_sd: float

    @property
    def timing(self) -> Timing:
        """The timing, as queue models take it."""
        return self.law.timing(self.values)

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters by name."""
        return dict(zip(self.law.parameters, self.values.tolist(), strict=True))

    @property
    def log_sd(self) -> dict[str, float]:
        """Standard deviation of the logarithm of each parameter, by name."""
        spread = np.sqrt(np.maximum(np.diag(self.log_covariance), 0.0))
        return dict(zip(self.law.parameters, spread.tolist(), strict=True))

    @property
    def confidence(self) -> float:
        """Probability that times predicted at the loads observed last are within 10 % of true."""
        if self.prediction_log_sd <= 0:
            return 1.0
        return 2 * NormalDist().cdf(math.log(1.1) / self.prediction_log_sd) - 1

    def interval(self, name: str, confidence: float = 0.95) -> tuple[float, float]:
        """Return the interval that holds a parameter with this confidence."""
        width = NormalDist().inv_cdf((1 + confidence) / 2) * self.log_sd[name]
        value = self.parameters[name]
        # A parameter that nothing is known of has an interval without end.
        grown = math.exp(min(width, 700.0))
        return value / grown, value * grown
