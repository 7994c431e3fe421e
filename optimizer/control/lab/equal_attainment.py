"""The autoscaler to compare with: the cheapest of its kind that keeps as many requests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from optimizer.control.lab.results import PolicyRun

__all__ = ["Setting", "cheapest_equal"]

# Stabilisation windows of reductions that are tried; 300 s is Kubernetes' default, 3600 s the most.
_DOWN_WINDOWS_S = (0.0, 300.0, 1800.0, 3600.0)
# On requests in flight, which lag behind a load that rises.
_IN_FLIGHT_WINDOWS_S = (300.0,)
# Targets between which is searched, as shares of what a replica carries; ratio at which it ends.
_LEAST_SHARE, _MOST_SHARE = 0.15, 1.1
_EXACT = 1.02


class Setting(NamedTuple):
    """How a horizontal autoscaler is set; see `HorizontalBaseline`."""

    target_share: float
    down_window_s: float
    by_rate: bool

    def __str__(self) -> str:
        metric = "requests per second" if self.by_rate else "requests in flight"
        share, window_s = self.target_share, self.down_window_s
        return f"{share:.1%} of a replica's {metric}, down window {window_s:g} s"


def cheapest_equal(run: Callable[[Setting], PolicyRun], attainment: float) -> PolicyRun:
    """Return the cheapest run that keeps at least as much; without any, the one that keeps most.

    For every window the largest target that keeps as much is found by bisection. The day is known
    to who tunes so, which no autoscaler is: it is the strongest of its kind.

    Parameters
    ----------
    run
        Runs the scenario with a setting.
    attainment
        What is to be kept.
    """
    tried: list[PolicyRun] = []
    for by_rate, windows in ((True, _DOWN_WINDOWS_S), (False, _IN_FLIGHT_WINDOWS_S)):
        for window_s in windows:
            low, high = math.log(_LEAST_SHARE), math.log(_MOST_SHARE)
            while high - low > math.log(_EXACT):
                middle = (low + high) / 2.0
                one = run(Setting(math.exp(middle), window_s, by_rate))
                tried.append(one)
                if one.score.attainment >= attainment:
                    low = middle
                else:
                    high = middle
    equal = [one for one in tried if one.score.attainment >= attainment]
    if equal:
        return min(equal, key=lambda one: one.score.gpu_hours)
    return max(tried, key=lambda one: one.score.attainment)
