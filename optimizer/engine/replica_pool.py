"""Replicas that share requests: their state in a run, and what comes out of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.batch import advance_all, in_order, serve
from optimizer.engine.errors import SimulationError
from optimizer.engine.routing import Router
from optimizer.engine.rules import EngineConfig
from optimizer.engine.state import NONE, grown, new_state
from optimizer.engine.time_law import time_law
from optimizer.engine.traffic import Traffic
from queue_models import Timing

__all__ = ["PIECE", "AbstractServers", "Pool", "RunningPool", "Sink", "Totals"]

PIECE = 65536
"""Requests handed over at a time, at most."""

Sink = Callable[[Any], None]
"""Takes records of requests that are over (`optimizer.engine.state.DONE`)."""

Totals = Mapping[str, float]
"""What the replicas of a pool counted, by name."""

_COUNTED = (
    "iterations",
    "busy_ms",
    "running_ms",
    "block_ms",
    "tabled_ms",
    "context_ms",
    "emitted_tokens",
    "queried_tokens",
    "hit_tokens",
    "preemptions",
    "swaps",
    "drafts",
    "accepted_drafts",
)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Replicas of one kind, how many, and how requests are spread over them.

    Parameters
    ----------
    config, timing
        Settings of a replica, and its iteration times (one pair).
    replicas, router
        How many, >= 1, and how requests are spread.
    """

    config: EngineConfig
    timing: Timing
    replicas: int = 1
    router: Router = field(default_factory=Router)


class AbstractServers(ABC):
    """What serves a stream of requests: a pool, or a pool after another."""

    pools: tuple[Pool, ...]

    @abstractmethod
    def serve(self, traffic: Traffic, number: int, sink: Sink) -> None:
        """Take requests, of which the first has this number, and let the replicas work on."""

    @abstractmethod
    def advance(self, until: float, sink: Sink) -> None:
        """Let every replica work until a time [ms]."""

    @abstractmethod
    def finish(self, sink: Sink) -> float:
        """Let the replicas end all they have; return when that was [ms]."""

    @property
    @abstractmethod
    def outstanding(self) -> int:
        """Requests taken that are not over."""

    @property
    @abstractmethod
    def gaps(self) -> NDArray[np.int64]:
        """Gaps between tokens so far, counted in the bins of `gap_edges`."""

    @abstractmethod
    def totals(self) -> tuple[Totals, ...]:
        """Return what was counted so far, by pool."""


class RunningPool(AbstractServers):
    """A pool at work."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pools = (pool,)
        self._rules = replace(pool.config, seed=seed).rules()
        self._law, self._router = time_law(pool.timing), pool.router.plain()
        self._state = new_state(self._rules, pool.replicas, done=2 * PIECE)

    def serve(self, traffic: Traffic, number: int, sink: Sink) -> None:
        """Take requests; see `AbstractServers.serve`."""
        longest = int((traffic.prompt.astype(np.int64) + traffic.output).max())
        segments = int(np.diff(traffic.segment_of).max())
        self._state = grown(self._state, self._rules, segments=segments, longest=longest)
        place = 0
        chosen, order = in_order(self._state, self._rules, self._router, traffic, number)
        while True:
            engine = self._state, self._rules, self._law, self._router
            place = serve(*engine, traffic, chosen, order, place, number, -np.inf)
            self._fetch(sink)
            if place == traffic.arrival_ms.size:
                return
            if self._state.free_slots[-1] == 0:
                self._grow()

    def advance(self, until: float, sink: Sink) -> None:
        """Let every replica work until a time."""
        advance_all(self._state, self._rules, self._law, until)
        self._fetch(sink)

    def finish(self, sink: Sink) -> float:
        """Let the replicas end all they have."""
        self.advance(np.inf, sink)
        if self.outstanding:
            raise SimulationError(
                f"{self.outstanding} requests remain that can neither run nor leave: a fault of "
                f"the engine"
            )
        return float(self._state.replicas.now.max())

    def settled(self, until: float) -> float:
        """Return a time before which nothing more will be over [ms]; all have worked until then."""
        times = []
        for replica in self._state.replicas:
            times.append(float(replica.ends) if replica.in_flight else until)
            if replica.first_copy != NONE:
                times.append(float(self._state.requests[replica.first_copy].ready))
        return min(times)

    @property
    def outstanding(self) -> int:
        """Requests that are not over, those on the link included."""
        return int(self._state.requests.size - self._state.free_slots[-1])

    @property
    def gaps(self) -> NDArray[np.int64]:
        """Gaps between tokens so far."""
        gaps: NDArray[np.int64] = self._state.gaps.copy()
        return gaps

    def totals(self) -> tuple[Totals, ...]:
        """Return what was counted so far."""
        replicas = self._state.replicas
        return ({name: float(replicas[name].sum()) for name in _COUNTED},)

    def _grow(self) -> None:
        slots = 2 * self._state.requests.size
        self._state = grown(self._state, self._rules, slots=slots)
        if slots > self._state.done.size // 2:
            done = np.zeros(4 * slots, self._state.done.dtype).view(np.recarray)
            self._state = self._state._replace(done=done)

    def _fetch(self, sink: Sink) -> None:
        count = int(self._state.done_count[0])
        self._state.done_count[0] = 0
        if count:
            sink(self._state.done[:count])
