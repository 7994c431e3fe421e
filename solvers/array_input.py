"""Taking a caller's arrays: exact, read-only copies, and every fault named with its place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.errors import ProblemError
from solvers.sparse_columns import SparseColumns

__all__ = ["SHOWN", "read_matrix", "read_only_vector", "refuse_faults", "report_bad"]

# Faults of one array are listed by index up to this many.
SHOWN = 5


def read_only_vector(
    name: str, value: object, dtype: type, faults: list[str]
) -> NDArray[Any] | None:
    """Copy into a read-only vector, exactly; report what cannot be. None stays None."""
    if value is None:
        return None
    try:
        raw = np.asarray(value)
        if raw.size == 0:
            raw = raw.astype(dtype)
        if raw.dtype.kind not in "biuf":
            raise ValueError(f"numbers are wanted, not {raw.dtype}")
        if dtype is np.bool_ and not np.isin(raw, (0, 1)).all():
            raise ValueError("true and false are wanted")
        # Beyond 2**53 a float is no count any more; infinities and NaN fall out here too.
        if dtype is np.int64 and not np.all((raw == np.floor(raw)) & (np.abs(raw) <= 2.0**53)):
            raise ValueError("whole numbers are wanted")
        array: NDArray[Any] = raw.astype(dtype)
    except (ValueError, TypeError) as error:
        faults.append(f"{name}: {error}")
        return None
    if array.ndim != 1:
        faults.append(f"{name}: must have one dimension, not shape {array.shape}")
        return None
    array.flags.writeable = False
    return array


def read_matrix(name: str, value: object, faults: list[str]) -> SparseColumns | None:
    """Copy any matrix into compressed columns; report what cannot be."""
    try:
        return SparseColumns.from_any(value)
    except (ValueError, TypeError) as error:
        faults.append(f"{name}: {error}")
        return None


def refuse_faults(wanted: str, faults: list[str]) -> None:
    """Raise a `ProblemError` that lists every fault of what should have been something."""
    if faults:
        raise ProblemError(f"not {wanted}:\n" + "\n".join(f"- {fault}" for fault in faults))


def report_bad(
    faults: list[str], name: str, bad: NDArray[np.bool_], values: NDArray[Any], wanted: str
) -> None:
    """Add a fault that names the first bad entries, if there are any."""
    where = np.flatnonzero(bad)
    if where.size:
        shown = ", ".join(f"[{i}] = {values[i]}" for i in where[:SHOWN])
        more = f" and {where.size - SHOWN} more" if where.size > SHOWN else ""
        faults.append(f"{name}{shown}{more}: {wanted}")
