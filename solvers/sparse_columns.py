"""A column-compressed sparse matrix in plain numpy, so that `import solvers` needs no scipy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from scipy.sparse import csc_array

__all__ = ["SparseColumns"]


@runtime_checkable
class _ScipySparse(Protocol):
    """What every scipy sparse form offers."""

    shape: tuple[int, ...]

    def tocsc(self) -> _ScipyCsc: ...


class _ScipyCsc(Protocol):
    shape: tuple[int, ...]
    data: NDArray[np.float64]
    indices: NDArray[np.int64]
    indptr: NDArray[np.int64]

    def sum_duplicates(self) -> None: ...

    def eliminate_zeros(self) -> None: ...

    def copy(self) -> _ScipyCsc: ...


@dataclass(frozen=True, slots=True, eq=False)
class SparseColumns:
    """Matrix of shape (m, n) stored column by column; rows sorted within a column, no zeros.

    Parameters
    ----------
    shape
        Rows m and columns n.
    indptr
        (n + 1,), where the entries of each column begin.
    rows
        (nnz,), row of each entry.
    values
        (nnz,), the entries.
    """

    shape: tuple[int, int]
    indptr: NDArray[np.int64]
    rows: NDArray[np.int64]
    values: NDArray[np.float64]

    @classmethod
    def from_any(cls, matrix: object) -> SparseColumns:
        """Take a numpy array, nested sequences or any scipy sparse form; copies its entries.

        Raises
        ------
        ValueError
            If the argument is not a two-dimensional matrix of numbers.
        """
        if isinstance(matrix, SparseColumns):
            return matrix
        if isinstance(matrix, _ScipySparse) and not isinstance(matrix, np.ndarray):
            csc = matrix.tocsc()
            shared = id(csc) == id(matrix)  # already of this form
            return cls._from_csc(csc.copy() if shared else csc)
        dense = np.asarray(matrix, dtype=np.float64)
        if dense.ndim != 2:
            raise ValueError(f"must have two dimensions (m, n), not {dense.ndim}")
        columns, rows = np.nonzero(dense.T)
        return cls.from_triplets(
            (dense.shape[0], dense.shape[1]),
            rows=rows,
            columns=columns,
            values=dense[rows, columns],
        )

    @classmethod
    def _from_csc(cls, csc: _ScipyCsc) -> SparseColumns:
        """Take over a scipy matrix of columns that nobody else holds, entries already in order."""
        if len(csc.shape) != 2:
            raise ValueError(f"must have two dimensions (m, n), not {len(csc.shape)}")
        csc.sum_duplicates()
        if not csc.data.all():
            csc.eliminate_zeros()
        arrays = (
            np.asarray(csc.indptr, dtype=np.int64),
            np.asarray(csc.indices, dtype=np.int64),
            np.asarray(csc.data, dtype=np.float64),
        )
        for array in arrays:
            array.flags.writeable = False
        return cls((int(csc.shape[0]), int(csc.shape[1])), *arrays)

    @classmethod
    def from_triplets(
        cls,
        shape: tuple[int, int],
        *,
        rows: ArrayLike,
        columns: ArrayLike,
        values: ArrayLike,
    ) -> SparseColumns:
        """Build from coordinates in any order; entries of the same place are added up."""
        row = np.asarray(rows, dtype=np.int64)
        column = np.asarray(columns, dtype=np.int64)
        value = np.asarray(values, dtype=np.float64)
        kept = value != 0  # keeps NaN, which validation then reports
        row, column, value = row[kept], column[kept], value[kept]
        order = np.lexsort((row, column))
        row, column, value = row[order], column[order], value[order]
        first = np.append(True, (row[1:] != row[:-1]) | (column[1:] != column[:-1]))[: len(row)]
        if not first.all():
            value = np.add.reduceat(value, np.flatnonzero(first))
            row, column = row[first][value != 0], column[first][value != 0]
            value = value[value != 0]
        counts = np.bincount(column, minlength=shape[1])
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        arrays = (indptr, row, value)
        for array in arrays:
            array.flags.writeable = False
        return cls((int(shape[0]), int(shape[1])), *arrays)

    @classmethod
    def stack(cls, blocks: Sequence[SparseColumns]) -> SparseColumns:
        """Put matrices of equal width on top of one another."""
        offsets = np.cumsum([0, *(block.shape[0] for block in blocks)])
        return cls.from_triplets(
            (int(offsets[-1]), blocks[0].shape[1]),
            rows=np.concatenate([b.rows + o for b, o in zip(blocks, offsets, strict=False)]),
            columns=np.concatenate([block.columns for block in blocks]),
            values=np.concatenate([block.values for block in blocks]),
        )

    @property
    def columns(self) -> NDArray[np.int64]:
        """(nnz,), column of each entry."""
        return np.repeat(np.arange(self.shape[1]), np.diff(self.indptr))

    def dot(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the product with a vector of shape (n,), as (m,)."""
        weights = self.values * np.asarray(x, dtype=np.float64)[self.columns]
        sums = np.bincount(self.rows, weights=weights, minlength=self.shape[0])
        return sums.astype(np.float64, copy=False)

    def weighed(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the product of a vector of shape (m,) with this matrix, as (n,)."""
        entries = weight[self.rows] * self.values
        sums = np.bincount(self.columns, weights=entries, minlength=self.shape[1])
        return sums.astype(np.float64, copy=False)

    def take(self, columns: NDArray[np.int64]) -> SparseColumns:
        """Keep these columns, in this order."""
        counts = self.indptr[columns + 1] - self.indptr[columns]
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        starts = np.repeat(self.indptr[columns] - indptr[:-1], counts)
        entries = starts + np.arange(indptr[-1])
        arrays = (indptr, self.rows[entries], self.values[entries])
        for array in arrays:
            array.flags.writeable = False
        return SparseColumns((self.shape[0], len(columns)), *arrays)

    def scaled_rows(self, rows: NDArray[np.int64], factor: NDArray[np.float64]) -> SparseColumns:
        """Keep these rows (ascending), each multiplied by a factor."""
        place = np.full(self.shape[0], -1)
        place[rows] = np.arange(len(rows))
        row = place[self.rows]
        kept = row >= 0
        count = np.concatenate([[0], np.cumsum(kept)])
        row = row[kept]
        values = self.values[kept] * factor[row]
        return SparseColumns((len(rows), self.shape[1]), count[self.indptr], row, values)

    def to_dense(self) -> NDArray[np.float64]:
        """Return a dense copy of shape (m, n)."""
        dense = np.zeros(self.shape)
        dense[self.rows, self.columns] = self.values
        return dense

    def to_scipy(self) -> csc_array:
        """Return a scipy compressed-column array (imports scipy)."""
        from scipy.sparse import csc_array

        return csc_array((self.values, self.rows, self.indptr), shape=self.shape)
