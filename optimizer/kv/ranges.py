"""Which figures are accepted, and the words for those that are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from optimizer.errors import Fault, SpecError

__all__ = ["Range", "faults_outside", "refuse_outside"]

# Beyond this a figure is a slip of the pen, and products of it leave floating point.
_LARGEST = 1e15


@dataclass(frozen=True, slots=True)
class Range:
    """An interval of accepted numbers.

    Parameters
    ----------
    unit
        Named in messages; "" for pure numbers.
    low, high
        Ends of the interval.
    above
        Whether `low` itself is refused.
    """

    unit: str = ""
    low: float = 0.0
    high: float = _LARGEST
    above: bool = False

    @property
    def wanted(self) -> str:
        """The interval in words."""
        unit = f" {self.unit}" if self.unit else ""
        least = f"greater than {self.low:g}" if self.above else f"at least {self.low:g}"
        return f"must be {least} and at most {self.high:g}{unit}"

    def holds(self, value: object) -> bool:
        """Whether a number, or every number of an array, lies within; nan never does."""
        array = np.asarray(value, dtype=np.float64)
        least = array > self.low if self.above else array >= self.low
        return bool(np.all(least & (array <= self.high)))


def faults_outside(values: Mapping[str, object], ranges: Mapping[str, Range]) -> Iterator[Fault]:
    """Yield a fault for each figure outside its range; None is accepted."""
    for name, accepted in ranges.items():
        value = values[name]
        if value is not None and not accepted.holds(value):
            yield Fault(accepted.wanted, path=name, value=_shown(value))


def refuse_outside(values: Mapping[str, object], ranges: Mapping[str, Range]) -> None:
    """Raise one `SpecError` with every figure that is outside its range."""
    faults = list(faults_outside(values, ranges))
    if faults:
        raise SpecError(faults)


def _shown(value: object) -> str:
    if np.ndim(np.asarray(value)):
        return f"an array of shape {np.shape(np.asarray(value))}"
    return repr(value)
