"""Distributions of prompt and output lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import FloatArray, IntArray, checked_array
from queue_models.errors import ServiceProcessError
from queue_models.length_bins import empirical_bins, geometric_bins, lognormal_bins

__all__ = ["Histogram", "LengthFamily", "Lengths"]

# Points in place of each distribution in a mixture.
_MIXTURE_POINTS = 32

# In place of an index where a pair has no histogram.
_NO_HISTOGRAM = -1


class LengthFamily(IntEnum):
    """Family of a distribution of lengths."""

    FIXED = 0
    GEOMETRIC = 1  # on 1, 2, ...
    LOGNORMAL = 2
    EMPIRICAL = 3


@dataclass(frozen=True, eq=False)
class Histogram:
    """An empirical distribution: values (Q,) in increasing order and their probabilities (Q,)."""

    values: FloatArray
    probabilities: FloatArray

    def raw_moment(self, order: int) -> float:
        """Return E[X^order]."""
        return float(self.probabilities @ self.values**order)


@dataclass(frozen=True, eq=False)
class Lengths:
    """Distribution of a length in tokens, per pair; arrays have one common shape.

    Made by `fixed`, `geometric`, `lognormal`, `empirical`, `mixture` and `stack`.

    Parameters
    ----------
    family
        `LengthFamily` codes.
    mean
        Tokens.
    scv
        Squared coefficient of variation.
    histogram
        Index into `histograms` where the family is EMPIRICAL, else -1.
    histograms
        The empirical distributions.
    """

    family: NDArray[np.int8]
    mean: FloatArray
    scv: FloatArray
    histogram: IntArray
    histograms: tuple[Histogram, ...] = ()

    @classmethod
    def fixed(cls, tokens: ArrayLike) -> Lengths:
        """Every length is `tokens`, >= 0."""
        mean = checked_array("Lengths.fixed", "tokens", tokens, 0.0)
        return cls._of(LengthFamily.FIXED, mean, np.zeros_like(mean))

    @classmethod
    def geometric(cls, mean: ArrayLike) -> Lengths:
        """Geometric on 1, 2, ... with this mean, >= 1: a constant chance of ending at each token.

        Its squared coefficient of variation is 1 - 1/mean.
        """
        checked = checked_array("Lengths.geometric", "mean", mean, 1.0)
        return cls._of(LengthFamily.GEOMETRIC, checked, 1.0 - 1.0 / checked)

    @classmethod
    def lognormal(cls, mean: ArrayLike, scv: ArrayLike) -> Lengths:
        """Lognormal with this mean, > 0, and squared coefficient of variation, >= 0."""
        m = checked_array("Lengths.lognormal", "mean", mean, 0.0, above=True)
        v = checked_array("Lengths.lognormal", "scv", scv, 0.0)
        return cls._of(LengthFamily.LOGNORMAL, m, v)

    @classmethod
    def of_moments(cls, mean: ArrayLike, scv: ArrayLike) -> Lengths:
        """Known by mean, >= 0, and SCV, >= 0, alone: fixed where the SCV is 0, else lognormal."""
        m = checked_array("Lengths.of_moments", "mean", mean, 0.0)
        v = checked_array("Lengths.of_moments", "scv", scv, 0.0)
        varies = (v > 0) & (m > 0)
        lengths = cls._of(LengthFamily.FIXED, m, np.where(varies, v, 0.0))
        lengths.family[np.broadcast_to(varies, lengths.family.shape)] = LengthFamily.LOGNORMAL
        return lengths

    @classmethod
    def empirical(cls, values: ArrayLike, weights: ArrayLike | None = None) -> Lengths:
        """Lengths as observed, the same for every pair (shape ()).

        Parameters
        ----------
        values
            Tokens, >= 0, shape (Q,), in any order, repeated or not.
        weights
            How often each was seen, >= 0, shape (Q,); None: once each.
        """
        owner = "Lengths.empirical"
        seen = checked_array(owner, "values", values, 0.0)
        often = np.ones_like(seen) if weights is None else weights
        often = checked_array(owner, "weights", often, 0.0)
        if seen.ndim != 1 or seen.shape != often.shape or not often.sum() > 0:
            raise ServiceProcessError(
                f"{owner}: values and weights must be lists of one length, with a weight above 0; "
                f"came shapes {seen.shape} and {often.shape}"
            )
        distinct, place = np.unique(seen[often > 0], return_inverse=True)
        counts = np.bincount(place, weights=often[often > 0])
        histogram = Histogram(distinct, counts / counts.sum())
        mean = histogram.raw_moment(1)
        spread = float(histogram.probabilities @ (distinct - mean) ** 2)
        scv = spread / mean**2 if mean > 0 else 0.0
        return cls(
            np.array(LengthFamily.EMPIRICAL, dtype=np.int8),
            np.array(mean),
            np.array(scv),
            np.array(0, dtype=np.int64),
            (histogram,),
        )

    @classmethod
    def mixture(cls, kinds: Lengths, weights: ArrayLike) -> Lengths:
        """Lengths of requests of several kinds together (shape ()).

        Parameters
        ----------
        kinds
            One-dimensional, a distribution per kind.
        weights
            How often each kind comes, >= 0, shape as `kinds`.

        Notes
        -----
        Continuous kinds enter by a few points each, with their mean and second moment kept.
        """
        often = checked_array("Lengths.mixture", "weights", weights, 0.0)
        if kinds.mean.ndim != 1 or kinds.shape != often.shape:
            raise ServiceProcessError(
                f"Lengths.mixture: a weight per kind is wanted; came shapes {kinds.shape} and "
                f"{often.shape}"
            )
        values, probabilities = kinds.quantised(_MIXTURE_POINTS)
        return cls.empirical(values.ravel(), (probabilities * often[:, None]).ravel())

    @classmethod
    def stack(cls, parts: Sequence[Lengths]) -> Lengths:
        """Put distributions one after another into one dimension; a scalar counts as one pair."""
        histograms: list[Histogram] = []
        shifted = []
        for part in parts:
            known = part.histogram.ravel() != _NO_HISTOGRAM
            shifted.append(np.where(known, part.histogram.ravel() + len(histograms), _NO_HISTOGRAM))
            histograms += part.histograms
        return cls(
            np.concatenate([part.family.ravel() for part in parts]),
            np.concatenate([part.mean.ravel() for part in parts]),
            np.concatenate([part.scv.ravel() for part in parts]),
            np.concatenate(shifted),
            tuple(histograms),
        )

    @classmethod
    def _of(cls, family: LengthFamily, mean: FloatArray, scv: FloatArray) -> Lengths:
        shape = np.broadcast_shapes(mean.shape, scv.shape)
        return cls(
            np.full(shape, family, dtype=np.int8),
            np.broadcast_to(mean, shape),
            np.broadcast_to(scv, shape),
            np.full(shape, _NO_HISTOGRAM, dtype=np.int64),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the arrays."""
        return self.mean.shape

    def broadcast_to(self, shape: tuple[int, ...]) -> Lengths:
        """Return the distributions, repeated to this shape."""
        return Lengths(
            np.broadcast_to(self.family, shape),
            np.broadcast_to(self.mean, shape),
            np.broadcast_to(self.scv, shape),
            np.broadcast_to(self.histogram, shape),
            self.histograms,
        )

    def reshape(self, shape: tuple[int, ...]) -> Lengths:
        """Return the same distributions in another shape."""
        return Lengths(
            self.family.reshape(shape),
            self.mean.reshape(shape),
            self.scv.reshape(shape),
            self.histogram.reshape(shape),
            self.histograms,
        )

    def take(self, which: NDArray[Any]) -> Lengths:
        """Return the distributions selected by a mask or by indices."""
        return Lengths(
            self.family[which],
            self.mean[which],
            self.scv[which],
            self.histogram[which],
            self.histograms,
        )

    def scaled(self, factor: ArrayLike) -> Lengths:
        """Return the distributions of `factor` times the length, 0 < factor <= 1.

        A geometric becomes a lognormal of the same moments where the factor is not 1: a multiple of
        a geometric is none.
        """
        by = np.broadcast_to(np.asarray(factor, dtype=np.float64), self.shape)
        changed = by != 1.0
        if not changed.any():
            return self
        family = self.family.copy()
        family[changed & (family == LengthFamily.GEOMETRIC)] = LengthFamily.LOGNORMAL
        histogram = self.histogram.copy()
        histograms = list(self.histograms)
        for index in np.ndindex(self.shape):
            if changed[index] and family[index] == LengthFamily.EMPIRICAL:
                old = self.histograms[histogram[index]]
                histogram[index] = len(histograms)
                histograms.append(Histogram(old.values * by[index], old.probabilities))
        return Lengths(family, self.mean * by, self.scv, histogram, tuple(histograms))

    def raw_moment(self, order: int) -> FloatArray:
        """Return E[X^order] for order 1, 2 or 3.

        Notes
        -----
        Textbook moments of the lognormal, E[X^k] = mean^k (1 + scv)^(k(k-1)/2), and of the
        geometric, E[X^3] = 6 mean^3 - 6 mean^2 + mean.
        """
        if order not in (1, 2, 3):
            raise ValueError(f"order = {order}: 1, 2 or 3 is wanted")
        mean, spread = self.mean, 1.0 + self.scv
        moment: FloatArray = mean**order * spread ** (order * (order - 1) // 2)
        if order < 3:
            return moment
        geometric = self.family == LengthFamily.GEOMETRIC
        moment = np.where(geometric, mean * (1.0 - 6.0 * mean + 6.0 * mean**2), moment)
        for index, histogram in enumerate(self.histograms):
            moment = np.where(self.histogram == index, histogram.raw_moment(order), moment)
        return moment

    def quantised(self, points: int) -> tuple[FloatArray, FloatArray]:
        """Return values and probabilities on few points, with mean and second moment kept.

        Parameters
        ----------
        points
            Points per pair, even, >= 2.

        Returns
        -------
        values, probabilities
            Both (P, points), pairs flattened. Bins grow finer towards the upper tail; each has two
            points, one standard deviation below and above its own mean.
        """
        if points < 2 or points % 2:
            raise ValueError(f"points = {points}: an even number from 2 is wanted")
        family, mean, scv = self.family.ravel(), self.mean.ravel(), self.scv.ravel()
        values = np.repeat(mean[:, None], points, axis=1)
        probabilities = np.full((mean.size, points), 1.0 / points)
        for kind, bins in (
            (LengthFamily.GEOMETRIC, geometric_bins),
            (LengthFamily.LOGNORMAL, lognormal_bins),
        ):
            of_kind = np.flatnonzero((family == kind) & (scv > 0))
            if of_kind.size:
                values[of_kind], probabilities[of_kind] = bins(
                    mean[of_kind], scv[of_kind], points // 2
                )
        index_of = self.histogram.ravel()
        for index in np.unique(index_of[index_of != _NO_HISTOGRAM]).tolist():
            given = self.histograms[index]
            row = empirical_bins(given.values, given.probabilities, points // 2)
            values[index_of == index], probabilities[index_of == index] = row
        return values, probabilities
