"""Requests of a workload, taken so many at a time."""

from __future__ import annotations

import numpy as np

from optimizer.engine.replica_pool import PIECE
from optimizer.engine.traffic import Traffic
from optimizer.engine.workload import AbstractWorkload

__all__ = ["RequestSource"]


class RequestSource:
    """Pieces of a workload of whatever size is asked for.

    Attributes
    ----------
    number
        Requests taken so far.
    now_ms
        Arrival of the last one.
    """

    def __init__(self, workload: AbstractWorkload, seed: np.random.SeedSequence) -> None:
        self._pieces = workload.pieces(PIECE, seed)
        self._piece: Traffic | None = None
        self._place = 0
        self.number = 0
        self.now_ms = 0.0

    def take(self, most: int) -> Traffic | None:
        """Return the next requests, at most so many; None when there are no more."""
        while self._piece is None or self._place == self._piece.arrival_ms.size:
            self._piece, self._place = next(self._pieces, None), 0
            if self._piece is None:
                return None
        traffic = self._piece.part(self._place, self._place + most)
        self._place += traffic.arrival_ms.size
        self.number += traffic.arrival_ms.size
        self.now_ms = float(traffic.arrival_ms[-1])
        return traffic
