"""Plans of blocks: what each costs and takes of the rows that blocks share; all that are known."""

from __future__ import annotations

import numpy as np

from solvers.linked_blocks import Blocks
from solvers.linking_rows import LinkingRows
from solvers.mixed_programme import MixedProgramme
from solvers.problem import FloatArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["BlockPlans", "BlockRows"]


class BlockRows(LinkingRows):
    """The shared rows of a programme in blocks, and one objective.

    Attributes
    ----------
    cost
        (variables,).
    of_x
        (rows, variables), free variables included.
    """

    def __init__(self, programme: MixedProgramme, blocks: Blocks, cost: FloatArray) -> None:
        place = np.full(len(programme.row_lower), -1)
        place[blocks.shared] = np.arange(len(blocks.shared))
        mine = place[programme.rows] >= 0
        self.cost = cost
        self.lower = programme.row_lower[blocks.shared]
        self.upper = programme.row_upper[blocks.shared]
        self.of_x = SparseColumns.from_triplets(
            (len(blocks.shared), programme.variables), rows=place[programme.rows[mine]],
            columns=programme.columns[mine], values=programme.values[mine],
        )  # fmt: skip
        self.of_z = self.of_x.take(blocks.free)
        self.z_cost = cost[blocks.free]
        self.z_lower = programme.lower[blocks.free]
        self.z_upper = programme.upper[blocks.free]

    def reduced(self, duals: FloatArray) -> FloatArray:
        """Return (variables,), reduced costs at duals of the rows."""
        reduced: FloatArray = self.cost - self.of_x.weighed(duals)
        return reduced

    def largest(self) -> FloatArray:
        """Return (rows,), the largest coefficient of each row."""
        largest = np.zeros(len(self.lower))
        np.maximum.at(largest, self.of_x.rows, np.abs(self.of_x.values))
        return largest


class BlockPlans:
    """All plans known, each once.

    Attributes
    ----------
    block, cost
        (plans,).
    values
        Of each plan, the values of its block's variables.
    """

    def __init__(self, blocks: Blocks, rows: BlockRows) -> None:
        self._blocks, self._rows = blocks, rows
        self._of_block = [rows.of_x.take(variables) for variables in blocks.variables]
        self._known: dict[bytes, int] = {}
        self._taken: list[SparseColumns] = []
        self.block: IntArray = np.zeros(0, dtype=np.int64)
        self.cost: FloatArray = np.zeros(0)
        self.values: list[FloatArray] = []

    def add(self, block: int, values: FloatArray) -> tuple[int, bool]:
        """Return the number of a plan, and whether it is new."""
        key = block.to_bytes(4, "little") + values.tobytes()
        known = self._known.get(key)
        if known is not None:
            return known, False
        number = self._known[key] = len(self.values)
        self.values.append(values)
        self.block = np.append(self.block, block)
        own = float(self._rows.cost[self._blocks.variables[block]] @ values)
        self.cost = np.append(self.cost, own)
        taken = self._of_block[block].dot(values)
        there = np.flatnonzero(taken)
        self._taken.append(
            SparseColumns.from_triplets(
                (len(taken), 1), rows=there, columns=np.zeros(len(there)), values=taken[there]
            )
        )
        return number, True

    def rows(self, plans: IntArray) -> SparseColumns:
        """Return (shared rows, plans), what some plans take."""
        none = np.zeros(0, dtype=np.int64)
        parts = [self._taken[plan] for plan in plans.tolist()]
        return SparseColumns.from_triplets(
            (len(self._rows.lower), len(parts)),
            rows=np.concatenate([*(p.rows for p in parts), none]),
            columns=np.repeat(
                np.arange(len(parts)), np.array([len(p.rows) for p in parts], dtype=np.int64)
            ),
            values=np.concatenate([*(p.values for p in parts), none]),
        )
