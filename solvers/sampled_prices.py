"""Starting prices: the duals of the linear relaxation over a random sample of the groups."""

from __future__ import annotations

import numpy as np

from solvers.base import SolveParams
from solvers.grouped_columns import GroupedColumns
from solvers.highs_arrays import choice_programme, new_highs, run_highs
from solvers.problem import FloatArray

__all__ = ["draw_groups", "relaxation_prices"]

# Beyond this many times the total spread of the costs, over the capacity, no price is sensible:
# overloads of the sample cost that much, so that its relaxation always has a solution.
_OVERLOAD_COST = 100.0


def draw_groups(
    columns: GroupedColumns, size: FloatArray, count: int, random: np.random.Generator
) -> GroupedColumns:
    """Draw about `count` groups, large ones more often, by systematic sampling.

    Each stands for as many as its weight says: its costs and usages are multiplied by that.

    Parameters
    ----------
    size
        (G,), >= 0: half of the chance of a group is in proportion to it, half is the same for all.
        Weights are one over the chance, so that sums over the sample estimate sums over all.
    """
    groups = len(size)
    mean = float(size.mean())
    measure = 0.5 + 0.5 * size / mean if mean > 0 else np.ones(groups)
    chance = np.minimum(1.0, count * measure / measure.sum())
    passed = np.floor(np.cumsum(chance) + random.random())
    drawn = np.flatnonzero(np.diff(passed, prepend=0.0) > 0)
    weight = 1.0 / chance[drawn]
    weight *= groups / weight.sum()
    widths = np.diff(columns.starts)[drawn]
    ends = np.cumsum(widths)
    positions = np.repeat(columns.starts[drawn] - ends + widths, widths) + np.arange(int(ends[-1]))
    return columns.take(positions, np.repeat(weight, widths))


def relaxation_prices(
    columns: GroupedColumns, limit: FloatArray, params: SolveParams, time_limit_s: float | None
) -> FloatArray | None:
    """Return the duals (m,), >= 0, of the linear relaxation; None when the time does not suffice.

    Parameters
    ----------
    limit
        (m,), >= 0; rows of infinite or no capacity get price 0.
    """
    rows = np.flatnonzero(np.isfinite(limit) & (limit > 0))
    usable = columns.take(np.setdiff1d(np.arange(columns.size), columns.barred))
    groups = usable.groups
    group = np.repeat(np.arange(groups), np.diff(usable.starts))
    shifted = usable.cost - np.minimum.reduceat(usable.cost, usable.starts[:-1])[group]
    spread = float(np.maximum.reduceat(shifted, usable.starts[:-1]).sum())
    if spread == 0.0 or not rows.size:
        return np.zeros(len(limit))
    # Costs and rows are scaled so that a group's are about 1. Presolve takes longer than it saves.
    highs = new_highs(params, time_limit_s, presolve="off")
    highs.passModel(
        choice_programme(
            shifted * (groups / spread),
            usable.usage.scaled_rows(rows, groups / limit[rows]),
            np.full(len(rows), float(groups)),
            group,
            binary=False,
        )
    )
    for row in range(len(rows)):
        highs.addCol(_OVERLOAD_COST, 0.0, np.inf, 1, [row], [-1.0])
    if run_highs(highs) != "Optimal":
        return None
    scaled = -np.array(highs.getSolution().row_dual)[: len(rows)]
    duals = np.zeros(len(limit))
    duals[rows] = np.maximum(scaled, 0.0) * (spread / limit[rows])
    return duals
