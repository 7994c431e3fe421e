"""Columns of the array problem, and how figures of candidates become figures of columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable

__all__ = ["Columns"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a fleet's array problem.

    Parameters
    ----------
    table
        The candidates.
    candidate
        (n,), row of the table that each column stands for; -1: its service stays unserved.
    owner
        (n,), service of each column.
    counted
        (services,), which are served by counts: their columns stand for one replica, those of the
        others for all that the service needs.
    """

    table: CandidateTable
    candidate: IntArray
    owner: IntArray
    counted: NDArray[np.bool_]

    @property
    def unserved(self) -> NDArray[np.bool_]:
        """Return (n,), which columns mean that a service stays unserved."""
        mine: NDArray[np.bool_] = self.candidate < 0
        return mine

    @property
    def replicas(self) -> IntArray:
        """Return (n,), equal parts that each column stands for, at least 1: its replicas."""
        return np.where(self.counted[self.owner], 1, self._whole)

    @property
    def _whole(self) -> IntArray:
        """Return (n,), parts of the whole candidate, at least 1."""
        parts: IntArray = np.maximum(np.append(self.table.parts, 1)[self.candidate], 1)
        return parts

    def spread(
        self, of_candidates: FloatArray, of_unserved: FloatArray | None = None
    ) -> FloatArray:
        """Return (n,) from figures of all replicas of each candidate, and of unserved services.

        Parameters
        ----------
        of_candidates
            (candidates,).
        of_unserved
            (services,); 0 by default.
        """
        share = self.replicas / self._whole
        served = np.append(of_candidates, 0.0)[self.candidate] * share
        left = np.zeros(len(self.counted)) if of_unserved is None else of_unserved
        return np.where(self.unserved, left[self.owner], served)
