"""Values of a sweep written as text: `services[*].load.arrival_rate_rps*=0.5:2:7`."""

from __future__ import annotations

import math

from optimizer.errors import Fault, SpecError
from optimizer.spec.assignment import Assignment, parse_assignment

__all__ = ["MOST_VALUES", "parse_range"]

MOST_VALUES = 10_000
"""Most values of one sweep."""

_SPACINGS = ("lin", "log")


def parse_range(text: str, source: str = "--range") -> tuple[Assignment, ...]:
    """Read a path with several values, as one assignment each.

    Parameters
    ----------
    text
        `PATH=FIRST:LAST:COUNT` (evenly spaced, both ends included), `PATH=FIRST:LAST:COUNT:log`
        (evenly spaced ratios) or `PATH=[VALUE, VALUE, ...]`, with `=`, `*=` or `+=`.
    source
        What messages call it.

    Raises
    ------
    SpecError
        If it is not such a text.
    """
    whole = parse_assignment(text, source)
    values = whole.value if isinstance(whole.value, list) else _spaced(whole.value, text, source)
    if not values:
        raise _fault(text, source, "holds no value")
    if len(values) > MOST_VALUES:
        raise _fault(text, source, f"holds {len(values)} values, at most {MOST_VALUES} are swept")
    return tuple(Assignment(whole.path, whole.operation, value) for value in values)


def _spaced(written: object, text: str, source: str) -> list[float]:
    parts = written.split(":") if isinstance(written, str) else []
    try:
        first, last = float(parts[0]), float(parts[1])
        count = int(parts[2])
        spacing = parts[3] if len(parts) > 3 else "lin"
    except (IndexError, ValueError):
        raise _fault(
            text, source, "the values must be FIRST:LAST:COUNT or [VALUE, VALUE, ...]"
        ) from None
    if len(parts) > 4 or spacing not in _SPACINGS:
        raise _fault(text, source, "after FIRST:LAST:COUNT may stand :log alone")
    if not (math.isfinite(first) and math.isfinite(last) and 1 <= count <= MOST_VALUES):
        raise _fault(text, source, f"ends must be finite, the count from 1 to {MOST_VALUES}")
    if spacing == "log" and not (first > 0 and last > 0):
        raise _fault(text, source, "with :log both ends must be greater than 0")
    if count == 1:
        return [_tidy(first)]
    steps = [place / (count - 1) for place in range(count)]
    if spacing == "log":
        return [_tidy(first * (last / first) ** step) for step in steps]
    return [_tidy(first + (last - first) * step) for step in steps]


def _tidy(value: float) -> float:
    """Drop what binary fractions add, and the point of whole numbers, which counts refuse."""
    tidy = float(f"{value:.12g}")
    return int(tidy) if tidy.is_integer() and abs(tidy) < 2**53 else tidy


def _fault(text: str, source: str, message: str) -> SpecError:
    return SpecError([Fault(message=message, value=text, source=source)])
