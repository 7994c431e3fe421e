"""What is wrong with a question about capacity: the field, what came, what is wanted."""

from __future__ import annotations

import math
from numbers import Real

from optimizer.errors import FleetError

__all__ = ["CapacityError", "require_count", "require_fraction", "require_positive"]

# A length or size beyond this is a mistake, and would only overflow later.
_LARGEST_COUNT = 2**40


class CapacityError(FleetError, ValueError):
    """An argument of a capacity calculation is wrong.

    Parameters
    ----------
    field
        Name of the argument or of the fact that is wrong.
    value
        What came.
    wanted
        What is wanted, and what to try.
    """

    def __init__(self, field: str, value: object, wanted: str) -> None:
        self.field = field
        self.value = value
        self.wanted = wanted
        super().__init__(f"{field} = {value!r}: {wanted}")

    def __reduce__(self) -> tuple[type[CapacityError], tuple[str, object, str]]:
        """Pickle by the parts of the message."""
        return type(self), (self.field, self.value, self.wanted)


def require_count(field: str, value: object, *, least: int = 1) -> int:
    """Return `value` as a whole number of at least `least` and at most 2**40.

    Raises
    ------
    CapacityError
        If it is no whole number, or too small; names the field.
    """
    number = _finite(value)
    if number is None or number != math.floor(number) or number < least:
        raise CapacityError(field, value, f"must be a whole number of at least {least}")
    if number > _LARGEST_COUNT:
        raise CapacityError(field, value, f"must be at most {_LARGEST_COUNT}")
    return int(number)


def require_positive(field: str, value: object) -> float:
    """Return `value` as a finite number above 0.

    Raises
    ------
    CapacityError
        If it is none; names the field.
    """
    number = _finite(value)
    if number is None or number <= 0:
        raise CapacityError(field, value, "must be a finite number above 0")
    return number


def require_fraction(field: str, value: object) -> float:
    """Return `value` as a number in (0, 1].

    Raises
    ------
    CapacityError
        If it is none; names the field.
    """
    number = require_positive(field, value)
    if number > 1:
        raise CapacityError(field, value, "must be in (0, 1]")
    return number


def _finite(value: object) -> float | None:
    """Value as a finite number; None for anything else, truth values included."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    number = float(value)
    return number if math.isfinite(number) else None
