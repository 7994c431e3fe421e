"""Units of memory, never confused: GB is decimal, GiB is binary."""

from __future__ import annotations

__all__ = ["GB", "GIB"]

GB = 10**9
GIB = 2**30
