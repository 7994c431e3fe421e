"""Columns that change a given row: what the nearest columns of all may lack."""

from __future__ import annotations

import numpy as np

from solvers.priced_columns import PricedColumns
from solvers.problem import IntArray
from solvers.reduced_cost_core import Core

__all__ = ["RowColumns"]


class RowColumns:
    """The columns within some distance, and what each uses of the rows beyond a choice.

    Parameters
    ----------
    priced
        Columns and prices.
    choice
        (G,), positions: what columns are compared with.
    within
        Columns further away than this are not looked at.
    """

    def __init__(self, priced: PricedColumns, choice: IntArray, within: float) -> None:
        columns = priced.columns
        self.positions, self.slack = priced.below(within)
        self._group = columns.group_of(self.positions)
        self._usage = columns.usage.take(self.positions)
        self._column = self._usage.columns
        held = columns.usage.take(choice)
        self._held, self._holder, self._groups = held, held.columns, columns.groups

    def added_to(self, core: Core, row: int, *, left: float, count: int) -> Core:
        """Add to a core the nearest columns that change a row.

        Parameters
        ----------
        core
            Of the same prices.
        left
            What the choice leaves over of the row: columns that fit into it are wanted. 0: all that
            use less or more of the row.
        count
            Columns wanted, at most.
        """
        mine = self._held.rows == row
        taken = np.bincount(
            self._holder[mine], weights=self._held.values[mine], minlength=self._groups
        )
        mine = self._usage.rows == row
        more = np.bincount(
            self._column[mine], weights=self._usage.values[mine], minlength=len(self.positions)
        )
        more -= taken[self._group]
        useful = np.flatnonzero((more > 0) & (more <= left) if left > 0 else more != 0)
        nearest = useful[np.argsort(self.slack[useful], kind="stable")[:count]]
        # Positions of a core ascend.
        place = np.searchsorted(core.positions, self.positions[nearest])
        place = np.minimum(place, len(core.positions) - 1)
        fresh = nearest[core.positions[place] != self.positions[nearest]]
        merged = np.concatenate([core.positions, self.positions[fresh]])
        order = np.argsort(merged)
        return Core(
            merged[order], np.concatenate([core.slack, self.slack[fresh]])[order], core.rest
        )
