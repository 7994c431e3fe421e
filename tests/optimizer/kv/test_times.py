"""Times of the model and of a layer do not mix."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from optimizer.kv import LayerTime, WholeModelTime


@pytest.mark.parametrize("combine", [operator.add, operator.sub, operator.le, operator.lt])
def test_a_whole_time_and_a_layer_time_are_never_combined(combine):
    """Arithmetic and order between the kinds, or with bare numbers, are type errors."""
    whole, layer = WholeModelTime(32.0), LayerTime(1.0)
    for other in (layer, 1.0, np.array([1.0, 2.0])):
        with pytest.raises(TypeError):
            combine(whole, other)
        with pytest.raises(TypeError):
            combine(other, whole)


def test_the_longer_of_both_kinds_is_refused_with_the_remedy():
    """The message names the conversions."""
    with pytest.raises(TypeError, match="per_layer"):
        WholeModelTime(1.0).maximum(LayerTime(1.0))
    with pytest.raises(TypeError, match="whole_model"):
        LayerTime(1.0).minimum(WholeModelTime(1.0))


def test_times_are_not_multiplied_with_times():
    """A product of times is no time; a share of one is."""
    with pytest.raises(TypeError):
        WholeModelTime(1.0) * WholeModelTime(2.0)
    assert 0.5 * WholeModelTime([2.0, 4.0]) == WholeModelTime([1.0, 2.0])
    assert np.array([1.0, 2.0]) * LayerTime(3.0) == LayerTime([3.0, 6.0])


def test_kinds_convert_by_the_number_of_layers():
    """There and back is the same; equal numbers of different kinds are not equal."""
    assert WholeModelTime(64.0).per_layer(32) == LayerTime(2.0)
    assert LayerTime(2.0).whole_model(32) == WholeModelTime(64.0)
    assert WholeModelTime(2.0) != LayerTime(2.0)
    assert WholeModelTime(2.0) - WholeModelTime(0.5) == WholeModelTime(1.5)
