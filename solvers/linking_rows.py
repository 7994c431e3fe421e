"""Rows that parts of a problem share, with further columns; what prices make of them."""

from __future__ import annotations

import math

import numpy as np

from solvers.problem import FloatArray
from solvers.sparse_columns import SparseColumns

__all__ = ["LinkingRows"]


class LinkingRows:
    """Rows over plans of parts and over further columns z, which belong to no part.

    Attributes
    ----------
    lower, upper
        (rows,), `-inf` and `inf` allowed.
    of_z
        (rows, z).
    z_cost, z_lower, z_upper
        (z,).
    """

    lower: FloatArray
    upper: FloatArray
    of_z: SparseColumns
    z_cost: FloatArray
    z_lower: FloatArray
    z_upper: FloatArray

    def signed(self, duals: FloatArray) -> FloatArray:
        """Return duals whose signs their rows allow, and that no unlimited z outweighs."""
        y = np.where((duals > 0) & np.isinf(self.lower), 0.0, duals)
        y = np.where((y < 0) & np.isinf(self.upper), 0.0, y)
        slack = self.z_cost - self.of_z.weighed(y)
        broken = np.isinf(self.z_upper) & (slack < 0)
        if broken.any():
            weight = self.of_z.weighed(y)
            share = np.where(
                broken, np.maximum(self.z_cost, 0.0) / np.where(broken, weight, 1.0), 1
            )
            scale = np.ones(len(y))
            np.minimum.at(scale, self.of_z.rows, share[self.of_z.columns] * (1 - 1e-12))
            y = y * scale
        return y

    def constant(self, duals: FloatArray) -> float:
        """Return what limits and shared z are worth at duals: the bound but for the groups."""
        limit = np.where(duals > 0, self.lower, np.where(duals < 0, self.upper, 0.0))
        slack = self.z_cost - self.of_z.weighed(duals)
        with np.errstate(invalid="ignore"):
            z = np.where(
                slack > 0, self.z_lower * slack, np.where(slack < 0, self.z_upper * slack, 0.0)
            )
        return math.fsum((duals * limit).tolist()) + math.fsum(z.tolist())
