"""Requests of several services on the same replicas, as one stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.fleet.load_lengths import lengths_of
from optimizer.spec.service import LoadSpec
from queue_models import Lengths

__all__ = ["RequestMix"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RequestMix:
    """A stream of requests of several kinds.

    Parameters
    ----------
    rate_rps
        Requests per second of all kinds together.
    input_tokens, output_tokens
        Their lengths, of shape ().
    length_covariance
        Covariance of a request's prompt and output: kinds differ in both at once.
    arrival_scv
        Squared coefficient of variation of the times between arrivals.
    prefix_hit_rate
        Share of all prompt tokens found in the prefix cache.
    """

    rate_rps: float
    input_tokens: Lengths
    output_tokens: Lengths
    length_covariance: float
    arrival_scv: float
    prefix_hit_rate: float

    @classmethod
    def of(cls, loads: Sequence[LoadSpec], rates_rps: Sequence[float]) -> RequestMix:
        """Merge the requests of several services.

        Parameters
        ----------
        loads
            Of each service.
        rates_rps
            What each is sized for, >= 0; those that do not come count for nothing, and where none
            comes all are as frequent.

        Notes
        -----
        Poisson streams merge into one. Of others the SCV is the mean by rate, which is exact for
        the number of arrivals over long times (Whitt 1982, the asymptotic method); within short
        times a merged stream is nearer to Poisson.
        """
        rates = np.array(rates_rps, dtype=np.float64)
        if (rates > 0).any():
            loads = [load for load, rate in zip(loads, rates_rps, strict=True) if rate > 0]
            rates = rates[rates > 0]
            shares = rates / rates.sum()
        else:
            shares = np.full(len(rates), 1.0 / len(rates))
        prompts = np.array([load.mean_input_tokens for load in loads])
        outputs = np.array([load.mean_output_tokens for load in loads])
        tokens = shares * prompts
        kinds = [lengths_of(loads, name) for name in ("input_tokens", "output_tokens")]
        return cls(
            rate_rps=float(rates.sum()),
            input_tokens=Lengths.mixture(kinds[0], shares),
            output_tokens=Lengths.mixture(kinds[1], shares),
            length_covariance=_covariance(prompts, outputs, shares),
            arrival_scv=_mean([load.arrival_scv for load in loads], shares),
            prefix_hit_rate=_mean([load.prefix_hit_rate for load in loads], tokens / tokens.sum())
            if tokens.sum() > 0
            else 0.0,
        )


def _mean(values: ArrayLike, shares: FloatArray) -> float:
    """Return a mean that is what all values are where they are equal, to the last digit.

    Many models know Poisson arrivals alone: of Poisson streams the mean must be 1, not nearly 1.
    """
    each = np.asarray(values, dtype=np.float64)
    mean = each[0] + shares @ (each - each[0])
    return float(np.clip(mean, each.min(), each.max()))


def _covariance(first: FloatArray, second: FloatArray, shares: FloatArray) -> float:
    """Return a covariance that is 0 where all of one kind of values are equal."""
    one, other = first - first[0], second - second[0]
    return float(shares @ (one * other) - (shares @ one) * (shares @ other))
