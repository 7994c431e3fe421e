"""The relaxation over the plans known of each part: prices of the rows that the parts share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from solvers.errors import SolverBackendError
from solvers.linking_rows import LinkingRows
from solvers.problem import BoolArray, FloatArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["RelaxedMaster"]

# What a missing unit of a row costs while plans are looked for, as a multiple of the dearest unit
# of anything; and by how much more each time that this was too little.
_MISSING, _PRESSED = 10.0, 30.0
# Objectives are handed over at about this size at most.
_USUAL_COST = 1e5
# Of HiGHS: plans that are added leave the last solution feasible.
_PRIMAL_SIMPLEX = 4


class RelaxedMaster:
    """The linear relaxation over the plans known, kept in HiGHS from one round to the next.

    Parameters
    ----------
    parts
        Their number; each takes plans of a total share of 1.
    shared
        The rows between them.
    largest
        (rows,), the largest coefficient of each.
    dearest
        About what the dearest unit of anything costs.

    Attributes
    ----------
    value, missing
        Of the last solution: the objective, and the units by which rows are missed.
    plan_shares
        (plans,), how much of each plan it takes.
    """

    def __init__(
        self, parts: int, shared: LinkingRows, largest: FloatArray, dearest: float, seed: int
    ) -> None:
        import highspy

        self._parts, self._shared = parts, shared
        self._highs: Any = highspy.Highs()
        for name, value in (
            ("output_flag", False), ("threads", 1), ("random_seed", seed), ("solver", "simplex"),
            ("presolve", "off"), ("simplex_strategy", _PRIMAL_SIMPLEX),
        ):  # fmt: skip
            self._highs.setOptionValue(name, value)
        self._dearest = max(dearest, 1e-9)
        self._unit = 2.0 ** math.ceil(math.log2(self._dearest / _USUAL_COST))
        one, none = np.ones(self._parts), np.zeros(0)
        total = self._parts + len(shared.lower)
        self._highs.addRows(
            total, np.concatenate([one, shared.lower]), np.concatenate([one, shared.upper]), 0,
            np.zeros(total, dtype=np.int32), none.astype(np.int32), none,
        )  # fmt: skip
        self._add(shared.z_cost, shared.z_lower, shared.z_upper, shared.of_z, self._parts)
        self._add_missing(largest)
        self.value = math.inf
        self.missing = 0.0
        self.plan_shares: FloatArray = np.zeros(0)

    def _add(
        self,
        cost: FloatArray,
        lower: FloatArray,
        upper: FloatArray,
        rows: SparseColumns,
        offset: int,
    ) -> None:
        self._highs.addCols(
            len(cost), cost / self._unit, lower, upper, len(rows.values),
            rows.indptr[:-1].astype(np.int32), (rows.rows + offset).astype(np.int32), rows.values,
        )  # fmt: skip

    def _add_missing(self, largest: FloatArray) -> None:
        """Let any row be missed at a price, so that there always is a solution."""
        shared = self._shared
        rows = len(shared.lower)
        price = _MISSING * self._dearest / np.where(largest > 0, largest, 1.0)
        prices = []
        sides = [(np.flatnonzero(np.isfinite(shared.lower)), 1.0),
                 (np.flatnonzero(np.isfinite(shared.upper)), -1.0)]  # fmt: skip
        self._first = int(self._highs.getNumCol())
        for mine, sign in sides:
            matrix = SparseColumns.from_triplets(
                (rows, len(mine)), rows=mine, columns=np.arange(len(mine)),
                values=np.full(len(mine), sign),
            )  # fmt: skip
            prices.append(price[mine])
            self._add(price[mine], np.zeros(len(mine)),
                      np.full(len(mine), np.inf), matrix, self._parts)  # fmt: skip
        self._last = int(self._highs.getNumCol())
        self._missing_price: FloatArray = np.concatenate(prices)

    def add(self, part: IntArray, cost: FloatArray, rows: SparseColumns) -> None:
        """Add plans: their parts, costs, and (shared rows, plans) what they take."""
        count = len(part)
        if not count:
            return
        start = rows.indptr + np.arange(count + 1)
        index = np.empty(int(start[-1]), dtype=np.int32)
        value = np.ones(len(index))
        own = np.ones(len(index), dtype=bool)
        own[start[:-1]] = False
        index[start[:-1]] = part
        index[own], value[own] = rows.rows + self._parts, rows.values
        self._highs.addCols(
            count, cost / self._unit, np.zeros(count), np.full(count, np.inf), len(index),
            start[:-1].astype(np.int32), index, value,
        )  # fmt: skip

    def allow(self, allowed: BoolArray) -> None:
        """Let the next solutions take only some of the plans (plans,)."""
        count = len(allowed)
        self._highs.changeColsBounds(
            count, np.arange(self._last, self._last + count, dtype=np.int32), np.zeros(count),
            np.where(allowed, np.inf, 0.0),
        )  # fmt: skip

    def press(self) -> None:
        """Let the next solutions miss rows at a higher price only."""
        self._missing_price = _PRESSED * self._missing_price
        self._highs.changeColsCost(
            self._last - self._first, np.arange(self._first, self._last, dtype=np.int32),
            self._missing_price / self._unit,
        )  # fmt: skip

    def solve(self) -> FloatArray:
        """Solve, and return the duals of the shared rows.

        Raises
        ------
        SolverBackendError
            If HiGHS fails.
        """
        import highspy

        highspy.Highs.resetGlobalScheduler(True)
        self._highs.run()
        status = self._highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverBackendError(f"HiGHS: plans: {self._highs.modelStatusToString(status)}")
        solution = self._highs.getSolution()
        values = np.array(solution.col_value)
        self.plan_shares = values[self._last :]
        self.missing = float(values[self._first : self._last].sum())
        self.value = self._unit * float(self._highs.getInfo().objective_function_value)
        return self._unit * np.array(solution.row_dual)[self._parts :]
