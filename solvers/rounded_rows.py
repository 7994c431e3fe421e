"""Rows that follow from covering rows because counts are whole, where the relaxation breaks them.

A load needs counts with sum of a_j x_j >= 1. For any factor t that makes a coefficient whole, with
f the fraction of t, rounding gives

    sum of (floor(t a_j) + min(frac(t a_j) / f, 1)) x_j  >=  ceil(t)

which every whole solution keeps (mixed-integer rounding: Nemhauser and Wolsey 1990; Marchand and
Wolsey 2001 choose t from the coefficients). The relaxation, which takes 2.3 replicas where 3 are
needed, breaks many of them: those it breaks most are added, and it is solved again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.mixed_programme import MixedProgramme, highs_programme
from solvers.problem import BoolArray, FloatArray, IntArray
from solvers.split import RATE_TOLERANCE

__all__ = ["with_rounded_rows"]

# Factors make one coefficient each whole number up to this; a right-hand side up to this.
_MOST_MULTIPLE, _MOST_RIGHT = 12, 36
# Fractions of the right-hand side that rounding can use without magnifying noise.
_FRACTION = (1e-2, 1.0 - 1e-6)
# Rows are added that are broken by this share of their right-hand side, so many times.
_BROKEN, _MOST_ROUNDS = 1e-3, 8
# Wider rows are left alone.
_MOST_WIDE = 64


def with_rounded_rows(programme: MixedProgramme, time_limit_s: float | None) -> MixedProgramme:
    """Return the programme with more rows, which no whole solution of it breaks.

    Parameters
    ----------
    time_limit_s
        For the relaxations; None: no limit.
    """
    covers = _Covers.of(programme)
    if covers is None:
        return programme
    relaxation = _Relaxation(programme, time_limit_s)
    added: list[tuple[IntArray, FloatArray]] = []
    for _ in range(_MOST_ROUNDS):
        point = relaxation.solve()
        if point is None:
            break
        rows = covers.broken_by(point)
        if not rows:
            break
        added += rows
        relaxation.add(rows)
    if not added:
        return programme
    first = len(programme.row_lower)
    sizes = [len(columns) for columns, _ in added]
    number = first + np.repeat(np.arange(len(added)), sizes)
    return dataclasses.replace(
        programme,
        rows=np.concatenate([programme.rows, number]),
        columns=np.concatenate([programme.columns, *(columns for columns, _ in added)]),
        values=np.concatenate([programme.values, *(values for _, values in added)]),
        row_lower=np.concatenate([programme.row_lower, np.ones(len(added))]),
        row_upper=np.concatenate([programme.row_upper, np.full(len(added), np.inf)]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Covers:
    """Covering rows of whole variables: coefficients of sums that are at least 1.

    Parameters
    ----------
    share
        (rows, width), 0 beyond the row's end.
    column
        (rows, width), variables.
    """

    share: FloatArray
    column: IntArray

    @classmethod
    def of(cls, programme: MixedProgramme) -> _Covers | None:
        """Find the rows that rounding may strengthen; None where there are none."""
        rows = len(programme.row_lower)
        length = np.bincount(programme.rows, minlength=rows)
        suits = (programme.row_lower > 0) & np.isfinite(programme.row_lower)
        suits &= np.isinf(programme.row_upper) & (length <= _MOST_WIDE)
        whole = programme.integer & (programme.lower >= 0)
        suits[programme.rows[(programme.values <= 0) | ~whole[programme.columns]]] = False
        share = programme.values / np.where(suits, programme.row_lower, 1.0)[programme.rows]
        entry = suits[programme.rows] & (share < 1)
        part = np.bincount(programme.rows[entry], minlength=rows) > 0
        kept = np.flatnonzero(suits & part)
        if not len(kept):
            return None
        place = np.full(rows, -1)
        place[kept] = np.arange(len(kept))
        mine = np.flatnonzero(place[programme.rows] >= 0)
        mine = mine[np.argsort(place[programme.rows[mine]], kind="stable")]
        row = place[programme.rows[mine]]
        first = np.concatenate([[0], np.cumsum(length[kept])])
        at = (row, np.arange(len(mine)) - first[row])
        shape = (len(kept), int(length[kept].max()))
        shares, columns = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        # More than all of it is not needed.
        shares[at] = np.minimum(share[mine], 1.0)
        columns[at] = programme.columns[mine]
        return cls(shares, columns)

    def broken_by(self, point: FloatArray) -> list[tuple[IntArray, FloatArray]]:
        """Return for each row the rounded one that a point breaks most: columns and values."""
        taken = np.where(self.share > 0, point[self.column], 0.0)
        most = np.full(len(taken), _BROKEN)
        values = np.zeros_like(self.share)
        for place in range(self.share.shape[1]):
            for multiple in range(1, _MOST_MULTIPLE + 1):
                share = self.share[:, place]
                factor = multiple / np.where(share > 0, share, np.inf)
                rounded, right, useful = self._rounded(factor)
                broken = 1.0 - (rounded * taken).sum(axis=1) / right
                better = np.flatnonzero(useful & (broken > most))
                most[better] = broken[better]
                values[better] = rounded[better] / right[better, None]
        found = []
        for row in np.flatnonzero(most > _BROKEN).tolist():
            there = np.flatnonzero(values[row] > 0)
            found.append((self.column[row, there], values[row, there]))
        return found

    def _rounded(self, factor: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
        """Return the rows times a factor each, rounded, their right-hand sides, which are of use.

        A load is carried where this tolerance of it is left: rounding must not refuse that.
        """
        right = factor * (1.0 - RATE_TOLERANCE)
        fraction = right - np.floor(right)
        useful = (right > 0) & (right <= _MOST_RIGHT)
        useful &= (fraction > _FRACTION[0]) & (fraction < _FRACTION[1])
        fraction = np.where(useful, fraction, 1.0)
        scaled = np.where(useful, factor, 0.0)[:, None] * self.share
        whole = np.floor(scaled)
        rounded = whole + np.minimum((scaled - whole) / fraction[:, None], 1.0)
        return rounded, np.floor(right) + 1.0, useful


class _Relaxation:
    """The linear relaxation, kept in HiGHS from one round to the next."""

    def __init__(self, programme: MixedProgramme, time_limit_s: float | None) -> None:
        import highspy

        self._highs: Any = highspy.Highs()
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        if time_limit_s is not None:
            self._highs.setOptionValue("time_limit", time_limit_s)
        relaxed = dataclasses.replace(programme, integer=np.zeros_like(programme.integer))
        self._highs.passModel(highs_programme(relaxed))

    def solve(self) -> FloatArray | None:
        """Return a solution; None where there is none, or no time."""
        import highspy

        highspy.Highs.resetGlobalScheduler(True)
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return np.array(self._highs.getSolution().col_value)

    def add(self, rows: list[tuple[IntArray, FloatArray]]) -> None:
        """Add rows that are at least 1."""
        count = len(rows)
        start = np.cumsum([0, *(len(columns) for columns, _ in rows)])
        self._highs.addRows(
            count, np.ones(count), np.full(count, np.inf), int(start[-1]),
            start[:-1].astype(np.int32),
            np.concatenate([columns for columns, _ in rows]).astype(np.int32),
            np.concatenate([values for _, values in rows]),
        )  # fmt: skip
