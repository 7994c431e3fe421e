"""Types of arrays, and the check that every array given from outside passes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.errors import ServiceProcessError

__all__ = ["BoolArray", "ComplexArray", "FloatArray", "IntArray", "checked_array"]

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complexfloating]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Faulty elements are listed by index up to this many.
_SHOWN = 5


def checked_array(
    owner: str,
    name: str,
    value: ArrayLike,
    low: float,
    high: float = np.inf,
    *,
    above: bool = False,
    finite: bool = True,
    whole: bool = False,
) -> FloatArray:
    """Copy into a read-only float array and refuse what is out of range, naming field and value.

    Parameters
    ----------
    owner, name
        Who wants it, for the message.
    value
        What came.
    low, high
        Least and largest value.
    above
        Whether `low` itself is refused.
    finite
        Whether infinity is refused.
    whole
        Whether fractions are refused.

    Raises
    ------
    ServiceProcessError
        If an element is no number or out of range.
    """
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ServiceProcessError(f"{owner}.{name} = {value!r}: must be numbers") from error
    good = (array > low) if above else (array >= low)
    good &= array <= high
    if finite:
        good &= np.isfinite(array)
    if not good.all():
        flat = np.flatnonzero(~good.ravel())
        shown = ", ".join(f"{array.ravel()[i]:g}" for i in flat[:_SHOWN])
        wanted = f"{'greater than' if above else 'at least'} {low:g}"
        if np.isfinite(high):
            wanted += f", at most {high:g}"
        raise ServiceProcessError(
            f"{owner}.{name}: {shown} (element(s) {flat[:_SHOWN].tolist()}): "
            f"must be {wanted}{' and finite' if finite else ''}"
        )
    if whole and np.any(np.isfinite(array) & (array != np.floor(array))):
        raise ServiceProcessError(f"{owner}.{name}: must be whole numbers")
    array.flags.writeable = False
    return array
