"""A lenient view of a document, for checks that reach across parts that may be faulty.

What has the wrong kind reads as nothing: the models report it, and other checks pass over it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from optimizer.spec.finding import NO_VALUE, Finding, Path

__all__ = ["Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a document.

    Parameters
    ----------
    path
        Where it is.
    value
        What is there; `NO_VALUE` where nothing is.
    """

    path: Path
    value: object

    def part(self, key: str) -> Part:
        """Member of a mapping; with no value where there is none."""
        value = self.value.get(key, NO_VALUE) if isinstance(self.value, Mapping) else NO_VALUE
        return Part((*self.path, key), value)

    def entries(self, key: str) -> Iterator[Part]:
        """Entries of the list under a key."""
        section = self.part(key)
        if isinstance(section.value, list | tuple):
            for n, value in enumerate(section.value):
                yield Part((*section.path, n), value)

    def one_or_more(self, key: str) -> Iterator[Part]:
        """Entries of the list under a key, or what is there instead of a list."""
        section = self.part(key)
        if isinstance(section.value, list | tuple):
            yield from self.entries(key)
        elif self.has(key):
            yield section

    def has(self, key: str) -> bool:
        """Whether something other than null is under a key."""
        value = self.part(key).value
        return value is not None and value is not NO_VALUE

    def text(self, key: str) -> str | None:
        """Text under a key."""
        value = self.part(key).value
        return value if isinstance(value, str) else None

    def number(self, key: str) -> float | None:
        """Finite number under a key."""
        value = self.part(key).value
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            return float(value) if math.isfinite(value) else None
        except OverflowError:
            return None

    def is_empty_list(self, key: str) -> bool:
        """Whether a list without entries is under a key."""
        value = self.part(key).value
        return isinstance(value, list | tuple) and not value

    def names(self, key: str, name: str = "name") -> tuple[str, ...]:
        """Names of the entries of the list under a key, in their order."""
        found = (entry.text(name) for entry in self.entries(key))
        return tuple(text for text in found if text is not None)

    def find(self, key: str, message: str, hint: str = "") -> Finding:
        """Find fault with the member under a key, and show its value."""
        member = self.part(key)
        return Finding(member.path, message, member.value, hint)
