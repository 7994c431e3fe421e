"""The checker's part for problems with linked columns: rows, bounds, cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.links import LINK_TOLERANCE, Links

__all__ = ["cheapest_z", "check_links"]

# Violations of one kind are listed one by one up to this many.
_SHOWN = 5

FloatArray = NDArray[np.float64]


def check_links(
    links: Links, x: FloatArray, rates: FloatArray, z: FloatArray, faults: list[str]
) -> float:
    """Check rows and further columns, adding what is broken to `faults`; return what z costs.

    Parameters
    ----------
    x
        (n,), any numbers.
    rates
        (edges,), any numbers; empty without a split part.
    z
        (k,), any numbers.
    """
    bad = ~((z >= links.lower) & (z <= links.upper) & np.isfinite(z))
    bad |= links.integer & (z != np.floor(z))
    for column in np.flatnonzero(bad)[:_SHOWN]:
        faults.append(
            f"z[{column}] = {z[column]:.12g}: a {'whole ' if links.integer[column] else ''}number "
            f"from {links.lower[column]:g} to {links.upper[column]:g} is wanted"
        )
    total, largest = _sums(links, x, rates, z)
    for limit, missing, words in (
        (links.row_lower, links.row_lower - total, "at least"),
        (links.row_upper, total - links.row_upper, "at most"),
    ):
        size = np.maximum(largest, np.where(np.isfinite(limit), np.abs(limit), 0.0))
        for row in np.flatnonzero(~(missing <= LINK_TOLERANCE * size))[:_SHOWN]:
            faults.append(
                f"links row {row}: {total[row]:.12g}, {words} {limit[row]:.12g} is wanted"
            )
    return float((links.cost * z).sum())


def _sums(
    links: Links, x: FloatArray, rates: FloatArray, z: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the sum of each row and its largest term."""
    total, largest = np.zeros(links.rows), np.zeros(links.rows)
    for matrix, vector in ((links.of_x, x), (links.of_z, z), (links.of_rates, rates)):
        if matrix is not None:
            column = np.repeat(np.arange(matrix.shape[1]), np.diff(matrix.indptr))
            terms = matrix.values * vector[column]
            np.add.at(total, matrix.rows, terms)
            np.maximum.at(largest, matrix.rows, np.abs(terms))
    return total, largest


def cheapest_z(links: Links, x: FloatArray, rates: FloatArray) -> FloatArray | None:
    """Return the z that costs least beside these x and rates, by scipy; None without any."""
    if not links.columns:
        return np.zeros(0)
    from scipy.optimize import Bounds, LinearConstraint, milp

    held, _ = _sums(links, x, rates, np.zeros(links.columns))
    answer = milp(
        links.cost,
        integrality=links.integer.astype(int),
        bounds=Bounds(links.lower, links.upper),
        constraints=LinearConstraint(
            links.of_z.to_scipy(), links.row_lower - held, links.row_upper - held
        ),
        options={"presolve": False},
    )
    if answer.x is None or answer.status != 0:
        return None
    z = np.where(links.integer, np.rint(answer.x), answer.x)
    return np.clip(z, links.lower, links.upper)
