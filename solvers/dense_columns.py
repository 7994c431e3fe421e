"""The columns that matter of a problem with dense rows, as dense arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.grouped_columns import GroupedColumns
from solvers.problem import FloatArray, IntArray

__all__ = ["DenseColumns"]

# Limits of rows with fractional entries are lowered by this share: sums in another order stay
# within the whole.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class DenseColumns:
    """Columns near their group's least reduced cost, and the rows that are limited.

    Parameters
    ----------
    positions
        (n,), ascending, in the whole problem.
    cost
        (n,).
    usage
        (n, m).
    group
        (n,).
    slack
        (n,), distance of each from its group's least at the prices.
    limit, prices
        (m,).
    """

    positions: IntArray
    cost: FloatArray
    usage: FloatArray
    group: IntArray
    slack: FloatArray
    limit: FloatArray
    prices: FloatArray

    @classmethod
    def near(
        cls,
        columns: GroupedColumns,
        limit: FloatArray,
        prices: FloatArray,
        choice: IntArray,
        within: float,
    ) -> DenseColumns:
        """Take the columns within a distance, and those of a choice (G,), in positions.

        Parameters
        ----------
        limit
            (m,), `inf` allowed: such rows are left out.
        """
        bounded = np.flatnonzero(np.isfinite(limit))
        near, distance = columns.below(prices, within)
        positions = np.union1d(near, choice)
        slack = np.zeros(len(positions))
        slack[np.searchsorted(positions, near)] = distance
        usage = np.ascontiguousarray(columns.usage.take(positions).to_dense()[bounded].T)
        whole = (usage == np.floor(usage)).all(axis=0)
        return cls(
            positions,
            columns.cost[positions],
            usage,
            columns.group_of(positions),
            slack,
            np.where(whole, limit[bounded], limit[bounded] * (1.0 - _ROUNDING)),
            prices[bounded],
        )
