"""An allocation problem in the numbers that floating-point back ends work best with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.integer_scaling import ScaledObjective, scale_objective, scale_row
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray
from solvers.sparse_columns import SparseColumns

__all__ = ["ScaledModel", "scale_model"]

# Back ends work to 1e-6 absolute: coefficients beyond this drown in that, below it they are whole
# numbers that the back end's presolve can use.
_LARGEST_COEFFICIENT = 1e6
# Where there are no whole numbers the largest cost coefficient becomes about this, the middle of
# the range in which the back ends' absolute tolerances were chosen.
_USUAL_COST = 1e3
# With whole-number coefficients a gap below one unit is no gap: the bound rounds up.
_WHOLE_UNIT = 1.0 - 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class ScaledModel:
    """`min objective.coefficients @ x` with `usage @ x <= limit`, one column per group.

    Parameters
    ----------
    objective
        Coefficients and the way back to costs.
    usage
        (m, n): whole numbers where they stand for the row exactly, else the row times a power of
        two that makes its largest entry about 1.
    limit
        (m,), the rows' tolerance included.
    """

    objective: ScaledObjective
    usage: SparseColumns
    limit: FloatArray

    def relative_gap(self, relative_gap: float) -> float:
        """Return the relative gap to ask of a back end that minimises the coefficients.

        They leave out the offset: a relative gap of theirs is the stricter one unless that is
        negative.
        """
        return relative_gap if self.objective.offset >= 0 else 0.0

    def absolute_gap(self, absolute_gap: float) -> float:
        """Return the gap in coefficients that is always good enough, given one in cost."""
        whole = _WHOLE_UNIT if self.objective.exact else 0.0
        return max(absolute_gap / self.objective.unit, whole)


def scale_model(problem: AllocationProblem) -> ScaledModel:
    """Scale a plain problem whose capacities are finite."""
    objective = scale_objective(problem, largest=_LARGEST_COEFFICIENT)
    if not objective.exact:
        objective = scale_objective(problem, largest=_USUAL_COST)
    matrix = problem.usage
    values = matrix.values.copy()
    limit = problem.capacity * (1.0 + CAPACITY_TOLERANCE)
    order = np.argsort(matrix.rows, kind="stable")
    bounds = np.searchsorted(matrix.rows[order], np.arange(problem.rows + 1))
    for row in range(problem.rows):
        mine = order[bounds[row] : bounds[row + 1]]
        if not mine.size:
            continue
        scaled = scale_row(values[mine], float(problem.capacity[row]), largest=_LARGEST_COEFFICIENT)
        if scaled.exact:
            values[mine], limit[row] = scaled.usage, scaled.capacity
        else:
            factor = 2.0 ** -np.floor(np.log2(values[mine].max()))
            values[mine] *= factor
            limit[row] *= factor
    values.flags.writeable = False
    usage = SparseColumns(matrix.shape, matrix.indptr, matrix.rows, values)
    return ScaledModel(objective, usage, limit)
