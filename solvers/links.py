"""The linked part of a problem: signed rows, and further columns that are no candidates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.array_input import SHOWN, read_matrix, read_only_vector, refuse_faults, report_bad
from solvers.sparse_columns import SparseColumns
from solvers.split import Split

__all__ = ["LINK_TOLERANCE", "Links", "no_links"]

# A row is kept when it is missed by at most this, relative to the largest of its terms and limits:
# what floating-point programmes resolve where rows have continuous columns.
LINK_TOLERANCE = 1e-7

_VECTORS: dict[str, type] = {
    "row_lower": np.float64,
    "row_upper": np.float64,
    "cost": np.float64,
    "lower": np.float64,
    "upper": np.float64,
    "integer": np.bool_,
}
_MATRICES = ("of_x", "of_z", "of_rates")


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Links:
    """Rows of any sign over the columns x of a problem and further columns z of their own.

        minimise  cost @ z  beside the problem's own objective
        row_lower <= of_x @ x + of_z @ z + of_rates @ y <= row_upper
        lower <= z <= upper,  z whole where `integer`

    Here y are the rates along the edges of a problem's split part. What is left unserved of an item
    is its demand less its rates; in rows it is written so.

    Parameters
    ----------
    row_lower, row_upper
        (rows,), `-inf` and `inf` allowed.
    of_x
        (rows, n), numpy array or any scipy sparse form, of any sign, finite. Entries of the same
        place are added up, here and in the other matrices.
    of_z
        (rows, k), likewise; without it there are no further columns.
    of_rates
        (rows, edges), likewise, of a problem with a split part; 0 by default.
    cost
        (k,), finite, 0 by default.
    lower, upper
        (k,), 0 and unlimited by default, `-inf` and `inf` allowed; finite on the side that the cost
        pulls to, so that no problem is unbounded.
    integer
        (k,), which z are whole; none by default. Declare it where z is whole in every solution
        worth having, as in z >= x_a - x_b: whole columns are searched faster.

    Raises
    ------
    ProblemError
        Listing every fault of the arrays.

    Notes
    -----
    Arrays are copied and read-only. Checks that need the rest of the problem are made by
    `AllocationProblem`: columns of groups that split and stand in a row need a finite
    `Split.upper`, since more units than the load takes may then be worth having.
    """

    row_lower: NDArray[np.float64]
    row_upper: NDArray[np.float64]
    of_x: SparseColumns
    of_z: SparseColumns
    of_rates: SparseColumns | None
    cost: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    integer: NDArray[np.bool_]

    def __init__(
        self,
        row_lower: ArrayLike,
        row_upper: ArrayLike,
        of_x: object,
        of_z: object | None = None,
        *,
        of_rates: object | None = None,
        cost: ArrayLike | None = None,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        integer: ArrayLike | None = None,
    ) -> None:
        faults: list[str] = []
        given = {"row_lower": row_lower, "row_upper": row_upper, "cost": cost, "lower": lower,
                 "upper": upper, "integer": integer}  # fmt: skip
        values: dict[str, Any] = {
            name: read_only_vector(f"links.{name}", given[name], dtype, faults)
            for name, dtype in _VECTORS.items()
        }
        rows = 0 if values["row_lower"] is None else len(values["row_lower"])
        values["of_x"] = read_matrix("links.of_x", of_x, faults)
        given_z = np.zeros((rows, 0)) if of_z is None else of_z
        values["of_z"] = read_matrix("links.of_z", given_z, faults)
        values["of_rates"] = None
        if of_rates is not None:
            values["of_rates"] = read_matrix("links.of_rates", of_rates, faults)
        if not faults:
            _fill(values)
            _check_values(values, faults)
        refuse_faults("a linked part", faults)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.row_lower)

    @property
    def columns(self) -> int:
        """Number of further columns k."""
        return len(self.cost)

    def beside(self, other: Links) -> Links:
        """Return the rows and further columns of both, this one's first.

        Parameters
        ----------
        other
            Over the same columns and rates.
        """
        vectors = {
            name: np.concatenate([mine, theirs])
            for (name, mine), (_, theirs) in zip(self.vectors(), other.vectors(), strict=True)
        }
        rates = [part.of_rates for part in (self, other)]
        shape = next((part.shape for part in rates if part is not None), None)
        if shape is not None:
            parts = [
                SparseColumns.from_any(np.zeros((links.rows, shape[1]))) if part is None else part
                for part, links in zip(rates, (self, other), strict=True)
            ]
        return Links(
            vectors.pop("row_lower"),
            vectors.pop("row_upper"),
            SparseColumns.stack([self.of_x, other.of_x]),
            _diagonal(self.of_z, other.of_z),
            of_rates=None if shape is None else SparseColumns.stack(parts),
            **vectors,
        )

    def with_row(
        self,
        of_x: ArrayLike,
        of_z: ArrayLike | None = None,
        of_rates: ArrayLike | None = None,
        *,
        lower: float = -np.inf,
        upper: float = np.inf,
    ) -> Links:
        """Return the same with one row more.

        Parameters
        ----------
        of_x, of_z, of_rates
            (n,), (k,) and (edges,), its coefficients; without the latter two there are none.
        lower, upper
            Its limits.
        """
        return Links(
            np.append(self.row_lower, lower),
            np.append(self.row_upper, upper),
            SparseColumns.stack([self.of_x, SparseColumns.from_any(np.atleast_2d(of_x))]),
            SparseColumns.stack([self.of_z, _row_of(of_z, self.columns)]),
            of_rates=_with_row_of_rates(self, of_rates),
            cost=self.cost, lower=self.lower, upper=self.upper, integer=self.integer,
        )  # fmt: skip

    def vectors(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield each vector with its name."""
        for name in _VECTORS:
            yield name, getattr(self, name)

    def matrices(self) -> Iterator[tuple[str, SparseColumns | None]]:
        """Yield each matrix with its name; None for rates that were not given."""
        for name in _MATRICES:
            yield name, getattr(self, name)

    def faults(
        self, columns: int, group: NDArray[np.int64], split: Split | None,
        unserved: NDArray[np.bool_] | None,
    ) -> list[str]:  # fmt: skip
        """Return what contradicts the rest of the problem, whose arrays are sound."""
        found: list[str] = []
        if self.of_x.shape[1] != columns:
            found.append(f"links.of_x: {self.of_x.shape[1]} columns, {columns} are wanted")
        if self.of_rates is not None:
            edges = 0 if split is None else split.edges
            if split is None:
                found.append("links.of_rates: rates need `split`")
            elif self.of_rates.shape[1] != edges:
                found.append(f"links.of_rates: {self.of_rates.shape[1]} columns, {edges} wanted")
        if found or split is None:
            return found
        counted = split.groups[group] & ~split.drops(group, unserved)
        upper = np.full(columns, np.inf) if split.upper is None else split.upper
        linked = np.diff(self.of_x.indptr) > 0
        report_bad(found, "split.upper", counted & linked & np.isinf(upper), upper,
                   "must be finite where links have the column")  # fmt: skip
        return found

    def __eq__(self, other: object) -> bool:
        """Equal when every array is equal."""
        if not isinstance(other, Links):
            return NotImplemented
        pairs = zip(self.vectors(), other.vectors(), strict=True)
        return all(np.array_equal(mine, theirs) for (_, mine), (_, theirs) in pairs) and all(
            _equal(mine, theirs)
            for (_, mine), (_, theirs) in zip(self.matrices(), other.matrices(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """One line: sizes."""
        whole = int(self.integer.sum())
        return f"Links({self.rows} rows, {self.columns} further columns, {whole} of them whole)"


def no_links(columns: int) -> Links:
    """Return the linked part of a problem without any row or further column."""
    none: list[float] = []
    return Links(none, none, np.zeros((0, columns)))


def _row_of(values: ArrayLike | None, columns: int) -> SparseColumns:
    row = np.zeros(columns) if values is None else np.asarray(values, dtype=np.float64)
    return SparseColumns.from_any(np.atleast_2d(row))


def _with_row_of_rates(links: Links, values: ArrayLike | None) -> SparseColumns | None:
    """Return the rates of all rows and of one more; None where none has any."""
    known = links.of_rates
    if known is None:
        if values is None:
            return None
        known = SparseColumns.from_any(np.zeros((links.rows, np.shape(values)[0])))
    return SparseColumns.stack([known, _row_of(values, known.shape[1])])


def _diagonal(first: SparseColumns, second: SparseColumns) -> SparseColumns:
    """Return two matrices as blocks of one."""
    (rows, columns), (more_rows, more_columns) = first.shape, second.shape
    return SparseColumns.from_triplets(
        (rows + more_rows, columns + more_columns),
        rows=np.concatenate([first.rows, second.rows + rows]),
        columns=np.concatenate([first.columns, second.columns + columns]),
        values=np.concatenate([first.values, second.values]),
    )


def _equal(mine: SparseColumns | None, theirs: SparseColumns | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return mine.shape == theirs.shape and all(
        np.array_equal(getattr(mine, name), getattr(theirs, name))
        for name in ("indptr", "rows", "values")
    )


def _fill(values: dict[str, Any]) -> None:
    """Put the defaults where nothing was given."""
    columns = values["of_z"].shape[1]
    defaults = {"cost": 0.0, "lower": 0.0, "upper": np.inf, "integer": False}
    for name, default in defaults.items():
        if values[name] is None:
            array = np.full(columns, default, dtype=_VECTORS[name])
            array.flags.writeable = False
            values[name] = array


def _check_values(values: dict[str, Any], faults: list[str]) -> None:
    rows = len(values["row_lower"])
    columns = values["of_z"].shape[1]
    sizes = {"row_upper": rows, "cost": columns, "lower": columns, "upper": columns,
             "integer": columns}  # fmt: skip
    for name, size in sizes.items():
        if len(values[name]) != size:
            faults.append(f"links.{name}: {len(values[name])} entries, {size} are wanted")
    for name in _MATRICES:
        matrix = values[name]
        if matrix is None:
            continue
        if matrix.shape[0] != rows:
            faults.append(f"links.{name}: {matrix.shape[0]} rows, {rows} are wanted")
        for entry in np.flatnonzero(~np.isfinite(matrix.values))[:SHOWN]:
            place = f"links.{name}[{matrix.rows[entry]}, {matrix.columns[entry]}]"
            faults.append(f"{place} = {matrix.values[entry]}: must be finite")
    if faults:
        return
    for least, most in (("row_lower", "row_upper"), ("lower", "upper")):
        low, high = values[least], values[most]
        report_bad(faults, f"links.{least}", ~(low < np.inf), low, "must be a number or -inf")
        report_bad(faults, f"links.{most}", ~(high > -np.inf), high, "must be a number or inf")
        report_bad(faults, f"links.{most}", high < low, high, f"must be at least links.{least}")
    cost, low, high, whole = (values[k] for k in ("cost", "lower", "upper", "integer"))
    report_bad(faults, "links.cost", ~np.isfinite(cost), cost, "must be finite")
    endless = ((cost > 0) & np.isinf(low)) | ((cost < 0) & np.isinf(high))
    report_bad(faults, "links.cost", endless, cost,
               "needs a finite bound on the side that it pulls to")  # fmt: skip
    for name, bound in (("lower", low), ("upper", high)):
        broken = whole & np.isfinite(bound) & (bound != np.floor(bound))
        report_bad(faults, f"links.{name}", broken, bound, "must be whole where z is")
