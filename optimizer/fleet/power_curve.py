"""Power of an accelerator instance over its utilisation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.spec.accelerator import AcceleratorSpec

__all__ = ["PowerCurve", "power_curve"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Piecewise linear power of one instance.

    Parameters
    ----------
    utilizations
        Where the pieces meet, rising from 0 to 1.
    powers_w
        Power there [W].
    """

    utilizations: tuple[float, ...]
    powers_w: tuple[float, ...]

    def watts(self, utilization: FloatArray) -> FloatArray:
        """Return the power at utilisations in [0, 1]; beyond, that of the nearer end."""
        found: FloatArray = np.interp(utilization, self.utilizations, self.powers_w)
        return found


def power_curve(accelerator: AcceleratorSpec) -> PowerCurve | None:
    """Return the curve of an accelerator instance; None where nobody knows its power.

    Without one of its own the catalogue's thermal design power holds at any utilisation.
    """
    power = accelerator.power
    if power is not None:
        if power.mid_w is None or power.mid_utilization is None:
            return PowerCurve((0.0, 1.0), (power.idle_w, power.full_w))
        return PowerCurve(
            (0.0, power.mid_utilization, 1.0), (power.idle_w, power.mid_w, power.full_w)
        )
    if accelerator.catalog is None:
        return None
    from optimizer.catalog import accelerator as facts_of

    watts = facts_of(accelerator.catalog).tdp_w
    if watts is None:
        return None
    return PowerCurve((0.0, 1.0), (watts * accelerator.cards,) * 2)
