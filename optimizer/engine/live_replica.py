"""A replica of a live fleet, and what can be told of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["LiveReplica", "Phase", "ReplicaStatus"]


class Phase(StrEnum):
    """Where a replica is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"  # takes no new requests, and goes when it has none
    DOWN = "down"  # its process has ended and is being started again


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A replica as its fleet shows it.

    Parameters
    ----------
    number
        Unique for ever; the oldest is 0.
    phase, cause
        Where it is, and why it is down.
    added_ms, ready_ms
        When it was added, and when it is ready or last became so.
    pace
        What its iteration times are multiplied by.
    shows_metrics
        Whether it answers scrapes.
    running, waiting
        Requests in its batch and before it.
    """

    number: int
    phase: Phase
    cause: str
    added_ms: float
    ready_ms: float
    pace: float
    shows_metrics: bool
    running: int
    waiting: int


@dataclass(slots=True, eq=False)
class LiveReplica:
    """What a fleet keeps of a replica; `row` is its place in the engine's arrays."""

    number: int
    row: int
    added_ms: float
    ready_ms: float = 0.0
    phase: Phase = Phase.STARTING
    cause: str = ""
    pace: float = 1.0
    pace_until_ms: float = -math.inf
    hidden: bool = False
    hidden_until_ms: float = -math.inf

    @property
    def answers(self) -> bool:
        """Whether it answers a scrape."""
        return self.phase in (Phase.READY, Phase.DRAINING) and not self.hidden

    def status(self, row: Any) -> ReplicaStatus:
        """Return what is shown of it, given its row of the engine's state."""
        return ReplicaStatus(
            number=self.number,
            phase=self.phase,
            cause=self.cause,
            added_ms=self.added_ms,
            ready_ms=self.ready_ms,
            pace=self.pace,
            shows_metrics=self.answers,
            running=int(row.running),
            waiting=int(row.waiting + row.copied_in),
        )
