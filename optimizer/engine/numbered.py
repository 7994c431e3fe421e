"""Records of requests that are elsewhere meanwhile, by the number that they have there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NumberedRecords"]


class NumberedRecords:
    """Records that are put down under the numbers 0, 1, 2, ... and taken in any order.

    Parameters
    ----------
    kind
        Of a record.
    """

    def __init__(self, kind: np.dtype[Any]) -> None:
        self._record = np.zeros(0, kind)
        self._number = np.zeros(0, np.int64)
        self._next = 0

    @property
    def size(self) -> int:
        """How many are there."""
        return int(self._number.size)

    def add(self, record: NDArray[Any]) -> int:
        """Put records down; return the number of the first."""
        first = self._next
        self._next += record.size
        self._record = np.concatenate([self._record, record])
        self._number = np.concatenate([self._number, first + np.arange(record.size)])
        return first

    def take(self, numbers: NDArray[np.int64]) -> NDArray[Any]:
        """Return records, which are not there any more."""
        place = np.searchsorted(self._number, numbers)
        found = self._record[place]
        keep = np.ones(self._number.size, np.bool_)
        keep[place] = False
        self._record, self._number = self._record[keep], self._number[keep]
        return found
