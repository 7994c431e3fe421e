"""Quality of the answer against the share of tokens recomputed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.errors import Fault, SpecError
from optimizer.kv.ranges import Range, refuse_outside

__all__ = ["QualityModel", "SaturatingQuality", "fit_quality"]

FloatArray = NDArray[np.float64]

_RANGES = {
    "at_zero": Range(low=-1e6, high=1e6),
    "at_one": Range(low=-1e6, high=1e6),
    "rate": Range(above=True, high=1e6),
}
# Rates tried when fitting: a nearly straight line, and a step at the first percent.
_LEAST_RATE, _LARGEST_RATE = 1e-3, 1e3
_RATES_TRIED, _REFINEMENTS = 200, 6


class QualityModel(Protocol):
    """Expected quality at a recompute ratio; rising, in the metric's own scale."""

    def quality(self, ratio: ArrayLike) -> FloatArray:
        """Return the expected quality at `ratio` in [0, 1]."""
        ...

    def ratio_for(self, quality: float) -> float | None:
        """Return the least ratio that reaches `quality`; None where none does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturatingQuality:
    """Q(r) = Q0 + (Q1 - Q0) (1 - exp(-k r)) / (1 - exp(-k)): exact at r = 0 and r = 1.

    Parameters
    ----------
    at_zero, at_one
        Quality Q0 of loading alone and Q1 of computing everything; Q0 <= Q1.
    rate
        k > 0: the first 1/k of the tokens gain 63 % of what there is to gain.
    metric
        `F1`, `Rouge-L`, ...
    source
        Where the figures come from.

    Raises
    ------
    SpecError
        If a figure is outside its range or quality would fall.
    """

    at_zero: float
    at_one: float
    rate: float
    metric: str = "F1"
    source: str = ""

    def __post_init__(self) -> None:
        refuse_outside({name: getattr(self, name) for name in _RANGES}, _RANGES)
        if self.at_one < self.at_zero:
            message = f"must be at least the quality without recomputing, {self.at_zero:g}"
            raise SpecError([Fault(message, path="at_one", value=repr(self.at_one))])

    def quality(self, ratio: ArrayLike) -> FloatArray:
        """Return Q(r)."""
        gained = _gained(np.asarray(ratio, dtype=np.float64), self.rate)
        quality: FloatArray = self.at_zero + (self.at_one - self.at_zero) * gained
        return quality

    def ratio_for(self, quality: float) -> float | None:
        """Return the ratio at which Q(r) = quality, 0 where less is wanted; None beyond Q(1)."""
        if quality <= self.at_zero:
            return 0.0
        if quality > self.at_one:
            return None
        share = (quality - self.at_zero) / (self.at_one - self.at_zero)
        return min(1.0, float(-np.log1p(share * np.expm1(-self.rate)) / self.rate))


def fit_quality(
    ratios: Sequence[float],
    qualities: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    metric: str = "F1",
    source: str = "",
) -> SaturatingQuality:
    """Fit Q(0), Q(1) and the rate to points by least squares.

    For a given rate the curve is linear in Q0 and Q1, so that only the rate is searched
    (variable projection), on a logarithmic grid that is refined around the best.

    Parameters
    ----------
    ratios, qualities
        At least three points at three distinct ratios in [0, 1].
    weights
        Weight of each squared error; by default equal.
    metric, source
        As in `SaturatingQuality`.

    Returns
    -------
    SaturatingQuality
        Never falling: where points fall, flat at their weighted mean.

    Raises
    ------
    SpecError
        If there are too few points, lengths differ, or a ratio is outside [0, 1].
    """
    r, q = np.asarray(ratios, dtype=np.float64), np.asarray(qualities, dtype=np.float64)
    w = np.ones_like(r) if weights is None else np.asarray(weights, dtype=np.float64)
    _check_points(r, q, w)
    rates = np.geomspace(_LEAST_RATE, _LARGEST_RATE, _RATES_TRIED)
    for _ in range(_REFINEMENTS):
        errors = [_projected(rate, r, q, w)[0] for rate in rates]
        best = int(np.argmin(errors))
        around = rates[[max(best - 1, 0), min(best + 1, len(rates) - 1)]]
        rates = np.geomspace(around[0], around[1], _RATES_TRIED)
    rate = float(rates[int(np.argmin([_projected(rate, r, q, w)[0] for rate in rates]))])
    _, at_zero, at_one = _projected(rate, r, q, w)
    return SaturatingQuality(
        at_zero=at_zero, at_one=at_one, rate=rate, metric=metric, source=source
    )


def _gained(ratio: FloatArray, rate: float) -> FloatArray:
    gained: FloatArray = np.expm1(-rate * ratio) / np.expm1(-rate)
    return gained


def _projected(
    rate: float, r: FloatArray, q: FloatArray, w: FloatArray
) -> tuple[float, float, float]:
    """Return squared error, Q0 and Q1 of the best rising curve of one rate."""
    gained = _gained(r, rate)
    design = np.stack([1.0 - gained, gained], axis=1) * np.sqrt(w)[:, None]
    (at_zero, at_one), *_ = np.linalg.lstsq(design, q * np.sqrt(w), rcond=None)
    if at_one < at_zero:
        at_zero = at_one = np.average(q, weights=w)
    error = np.sum(w * (at_zero + (at_one - at_zero) * gained - q) ** 2)
    return float(error), float(at_zero), float(at_one)


def _check_points(r: FloatArray, q: FloatArray, w: FloatArray) -> None:
    refuse_outside(
        {"ratios": r, "qualities": q, "weights": w},
        {
            "ratios": Range(high=1.0),
            "qualities": Range(low=-1e6, high=1e6),
            "weights": Range(above=True, high=1e9),
        },
    )
    if not r.shape == q.shape == w.shape:
        message = f"{r.size} ratios, {q.size} qualities, {w.size} weights: must be as many of each"
        raise SpecError([Fault(message, path="ratios")])
    if np.unique(r).size < 3:
        message = "must be at three distinct ratios or more: three figures are fitted"
        raise SpecError([Fault(message, path="ratios", value=f"{np.unique(r).size} distinct")])
