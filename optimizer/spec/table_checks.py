"""Contradictions in a table of iteration times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from optimizer.spec.finding import Finding, Path
from optimizer.spec.parts import Part
from optimizer.spec.wording import show_path

__all__ = ["check_table"]

_AXES = ("decode_tokens", "prefill_tokens", "kv_tokens")
# Each axis's place among the indices of the table: time_ms[decode][prefill][kv].
_LEVELS = ("decode tokens", "prompt tokens", "tokens in the KV cache")


def check_table(table: Part) -> Iterator[Finding]:
    """Find axes that do not rise, tables that do not fit them, and times that fall."""
    axes = [_numbers(table.part(key).value) for key in _AXES]
    for key, axis in zip(_AXES, axes, strict=True):
        if table.is_empty_list(key):
            yield table.find(key, "must have at least one point")
        elif axis is not None and any(b <= a for a, b in pairwise(axis)):
            yield table.find(key, "must rise from each point to the next")
    times = table.part("time_ms")
    if any(axis is None for axis in axes) or not isinstance(times.value, list | tuple):
        return
    sizes = [len(axis) for axis in axes if axis is not None]
    misfits = list(_misfits(times.path, times.value, sizes, ()))
    yield from misfits
    if not misfits and all(sizes):
        yield from _falls(times.path, times.value, sizes)


def _numbers(values: object) -> list[float] | None:
    """Return the values of a list of finite numbers; None for anything else."""
    if not isinstance(values, list | tuple) or not all(map(_is_number, values)):
        return None
    return [float(value) for value in values]


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _misfits(
    path: Path, values: Sequence[object], sizes: list[int], index: tuple[int, ...]
) -> Iterator[Finding]:
    """Find lists of the table that have not one entry for each point of their axis."""
    level = len(index)
    if len(values) != sizes[level]:
        yield Finding(
            (*path, *index),
            f"must have {sizes[level]} entries, one for each of {_AXES[level]}, not {len(values)}",
            values,
        )
        return
    if level == len(sizes) - 1:
        return
    for place, inner in enumerate(values):
        # Anything but a list is reported by the models.
        if isinstance(inner, list | tuple):
            yield from _misfits(path, inner, sizes, (*index, place))


def _falls(path: Path, values: object, sizes: list[int]) -> Iterator[Finding]:
    """Find times below that of less work; one finding per time."""
    times: dict[tuple[int, ...], float] = {}
    for d in range(sizes[0]):
        for f in range(sizes[1]):
            for g in range(sizes[2]):
                value = _at(values, (d, f, g))
                if isinstance(value, int | float) and _is_number(value):
                    times[d, f, g] = float(value)
    # Those that are not positive are reported by the models.
    for index, time in times.items():
        for level, words in enumerate(_LEVELS):
            less = tuple(i - (place == level) for place, i in enumerate(index))
            if times.get(less, 0.0) > time > 0:
                yield Finding(
                    (*path, *index),
                    f"must be at least {times[less]:g} (ms), the time with fewer {words} "
                    f"({show_path((*path, *less))})",
                    time,
                    "smooth the measurements: more work never takes less time",
                )
                break


def _at(values: object, index: tuple[int, ...]) -> object:
    for place in index:
        if not isinstance(values, list | tuple):
            return None
        values = values[place]
    return values
