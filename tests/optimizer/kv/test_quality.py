"""The quality curve and its fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.catalog import quality_points
from optimizer.errors import SpecError
from optimizer.kv import SaturatingQuality, fit_quality

CURVES = st.builds(
    lambda zero, gain, rate: SaturatingQuality(at_zero=zero, at_one=zero + gain, rate=rate),
    st.floats(0, 0.5),
    st.floats(0.01, 0.5),
    st.floats(0.05, 100),
)


@given(curve=CURVES)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_the_curve_rises_from_q0_to_q1(curve):
    """Exact at both ends, monotone and concave between."""
    values = curve.quality(np.linspace(0, 1, 101))
    assert values[0] == pytest.approx(curve.at_zero, abs=1e-15)
    assert values[-1] == pytest.approx(curve.at_one, rel=1e-12)
    steps = np.diff(values)
    assert np.all(steps >= -1e-15)
    assert np.all(np.diff(steps) <= 1e-12)


@given(curve=CURVES, share=st.floats(0, 1))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_the_inverse_gives_the_ratio_back(curve, share):
    """Q(ratio_for(q)) = q; less than Q(0) needs nothing, more than Q(1) is out of reach."""
    wanted = curve.at_zero + share * (curve.at_one - curve.at_zero)
    ratio = curve.ratio_for(wanted)
    assert ratio is not None
    assert float(curve.quality(ratio)) == pytest.approx(wanted, abs=1e-9)
    assert curve.ratio_for(curve.at_zero - 1) == 0
    assert curve.ratio_for(curve.at_one + 1) is None


@given(curve=CURVES)
@settings(deadline=None, max_examples=25, derandomize=True)
def test_a_fit_to_exact_points_finds_the_curve(curve):
    """Six points of a curve give it back everywhere."""
    ratios = np.array([0, 0.02, 0.05, 0.15, 0.4, 1.0])
    fitted = fit_quality(list(ratios), list(curve.quality(ratios)))
    everywhere = np.linspace(0, 1, 21)
    assert fitted.quality(everywhere) == pytest.approx(curve.quality(everywhere), abs=2e-4)


def test_cacheblends_musique_points():
    """0.15, 0.33 at 15 %, 0.35: k = ln(10) / 0.15 = 15.35."""
    points = quality_points("Musique")
    curve = fit_quality([p.ratio for p in points], [p.quality for p in points])
    assert curve.rate == pytest.approx(np.log(10) / 0.15, rel=1e-3)
    assert float(curve.quality(0.15)) == pytest.approx(0.33, abs=1e-6)


def test_yi_34b_keeps_its_loss_within_what_is_published():
    """Loss of at most 0.002 over 5-18 %: the fitted curve loses no more than that, nearly."""
    points = quality_points("2WikiMQA")
    curve = fit_quality([p.ratio for p in points], [p.quality for p in points])
    assert curve.at_one == pytest.approx(0.32, abs=0.002)
    assert float(curve.quality(0.05)) >= curve.at_one - 0.0025


def test_falling_points_make_a_flat_curve():
    """Noise never makes quality fall with recomputing."""
    curve = fit_quality([0, 0.5, 1], [0.4, 0.3, 0.2])
    assert curve.at_zero == curve.at_one == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("ratios", "qualities", "path"),
    [
        ([0, 1], [0.1, 0.2], "ratios"),
        ([0, 1, 1], [0.1, 0.2, 0.2], "ratios"),
        ([0, 0.5, 2], [0.1, 0.2, 0.3], "ratios"),
        ([0, 0.5, 1], [0.1, 0.2], "ratios"),
        ([0, 0.5, 1], [0.1, float("nan"), 0.2], "qualities"),
    ],
)
def test_points_that_fix_no_curve_are_refused(ratios, qualities, path):
    """Too few, doubled, out of range, of different number."""
    with pytest.raises(SpecError) as caught:
        fit_quality(ratios, qualities)
    assert caught.value.faults[0].path == path


def test_a_falling_curve_is_refused():
    """Q(1) below Q(0)."""
    with pytest.raises(SpecError, match="at_one"):
        SaturatingQuality(at_zero=0.3, at_one=0.2, rate=1.0)
