"""KV caches that requests load from a store before they join a replica's queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.numbered import NumberedRecords
from optimizer.engine.replica_pool import AbstractServers, Pool, RunningPool, Sink, Totals
from optimizer.engine.traffic import Traffic

__all__ = ["LoadingPool", "StoreLoading"]

FloatArray = NDArray[np.float64]

_LOADED = np.dtype([("id", np.int64), ("delay", np.float64)])
_STREAM = 0x4C4F4144  # draws of loads are apart from those of the engine


@dataclass(frozen=True, kw_only=True)
class StoreLoading:
    """What requests load, and how long that takes.

    Parameters
    ----------
    hit_rate
        Share of the requests that load.
    tokens
        Prompt tokens that such a request need not compute then.
    own_share
        Share of a prompt before these that the replica's own cache holds.
    latency_ms
        Until the first byte.
    transfer_ms
        How long a load has the link of a store for itself; the next one waits.
    hidden_ms
        Recomputing beside the load, in which it delays nothing.
    stores
        How many there are, each with a link: 1 where all replicas share one. A request loads from
        one at random.
    """

    hit_rate: float
    tokens: int
    own_share: float
    latency_ms: float
    transfer_ms: float
    hidden_ms: float
    stores: int = 1


class LoadingPool(AbstractServers):
    """A pool whose requests load from a store first.

    A load begins when the request comes and the store has done those before it. What it takes
    beyond the recomputing beside it delays the request: it joins the queue that much later, with
    the loaded tokens computed, and its TTFT and E2E hold the delay.
    """

    def __init__(self, pool: Pool, loading: StoreLoading, seed: int) -> None:
        self.pools = (pool,)
        self._loading = loading
        self._inside = RunningPool(pool, seed)
        self._rng = np.random.default_rng([_STREAM, seed])
        self._link_free = np.zeros(loading.stores)
        self._coming = Traffic.none()
        self._told = np.zeros(0, _LOADED)  # of those that come
        self._sent = NumberedRecords(_LOADED)
        self._loads, self._loading_ms = 0, 0.0

    def serve(self, traffic: Traffic, number: int, sink: Sink) -> None:
        """Take requests; see `AbstractServers.serve`."""
        told = np.zeros(traffic.arrival_ms.size, _LOADED)
        told["id"] = number + np.arange(told.size)
        draws = self._rng.random((told.size, 2))
        hits = draws[:, 0] < self._loading.hit_rate
        store = (draws[:, 1] * self._loading.stores).astype(np.int64)
        told["delay"][hits] = self._delays(traffic.arrival_ms[hits], store[hits])
        own = np.floor(self._loading.own_share * traffic.prompt)
        found = np.maximum(traffic.given, own) + self._loading.tokens
        given = np.where(hits, np.minimum(found, traffic.prompt - 1), traffic.given)
        later = traffic._replace(
            arrival_ms=traffic.arrival_ms + told["delay"],
            given=given.astype(np.int32),
            deadline_ms=traffic.deadline_ms - told["delay"],
        )
        coming = self._coming.followed_by(later)
        order = np.argsort(coming.arrival_ms, kind="stable")
        self._coming = coming.in_order(order)
        self._told = np.concatenate([self._told, told])[order]
        self._send(float(traffic.arrival_ms[-1]), sink)

    def advance(self, until: float, sink: Sink) -> None:
        """Let every replica work until a time."""
        self._send(until, sink)
        self._inside.advance(until, self._seen_outside(sink))

    def finish(self, sink: Sink) -> float:
        """Let all that load come, and the replicas end all they have."""
        self._send(np.inf, sink)
        return self._inside.finish(self._seen_outside(sink))

    @property
    def outstanding(self) -> int:
        """Requests that load, or are with the replicas."""
        return int(self._told.size) + self._inside.outstanding

    @property
    def gaps(self) -> NDArray[np.int64]:
        """Gaps between tokens so far."""
        return self._inside.gaps

    def totals(self) -> tuple[Totals, ...]:
        """Return what was counted so far."""
        (inside,) = self._inside.totals()
        links_ms = self._loads * self._loading.transfer_ms / self._loading.stores
        loads = {"loads": self._loads, "loading_ms": self._loading_ms, "store_ms": links_ms}
        return ({**inside, **loads},)

    def _delays(self, arrival_ms: FloatArray, store: NDArray[np.int64]) -> FloatArray:
        """Return by how much loads delay the requests that come at these times [ms]."""
        lasts = np.empty(arrival_ms.size)
        transfer = self._loading.transfer_ms
        for one in range(self._loading.stores):
            mine = np.flatnonzero(store == one)
            if mine.size:
                # One after another: Lindley's recursion with equal services.
                before = transfer * np.arange(mine.size)
                ready = np.maximum(arrival_ms[mine], self._link_free[one])
                ends = np.maximum.accumulate(ready - before) + before + transfer
                self._link_free[one] = ends[-1]
                lasts[mine] = ends - arrival_ms[mine] + self._loading.latency_ms
        self._loads += lasts.size
        self._loading_ms += float(lasts.sum())
        return np.maximum(lasts - self._loading.hidden_ms, 0.0)

    def _send(self, until: float, sink: Sink) -> None:
        """Hand over those who have loaded by a time, before which nobody else will come."""
        count = int(np.searchsorted(self._coming.arrival_ms, until, side="right"))
        if not count:
            return
        ready, size = self._coming.part(0, count), self._told.size
        first = self._sent.add(self._told[:count])
        self._coming, self._told = self._coming.part(count, size), self._told[count:]
        self._inside.serve(ready, first, self._seen_outside(sink))

    def _seen_outside(self, sink: Sink) -> Sink:
        """Return what tells of requests under their own numbers, from their own arrival on."""

        def tell(done: Any) -> None:
            sent = self._sent.take(done.id)
            whole = done.copy()
            whole.id = sent["id"]
            whole.arrival -= sent["delay"]
            # Waiting is what is done in the queue.
            whole.admitted -= np.where(done.admitted >= 0.0, sent["delay"], 0.0)
            sink(whole)

        return tell
