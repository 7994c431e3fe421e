"""A mixed-integer linear programme in plain arrays, for back ends that take any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from solvers.integer_scaling import ScaledObjective

if TYPE_CHECKING:
    from highspy import HighsLp

__all__ = ["MixedProgramme", "highs_programme"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# With whole-number coefficients a gap below one unit is no gap: the bound rounds up.
_WHOLE_UNIT = 1.0 - 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedProgramme:
    """`min objective.coefficients @ v`, lower <= v <= upper, row_lower <= A v <= row_upper.

    Parameters
    ----------
    objective
        Coefficients, of any sign, and the way back to costs.
    lower, upper
        (variables,), `inf` allowed.
    integer
        (variables,), which must be whole.
    rows, columns, values
        (entries,), A as coordinates, each pair once.
    row_lower, row_upper
        (rows,), `-inf` and `inf` allowed.
    """

    objective: ScaledObjective
    lower: FloatArray
    upper: FloatArray
    integer: NDArray[np.bool_]
    rows: IntArray
    columns: IntArray
    values: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray

    @property
    def variables(self) -> int:
        """Number of variables."""
        return len(self.lower)

    def relative_gap(self, relative_gap: float) -> float:
        """Return the relative gap to ask of a back end that minimises the coefficients."""
        return relative_gap

    def absolute_gap(self, absolute_gap: float) -> float:
        """Return the gap in coefficients that is always good enough, given one in cost."""
        whole = _WHOLE_UNIT if self.objective.exact else 0.0
        return max(absolute_gap / self.objective.unit, whole)


def highs_programme(programme: MixedProgramme) -> HighsLp:
    """Return the programme as HiGHS' own arrays."""
    import highspy

    model: Any = highspy.HighsLp()
    model.num_col_, model.num_row_ = programme.variables, len(programme.row_lower)
    model.col_cost_ = programme.objective.coefficients
    model.col_lower_, model.col_upper_ = programme.lower, programme.upper
    model.row_lower_, model.row_upper_ = programme.row_lower, programme.row_upper
    order = np.lexsort((programme.rows, programme.columns))
    counts = np.bincount(programme.columns, minlength=programme.variables)
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    model.a_matrix_.index_ = programme.rows[order].astype(np.int32)
    model.a_matrix_.value_ = programme.values[order]
    if programme.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        model.integrality_ = [kinds[whole] for whole in programme.integer.tolist()]
    return model
