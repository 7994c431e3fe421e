"""Requests of several services on the same replicas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimizer.engine.errors import WorkloadError
from optimizer.engine.traffic import Traffic
from optimizer.engine.workload import AbstractWorkload, DrawnWorkload

__all__ = ["MixedWorkload"]

# Drawn requests have two segments of content: what is shared, and their own.
_SEGMENTS = 2


@dataclass(frozen=True, eq=False)
class MixedWorkload(AbstractWorkload):
    """Requests of several kinds in the order of arrival, without end.

    Parameters
    ----------
    kinds
        The requests of each. Their `priority` becomes the number of the kind, from 1, by which
        measurements tell them apart: replicas that serve in order of arrival do not read it.
    """

    kinds: tuple[DrawnWorkload, ...]

    def __post_init__(self) -> None:
        if not self.kinds:
            raise WorkloadError("MixedWorkload: at least one kind of requests is wanted")

    @property
    def rate_rps(self) -> float:
        """Mean arrival rate of all kinds together [1/s]."""
        return math.fsum(kind.rate_rps for kind in self.kinds)

    def pieces(self, size: int, seed: np.random.SeedSequence) -> Iterator[Traffic]:
        """Yield pieces of exactly this size."""
        streams = [
            kind.pieces(size, child)
            for kind, child in zip(self.kinds, seed.spawn(len(self.kinds)), strict=True)
        ]
        waiting = [self._told_apart(next(stream), k) for k, stream in enumerate(streams)]
        while True:
            # With so many of every kind at hand, the first so many of all are among them.
            for k, stream in enumerate(streams):
                if waiting[k].arrival_ms.size < size:
                    waiting[k] = _joined([waiting[k], self._told_apart(next(stream), k)])
            together = _joined(waiting)
            first = np.argsort(together.arrival_ms, kind="stable")[:size]
            yield _taken(together, first)
            kind = together.priority[first]
            waiting = [
                part.part(int((kind == k + 1).sum()), part.arrival_ms.size)
                for k, part in enumerate(waiting)
            ]

    def _told_apart(self, traffic: Traffic, kind: int) -> Traffic:
        """Return requests with the number of their kind; kinds have no content in common."""
        return traffic._replace(
            priority=np.full(traffic.arrival_ms.size, kind + 1, np.int32),
            keys=traffic.keys * len(self.kinds) + kind,
        )


def _joined(parts: list[Traffic]) -> Traffic:
    """Return requests one part after another."""
    count = sum(part.arrival_ms.size for part in parts)
    whole = {name: np.concatenate([getattr(p, name) for p in parts]) for name in Traffic._fields}
    return Traffic(**{**whole, "segment_of": _SEGMENTS * np.arange(count + 1)})


def _taken(traffic: Traffic, which: np.ndarray) -> Traffic:
    """Return some requests, in this order."""
    per_segment = {"keys", "ends"}
    taken = {
        name: getattr(traffic, name)[which] for name in Traffic._fields if name not in per_segment
    }
    segments = {
        name: getattr(traffic, name).reshape(-1, _SEGMENTS)[which].ravel() for name in per_segment
    }
    return Traffic(**{**taken, **segments, "segment_of": _SEGMENTS * np.arange(which.size + 1)})
