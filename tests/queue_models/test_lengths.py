"""Distributions of lengths: moments, points, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import Lengths, ServiceProcessError

MEANS = st.floats(1.0, 1e5)


def _check_points(lengths: Lengths, points: int) -> None:
    values, probabilities = lengths.quantised(points)
    assert values.shape == probabilities.shape == (lengths.mean.size, points)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-9)
    assert (values >= 0).all()
    for order in (1, 2):
        came = (probabilities * values**order).sum(axis=1)
        np.testing.assert_allclose(came, lengths.raw_moment(order).ravel(), rtol=1e-6)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(MEANS, st.floats(1e-6, 9.0), st.sampled_from([2, 16, 64]))
def test_points_keep_mass_mean_and_second_moment(mean: float, scv: float, points: int) -> None:
    """Quantised lognormals and geometrics have the probability, mean and second moment of these."""
    _check_points(Lengths.lognormal([mean], [scv]), points)
    _check_points(Lengths.geometric([mean]), points)
    _check_points(Lengths.fixed([mean]), points)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.floats(0.01, 10.0)), min_size=1, max_size=200),
    st.sampled_from([2, 16, 64]),
)
def test_points_of_histograms(rows: list[tuple[int, float]], points: int) -> None:
    """Quantised histograms keep mean and second moment, whatever the order of the values."""
    values, weights = zip(*rows, strict=True)
    lengths = Lengths.empirical(values, weights)
    mean = np.average(values, weights=weights)
    second = np.average(np.square(values, dtype=float), weights=weights)
    np.testing.assert_allclose(lengths.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(lengths.raw_moment(2), second, rtol=1e-9, atol=1e-12)
    _check_points(lengths, points)


def test_moments_of_a_geometric_are_those_of_its_probabilities() -> None:
    """The three raw moments agree with sums over the distribution."""
    k = np.arange(1, 20_000)
    p = (1 / 37.0) * (1 - 1 / 37.0) ** (k - 1)
    lengths = Lengths.geometric(37.0)
    for order in (1, 2, 3):
        np.testing.assert_allclose(lengths.raw_moment(order), p @ k.astype(float) ** order)


def test_tail_quantiles_of_points_are_close() -> None:
    """The 99th percentile of 64 points lies within 5 % of the lognormal's."""
    mean, scv = 512.0, 2.25
    values, probabilities = Lengths.lognormal([mean], [scv]).quantised(64)
    order = np.argsort(values[0])
    above = np.cumsum(probabilities[0][order]) >= 0.99
    s = np.sqrt(np.log1p(scv))
    exact = mean * np.exp(-s * s / 2 + s * 2.3263478740408408)
    assert abs(values[0][order][above][0] / exact - 1) < 0.05


def test_stack_keeps_each_distribution() -> None:
    """Stacked distributions answer as they do alone, histograms included."""
    parts = [
        Lengths.fixed(10.0),
        Lengths.empirical([1, 5, 9]),
        Lengths.lognormal([20.0, 30.0], 1.5),
        Lengths.empirical([100, 300], [3, 1]),
        Lengths.geometric(7.0),
    ]
    together = Lengths.stack(parts)
    for order in (1, 2, 3):
        alone = np.concatenate([part.raw_moment(order).ravel() for part in parts])
        np.testing.assert_allclose(together.raw_moment(order), alone)
    swapped = together.take(np.array([4, 1]))
    np.testing.assert_allclose(swapped.raw_moment(2), together.raw_moment(2)[[4, 1]])


def test_scaled_scales_moments() -> None:
    """A length times a factor has its moments times the factor's powers."""
    lengths = Lengths.stack([Lengths.empirical([10, 50]), Lengths.lognormal(20.0, 0.5)])
    half = lengths.scaled([0.5, 1.0])
    for order in (1, 2, 3):
        wanted = lengths.raw_moment(order) * np.array([0.5**order, 1.0])
        np.testing.assert_allclose(half.raw_moment(order), wanted)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Lengths.geometric(0.5), "Lengths.geometric.mean"),
        (lambda: Lengths.lognormal(10.0, -1.0), "Lengths.lognormal.scv"),
        (lambda: Lengths.fixed(-1.0), "Lengths.fixed.tokens"),
        (lambda: Lengths.empirical([1, 2], [0, 0]), "weight above 0"),
        (lambda: Lengths.empirical([1, 2], [1]), "lists of one length"),
        (lambda: Lengths.empirical([]), "lists of one length"),
    ],
)
def test_bad_lengths_are_refused(make: object, word: str) -> None:
    """What is out of range is named."""
    with pytest.raises(ServiceProcessError, match=word):
        make()  # type: ignore[operator]
