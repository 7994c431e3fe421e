"""Rows of the linked part of a horizon's problem, as they are added."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers import Links, SparseColumns

__all__ = ["LinkRows"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass
class LinkRows:
    """Rows of links as they are added, in triplets."""

    lower: list[FloatArray] = field(default_factory=list)
    upper: list[FloatArray] = field(default_factory=list)
    of_x: list[tuple[IntArray, IntArray, FloatArray]] = field(default_factory=list)
    of_z: list[tuple[IntArray, IntArray, FloatArray]] = field(default_factory=list)
    count: int = 0

    def add(self, size: int, lower: float, upper: ArrayLike = np.inf) -> IntArray:
        """Add rows with the same lower limit; return their numbers."""
        self.lower.append(np.full(size, lower))
        self.upper.append(np.broadcast_to(np.asarray(upper, dtype=np.float64), (size,)))
        self.count += size
        return np.arange(self.count - size, self.count)

    def x(self, rows: IntArray, columns: IntArray, value: ArrayLike) -> None:
        """Add terms of x."""
        self.of_x.append(_terms(rows, columns, value))

    def z(self, rows: IntArray, columns: IntArray, value: ArrayLike) -> None:
        """Add terms of z."""
        self.of_z.append(_terms(rows, columns, value))

    def links(self, n: int, cost: FloatArray, upper: FloatArray, whole: NDArray[np.bool_]) -> Links:
        """Return the links over n columns of x, and z from 0 that are whole where said."""
        return Links(
            np.concatenate(self.lower),
            np.concatenate(self.upper),
            _matrix(self.of_x, (self.count, n)),
            _matrix(self.of_z, (self.count, len(cost))),
            cost=cost,
            upper=upper,
            integer=whole,
        )


def _terms(
    rows: IntArray, columns: IntArray, value: ArrayLike
) -> tuple[IntArray, IntArray, FloatArray]:
    values = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(columns),))
    return rows, columns, values


def _matrix(
    terms: list[tuple[IntArray, IntArray, FloatArray]], shape: tuple[int, int]
) -> SparseColumns:
    if not terms:
        return SparseColumns.from_triplets(shape, rows=[], columns=[], values=[])
    rows, columns, values = (np.concatenate(part) for part in zip(*terms, strict=True))
    return SparseColumns.from_triplets(shape, rows=rows, columns=columns, values=values)
