"""The uncertain part of a problem: rows whose usage is a distribution, kept with a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.array_input import read_matrix, read_only_vector, refuse_faults, report_bad
from solvers.sparse_columns import SparseColumns

__all__ = ["Chance"]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Chance:
    """Second-order cones on capacity rows: room for what usage may be above its mean.

    Usage of column k in row i is random: its mean is the problem's `usage`, and independent factors
    f of mean 0 and variance 1 move it. With the entries of `spread` that a factor's standard
    deviation has in the row, times the quantile z of the probability that the row is kept with, a
    row reads

        sum of usage_ik x_k  +  sqrt( sum over f of row i of (sum of spread_fk x_k)^2 )  <=  b_i

    For normal usage that is exactly P(row i is kept) >= Phi(z). Where groups vary independently,
    every group has a factor of its own per row; what moves them together is one factor more, with
    entries in all their columns.

    Parameters
    ----------
    spread
        (factors, n), numpy array or any scipy sparse form: z times the standard deviations, >= 0.
    row
        (factors,), the capacity row that each factor moves.

    Raises
    ------
    ProblemError
        Listing every fault of the arrays.

    Notes
    -----
    Arrays are copied and read-only. Entries are not negative, so that columns which offset one
    another's deviations cannot be said; without them a row is kept with more room than it needs.

    References
    ----------
    .. [1] Charnes, A., Cooper, W. W. (1959). Chance-constrained programming. *Management Science*
       6(1), 73-79.
    """

    spread: SparseColumns
    row: NDArray[np.int64]

    def __init__(self, spread: object, row: ArrayLike) -> None:
        faults: list[str] = []
        matrix = read_matrix("chance.spread", spread, faults)
        rows = read_only_vector("chance.row", row, np.int64, faults)
        if rows is None and not faults:
            faults.append("chance.row: is missing")
        if matrix is not None and rows is not None:
            if len(rows) != matrix.shape[0]:
                faults.append(
                    f"chance.row: {len(rows)} entries, but spread has {matrix.shape[0]} factors"
                )
            bad = ~(np.isfinite(matrix.values) & (matrix.values >= 0))
            report_bad(faults, "chance.spread", bad, matrix.values, "must be finite and >= 0")
            report_bad(faults, "chance.row", rows < 0, rows, "must be >= 0")
        refuse_faults("an uncertain part", faults)
        object.__setattr__(self, "spread", matrix)
        object.__setattr__(self, "row", rows)

    @property
    def factors(self) -> int:
        """Number of factors."""
        return len(self.row)

    def faults(self, columns: int, rows: int, *, counted: bool) -> list[str]:
        """Return what contradicts the rest of the problem, whose arrays are sound."""
        found = []
        if self.spread.shape[1] != columns:
            found.append(f"chance.spread: {self.spread.shape[1]} columns, {columns} are wanted")
        report_bad(found, "chance.row", self.row >= rows, self.row, f"must be below {rows}")
        if counted:
            found.append("chance: not beside `split` or `links`; use one of them")
        return found

    def deviations(self, x: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
        """Return (rows,), the room that each row keeps for deviations at x (n,)."""
        squares = self.spread.dot(x) ** 2
        found: NDArray[np.float64] = np.sqrt(np.bincount(self.row, squares, minlength=rows))
        return found

    def __eq__(self, other: object) -> bool:
        """Equal when every array is equal."""
        if not isinstance(other, Chance):
            return NotImplemented
        return self.spread.shape == other.spread.shape and all(
            np.array_equal(mine, theirs)
            for mine, theirs in (
                (self.row, other.row),
                (self.spread.indptr, other.spread.indptr),
                (self.spread.rows, other.spread.rows),
                (self.spread.values, other.spread.values),
            )
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """One line: sizes."""
        return f"Chance({self.factors} factors on {len(np.unique(self.row))} rows)"
