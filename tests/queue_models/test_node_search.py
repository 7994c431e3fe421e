"""Crossings between fixed nodes: right, in few evaluations, monotone whatever the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models.node_search import crossing

NODES = np.array([0.001, 0.5, 1.0, 2.0, 3.0, 5.0, 12.0])


def _counted(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], list[int]]:
    asked: list[int] = []

    def counting(pairs: np.ndarray, points: np.ndarray) -> np.ndarray:
        asked.append(len(pairs))
        return function(pairs, points)

    return counting, asked


def test_smooth_crossings_take_seven_evaluations() -> None:
    """Of logarithms of queueing delays: within the precision, from below, 7 evaluations each."""
    wanted = np.linspace(0.01, 11.0, 300)
    level = np.log(0.2 + wanted**2 * np.exp(0.7 * wanted))

    def excess(pairs: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.log(0.2 + x**2 * np.exp(0.7 * x)) - level[pairs]

    counting, asked = _counted(excess)
    came = crossing(counting, NODES, wanted.size, 1e-7)
    left = excess(np.arange(wanted.size), came)
    assert np.all((left <= 0) & (left >= -1e-7))
    assert sum(asked) <= 7.5 * wanted.size


@pytest.mark.parametrize(("sign", "wanted"), [(1.0, 0.0), (-1.0, 12.0)])
def test_no_crossing_is_an_end(sign: float, wanted: float) -> None:
    """Positive everywhere gives 0, positive nowhere the last node, in three evaluations."""
    counting, asked = _counted(lambda _, x: sign * (x + 1.0))
    assert np.all(crossing(counting, NODES, 5, 1e-7) == wanted)
    assert sum(asked) == 15


def test_jumps_and_infinite_values_are_closed_in_on_from_below() -> None:
    """At a jump, from -inf too, the answer is where the function is not positive yet."""
    jumps = np.array([0.7, 1.9, 4.4, 11.9])
    for low, high in ((-1.0, 1.0), (-np.inf, 3.0), (-1e-3, 1e6), (-np.inf, np.inf)):

        def jump(pairs: np.ndarray, x: np.ndarray, ends: tuple[float, float] = (low, high)) -> Any:
            return np.where(x < jumps[pairs], *ends)

        came = crossing(jump, NODES, 4, 1e-9)
        assert np.all((came <= jumps) & (came >= jumps * (1 - 1e-8))), (low, high)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    waves=st.floats(0.0, 0.5),
    pace=st.floats(1.0, 200.0),
    levels=st.tuples(st.floats(0.1, 9.0), st.floats(0.1, 9.0)),
)
def test_the_interval_is_monotone_in_the_level_whatever_the_function(
    waves: float, pace: float, levels: tuple[float, float]
) -> None:
    """However a function wavers, a higher level never falls into an earlier interval."""
    low, high = sorted(levels)

    def wavering(_: np.ndarray, x: np.ndarray) -> np.ndarray:
        return x + waves * np.sin(pace * x)

    found = [
        crossing(lambda pairs, x, b=level: wavering(pairs, x) - b, NODES, 1, 1e-9)[0]
        for level in (low, high)
    ]
    interval = np.searchsorted(NODES, found, side="right")
    assert interval[1] >= interval[0]
    if waves * pace < 1.0:
        assert found[1] >= found[0] * (1 - 1e-8)
