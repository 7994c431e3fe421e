"""Versions of installed distributions, read once: their metadata takes milliseconds to parse."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

__all__ = ["distribution_version"]


@cache
def distribution_version(name: str) -> str:
    """Return the version of an installed distribution."""
    return version(name)
