"""The kinds of numbers the formulas take: one, or an array of them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["FloatArray", "Number"]

FloatArray: TypeAlias = NDArray[np.float64]
Number: TypeAlias = float | FloatArray
