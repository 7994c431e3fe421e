"""How paths, values and near misses read in a message."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from enum import Enum
from itertools import islice

from optimizer.spec.finding import NO_VALUE, Path

__all__ = ["kind_of", "listed", "nearest", "show_path", "show_value", "suggestion"]

_PLAIN_KEY = re.compile(r"[^\W\d][\w-]*")
# Names compared with a misspelt one at most; beyond, no suggestion is made.
_MOST_COMPARED = 500
_MOST_LISTED = 12
_MOST_SHOWN_CHARACTERS = 70
# Whole numbers of more bits are described, not written out (Python refuses 4300 digits).
_MOST_SHOWN_BITS = 200


def show_path(path: Path) -> str:
    """Render a path as `services[2].load.input_tokens`; keys that are no words in brackets."""
    text = ""
    for step in path:
        if isinstance(step, str) and _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        elif isinstance(step, str) and len(step) > _MOST_SHOWN_CHARACTERS:
            text += f"[{step[:_MOST_SHOWN_CHARACTERS] + '...'!r}]"
        else:
            text += f"[{step!r}]"
    return text


def show_value(value: object) -> str | None:
    """Render a value for a message: short, on one line, printable; None where none came."""
    if value is NO_VALUE:
        return None
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return show_value(value.value)
    if isinstance(value, int) and value.bit_length() > _MOST_SHOWN_BITS:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        if len(value) > _MOST_SHOWN_CHARACTERS:
            return repr(value[:_MOST_SHOWN_CHARACTERS]) + "..."
        return repr(value)
    if isinstance(value, Mapping):
        return f"a mapping ({listed(value, 4)})" if value else "an empty mapping"
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes):
        return f"a list of {len(value)}" if value else "an empty list"
    return f"an object of type {type(value).__name__}"


def kind_of(value: object) -> str:
    """Name the kind of a value in plain words."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence | Set) and not isinstance(value, bytes):
        return "a list"
    return f"an object of type {type(value).__name__}"


def listed(names: Iterable[object], most: int = _MOST_LISTED) -> str:
    """Enumerate names, the first few of them where they are many."""
    rest = iter(names)
    shown = [str(name) if _is_clean(name) else repr(name) for name in islice(rest, most)]
    more = sum(1 for _ in rest)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _is_clean(name: object) -> bool:
    """Whether a name can stand in a message as it is, without quotes."""
    text = str(name)
    return bool(text) and text.isprintable() and text == text.strip() and "," not in text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that a misspelt one most likely means, or None."""
    candidates = list(dict.fromkeys(known))
    if len(candidates) > _MOST_COMPARED or len(name) > 200:
        return None
    by_folded = {candidate.casefold(): candidate for candidate in reversed(candidates)}
    folded = name.strip().casefold()
    if folded in by_folded:
        return by_folded[folded]
    close = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    if close:
        return by_folded[close[0]]
    # `rate` for `arrival_rate_rps`, `service_class` for `class`: one of the two holds the other.
    within = [key for key in by_folded if len(folded) >= 3 and (folded in key or key in folded)]
    return by_folded[within[0]] if len(within) == 1 else None


def suggestion(name: str, known: Iterable[str], what: str = "known") -> str:
    """Word the hint for an unknown name: the nearest known one, and which there are."""
    names = list(dict.fromkeys(known))
    near = nearest(name, names)
    start = f"did you mean {near!r}? " if near is not None else ""
    return f"{start}{what}: {listed(names)}" if names else f"{start}{what}: none"
