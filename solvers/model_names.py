"""Names of a problem's columns and rows in files of other programs, which allow few characters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["ModelNames", "escaped"]

# Of both formats; LP files read operators and brackets in others.
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.@#$%&]")
# What LP files would read as a number, such as 1e5 or e5.
_NUMBER = re.compile(r"[0-9.]|[eE][0-9.]")
# What LP files read as the start of a section, or as infinity.
_WORDS = frozenset(
    (
        "min", "max", "minimize", "maximize", "minimise", "maximise", "minimum", "maximum",
        "subject", "st", "s.t.", "st.", "such", "that", "bounds", "bound", "bin", "binary",
        "binaries", "gen", "general", "generals", "int", "integer", "integers", "semi", "sos",
        "sos1", "sos2", "free", "inf", "infinity", "end",
    )
)  # fmt: skip
# LP files allow 255 characters; some readers of MPS fewer.
_LONGEST = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNames:
    """What to call the parts of a problem; empty ones are numbered.

    Parameters
    ----------
    columns, rows, groups
        (n,), (m,) and (G,).
    further, links
        (k,), the further columns, and the rows of the linked part.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


def escaped(names: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """Return names that files of models can hold, each once and other than those taken."""
    used = set(taken)
    found = []
    for name in names:
        plain = _FORBIDDEN.sub("_", name)[:_LONGEST] or "_"
        if _NUMBER.match(plain) or plain.lower() in _WORDS:
            plain = f"_{plain}"
        unique, number = plain, 1
        while unique in used:
            number += 1
            unique = f"{plain}#{number}"
        used.add(unique)
        found.append(unique)
    return found
