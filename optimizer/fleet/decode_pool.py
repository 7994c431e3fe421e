"""The second half of candidates that prefill and decode in pools of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["DecodePool"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DecodePool:
    """Replicas that decode what others prefill; one entry per candidate.

    Parameters
    ----------
    accelerator, performance
        As of `CandidateTable`; -1 where one pool does both.
    max_batch, replicas, instances, cards, cost_per_hour
        Of the decode pool alone.
    utilization, queueing_ms
        Predicted, of one of its replicas.
    """

    accelerator: IntArray
    performance: IntArray
    max_batch: IntArray
    replicas: IntArray
    instances: IntArray
    cards: IntArray
    cost_per_hour: FloatArray
    utilization: FloatArray
    queueing_ms: FloatArray

    @classmethod
    def none(cls, rows: int) -> Self:
        """Return so many candidates of which one pool does both."""
        nothing = np.zeros(rows, dtype=np.int64)
        unknown = np.full(rows, np.nan)
        return cls(
            nothing - 1, nothing - 1, nothing, nothing, nothing, nothing, np.zeros(rows),
            unknown, unknown,
        )  # fmt: skip

    def take(self, rows: IntArray) -> Self:
        """Return some rows."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Put rows after one another."""
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))
