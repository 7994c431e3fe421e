"""Prefill and decode in pools of their own: requests go from one to the other over a link."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.errors import SimulationError
from optimizer.engine.numbered import NumberedRecords
from optimizer.engine.replica_pool import AbstractServers, Pool, RunningPool, Sink, Totals
from optimizer.engine.rules import ReplicaRole
from optimizer.engine.state import COMPLETED, DONE
from optimizer.engine.traffic import Traffic

__all__ = ["PoolChain"]

IntArray = NDArray[np.int64]

_ENDLESS = 2**31 - 1
_NOBODY = np.zeros(0, DONE)


class PoolChain(AbstractServers):
    """A prefill pool, and a decode pool that gets every request with its first token.

    A request's KV cache goes over the link of its prefill replica, after those that were ready
    before it; then the decode pool's router chooses its replica. What is told of a request is of
    both pools: its arrival, its first token in the one, its last in the other. The first gap
    between its tokens holds the transfer and the wait.

    Parameters
    ----------
    prefill
        With role PREFILL; the link is that of its settings.
    decode
        With role DECODE.
    seed
        Of all draws in both.
    """

    def __init__(self, prefill: Pool, decode: Pool, seed: int) -> None:
        for pool, role in ((prefill, ReplicaRole.PREFILL), (decode, ReplicaRole.DECODE)):
            if pool.config.role is not role:
                raise SimulationError(
                    f"a pool with role {pool.config.role.name} cannot {role.name.lower()}: its "
                    f"settings must say role = ReplicaRole.{role.name}"
                )
        self.pools = (prefill, decode)
        self._first, self._second = RunningPool(prefill, seed), RunningPool(decode, seed)
        self._outputs = _Outputs()
        self._ready = _NOBODY  # prefilled, but one more may come before them
        self._moved = NumberedRecords(DONE)

    def serve(self, traffic: Traffic, number: int, sink: Sink) -> None:
        """Take requests; see `AbstractServers.serve`."""
        self._outputs.add(number, traffic.output)
        prompts = traffic._replace(output=np.ones_like(traffic.output))
        self._first.serve(prompts, number, lambda done: self._prefilled(done, sink))
        self._move_on(float(traffic.arrival_ms[-1]), sink)

    def advance(self, until: float, sink: Sink) -> None:
        """Let every replica work until a time, those that decode as far as arrivals are known."""
        self._move_on(until, sink)

    def finish(self, sink: Sink) -> float:
        """Let both pools end all they have."""
        self._first.finish(lambda done: self._prefilled(done, sink))
        self._send(np.inf, sink)
        return self._second.finish(lambda done: self._decoded(done, sink))

    @property
    def outstanding(self) -> int:
        """Requests in either pool or between them."""
        return self._outputs.size + self._moved.size

    @property
    def gaps(self) -> NDArray[np.int64]:
        """Gaps between tokens: all of them are the decode pool's."""
        return self._second.gaps

    def totals(self) -> tuple[Totals, ...]:
        """Return what was counted so far, of prefill and of decode."""
        return (*self._first.totals(), *self._second.totals())

    def _move_on(self, until: float, sink: Sink) -> None:
        self._first.advance(until, lambda done: self._prefilled(done, sink))
        settled = min(self._first.settled(until), until)
        self._send(settled, sink)
        self._second.advance(settled, lambda done: self._decoded(done, sink))

    def _prefilled(self, done: Any, sink: Sink) -> None:
        """Keep those whose decode is to come; the others are over."""
        outputs = self._outputs.of(done.id)
        over = (done.outcome != COMPLETED) | (outputs == 1)
        if over.any():
            ended = done[over].copy()
            kept = ended.outcome == COMPLETED
            ended.finished[kept] = ended.first[kept]  # nobody waits for its KV cache
            self._outputs.forget(ended.id)
            sink(ended)
        self._ready = np.concatenate([self._ready, done[~over]])

    def _send(self, before: float, sink: Sink) -> None:
        """Hand those over whose KV cache has arrived before a time."""
        there = self._ready["finished"] < before
        ready = self._ready[there]
        if not ready.size:
            return
        self._ready = self._ready[~there]
        ready = ready[np.argsort(ready["finished"], kind="stable")]
        count, first = ready.size, self._moved.add(ready)
        traffic = Traffic(
            arrival_ms=np.ascontiguousarray(ready["finished"]),
            prompt=np.ascontiguousarray(ready["prompt"]),
            output=self._outputs.of(ready["id"]).astype(np.int32),
            given=np.ascontiguousarray(ready["prompt"]),
            priority=np.ascontiguousarray(ready["priority"]),
            deadline_ms=np.full(count, np.inf),
            first_ms=np.ascontiguousarray(ready["first"]),
            segment_of=np.arange(count + 1),
            keys=-1 - first - np.arange(count),
            ends=np.full(count, _ENDLESS, np.int32),
        )
        self._outputs.forget(ready["id"])
        self._second.serve(traffic, first, lambda done: self._decoded(done, sink))

    def _decoded(self, done: Any, sink: Sink) -> None:
        """Tell of requests as their senders saw them."""
        began = self._moved.take(done.id)
        whole = done.copy()
        for name in ("id", "arrival", "admitted", "first", "hit"):
            whole[name] = began[name]
        whole.preemptions += began["preemptions"]
        sink(whole)


class _Outputs:
    """Tokens wanted by requests that are in the prefill pool, by number."""

    def __init__(self) -> None:
        self._number = np.zeros(0, np.int64)
        self._output = np.zeros(0, np.int64)

    @property
    def size(self) -> int:
        return int(self._number.size)

    def add(self, number: int, output: IntArray) -> None:
        numbers = number + np.arange(output.size)
        self._number = np.concatenate([self._number, numbers])
        self._output = np.concatenate([self._output, output.astype(np.int64)])

    def of(self, numbers: IntArray) -> IntArray:
        return self._output[np.searchsorted(self._number, numbers)]

    def forget(self, numbers: IntArray) -> None:
        keep = np.ones(self._number.size, np.bool_)
        keep[np.searchsorted(self._number, numbers)] = False
        self._number, self._output = self._number[keep], self._output[keep]
