"""What the controller is compared with: other ways to scale the same simulated fleet."""

from __future__ import annotations

from optimizer.control.lab.baselines.base import Baseline, Surroundings
from optimizer.control.lab.baselines.greedy import GreedyBaseline
from optimizer.control.lab.baselines.horizontal import HorizontalBaseline
from optimizer.control.lab.baselines.saturation import SaturationBaseline
from optimizer.control.lab.baselines.static_peak import StaticPeakBaseline

__all__ = [
    "Baseline",
    "GreedyBaseline",
    "HorizontalBaseline",
    "SaturationBaseline",
    "StaticPeakBaseline",
    "Surroundings",
]
