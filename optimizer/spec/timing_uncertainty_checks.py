"""Contradictions in how well a timing is known."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.spec.finding import Finding
from optimizer.spec.parts import Part

__all__ = ["check_uncertainty"]

_TOLERANCE = 1e-6
_LINEAR = ("iteration", "prefill_decode")


def check_uncertainty(entry: Part) -> Iterator[Finding]:
    """Find uncertainties of no linear timing, and correlations that cannot be."""
    if not entry.has("uncertainty"):
        return
    if not any(entry.has(timing) for timing in _LINEAR):
        yield entry.find(
            "uncertainty",
            "is of the coefficients of a linear timing, and there is none",
            "give iteration: {...} or prefill_decode: {...}, or remove it",
        )
    correlation = entry.part("uncertainty").part("correlation")
    rows = correlation.value
    if not isinstance(rows, list | tuple) or not all(
        isinstance(row, list | tuple) and len(row) == len(rows) for row in rows
    ):
        return
    for i, row in enumerate(rows):
        for j, value in enumerate(row[: i + 1]):
            if not (_is_number(value) and _is_number(rows[j][i])):
                return
            where = (*correlation.path, i, j)
            if i == j and abs(value - 1) > _TOLERANCE:
                yield Finding(where, "must be 1: each error agrees with itself", value)
            elif abs(value - rows[j][i]) > _TOLERANCE:
                text = f"must be as [{j}][{i}] = {rows[j][i]:g}: correlation has no direction"
                yield Finding(where, text, value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
