"""Names of services and accelerators in the words of Kubernetes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

__all__ = ["label_value", "object_names"]

# Names of objects that become labels and host names: RFC 1123, section 2.1.
_MOST_CHARACTERS = 63
_HASH_CHARACTERS = 8
_FOREIGN_TO_NAMES = re.compile(r"[^a-z0-9-]+")
_FOREIGN_TO_LABELS = re.compile(r"[^A-Za-z0-9._-]+")


def object_names(wanted: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a valid and unique object name for each tuple of words.

    A name that would lose characters, be too long or stand twice ends in a hash of its words, so
    that it stays the same whatever else is in the list.

    Parameters
    ----------
    wanted
        Distinct tuples, such as (service, accelerator).
    """
    plain = ["-".join(map(_lowered, words)) for words in wanted]
    return [
        name
        if _is_faithful(name, words) and plain.count(name) == 1
        else f"{name[: _MOST_CHARACTERS - _HASH_CHARACTERS - 1].strip('-') or 'x'}-{_hash(words)}"
        for name, words in zip(plain, wanted, strict=True)
    ]


def label_value(words: str) -> str:
    """Return a valid label value; with a hash where it would lose characters or be too long."""
    kept = _FOREIGN_TO_LABELS.sub("-", words).strip("-._")
    if kept == words and len(kept) <= _MOST_CHARACTERS:
        return kept
    start = kept[: _MOST_CHARACTERS - _HASH_CHARACTERS - 1].strip("-._") or "x"
    return f"{start}-{_hash((words,))}"


def _lowered(words: str) -> str:
    return _FOREIGN_TO_NAMES.sub("-", words.lower()).strip("-")


def _is_faithful(name: str, words: tuple[str, ...]) -> bool:
    return name == "-".join(words).lower() and 0 < len(name) <= _MOST_CHARACTERS


def _hash(words: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:_HASH_CHARACTERS]
