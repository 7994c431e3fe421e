"""The engine one event at a time: requests come and go while it runs, and every token is told.

The schedule is made by the same compiled functions as in a simulation, so that the same requests
at the same times get the same tokens at the same times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.cancellation import abort
from optimizer.engine.compilation import borrowed, compiled
from optimizer.engine.completion import emitting, end_iteration
from optimizer.engine.forking import fork
from optimizer.engine.routing import Router, chosen_replica
from optimizer.engine.rules import EngineConfig
from optimizer.engine.schedule import begin_iteration
from optimizer.engine.state import (
    ABORTED,
    COMPLETED,
    DROPPED,
    FAILED,
    NONE,
    REFUSED,
    TOO_LONG,
    EngineState,
    grown,
    new_state,
)
from optimizer.engine.stepping import next_event
from optimizer.engine.submission import place_request, submit
from optimizer.engine.time_law import time_law
from optimizer.engine.traffic import Traffic
from queue_models import Timing

__all__ = ["OUTCOMES", "Ended", "Event", "Iteration", "OnlineEngine", "Sampler", "Tokens"]

OUTCOMES = {
    COMPLETED: "completed",
    REFUSED: "refused",
    TOO_LONG: "too long",
    DROPPED: "dropped",
    ABORTED: "aborted",
    FAILED: "failed",
}

Sampler = Callable[[int, int], tuple[int, bool]]
"""Says what comes out of a request, given its number and the most tokens that can: how many do, at
least 1, and whether it ends with them."""


class Tokens(NamedTuple):
    """Tokens that a request emits at a time [ms]; made by the thousand, so that it is a tuple."""

    time_ms: float
    request: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that is over, and how: one of `OUTCOMES`."""

    time_ms: float
    request: int
    outcome: str
    emitted: int
    cached_tokens: int
    preemptions: int


@dataclass(frozen=True, slots=True)
class Iteration:
    """An iteration: what it computes of whom, in the order of scheduling."""

    replica: int
    start_ms: float
    end_ms: float
    scheduled: tuple[tuple[int, int], ...]


Event = Tokens | Ended | Iteration


class OnlineEngine:
    """Replicas of one model that serve requests as they come.

    Parameters
    ----------
    config, timing
        What a replica is set to, and how long its iterations take (one pair).
    replicas
        How many there can be; those beyond the first are switched off by `accept`.
    router
        How requests are spread.
    sampler
        Decides what comes out of every request; without it a request emits the tokens that it
        asked for, and drafts are accepted by chance.
    watch_iterations
        Whether every iteration is told too.
    """

    def __init__(
        self,
        config: EngineConfig,
        timing: Timing,
        *,
        replicas: int = 1,
        router: Router | None = None,
        sampler: Sampler | None = None,
        watch_iterations: bool = False,
    ) -> None:
        self.config = config
        self._rules = config.rules(external=sampler is not None)
        self._law = time_law(timing)
        self._router = (router or Router()).plain()
        self._sampler = sampler
        self._watch = watch_iterations
        self._state = new_state(self._rules, replicas, slots=64, done=4096)
        self._slot: dict[int, int] = {}
        self._stalled: set[int] = set()
        self._events: list[Event] = []
        self._next = 0
        self._now = 0.0

    @property
    def state(self) -> EngineState:
        """The arrays themselves, to be read: replicas, requests, blocks and tables."""
        return self._state

    @property
    def now_ms(self) -> float:
        """Until when the engine has worked."""
        return self._now

    def submit(
        self,
        prompt: int,
        output: int,
        *,
        arrival_ms: float | None = None,
        priority: int = 1,
        ttft_deadline_ms: float = math.inf,
        given: int = 0,
        keys: Sequence[int] | NDArray[np.int64] = (),
        ends: Sequence[int] | NDArray[np.int32] = (),
    ) -> int:
        """Hand in a request; return its number.

        Parameters
        ----------
        prompt, output
            Tokens, >= 1; of the output, the most where a sampler decides.
        arrival_ms
            Now by default; the engine works until then first.
        priority, ttft_deadline_ms, given
            As in `Traffic`.
        keys, ends
            Its content in segments; by default its own, shared with no other.

        Raises
        ------
        ValueError
            If a length is below 1, the arrival lies in the past, or no replica accepts requests.
        """
        arrival = self._now if arrival_ms is None else arrival_ms
        if prompt < 1 or output < 1 or not arrival >= self._now:
            raise ValueError(
                f"submit(prompt={prompt}, output={output}, arrival_ms={arrival}): lengths must be "
                f"at least 1, and the arrival not before {self._now}"
            )
        if not self._state.replicas.accepting.any():
            raise ValueError("submit: no replica accepts requests")
        self._work(arrival)
        number = self._next
        self._next += 1
        one = Traffic.of_one(
            number,
            arrival,
            prompt,
            output,
            given=given,
            priority=priority,
            deadline_ms=ttft_deadline_ms,
            keys=keys,
            ends=ends,
        )
        self._make_room(prompt + output, one.keys.size)
        slot = place_request(self._state, one, 0, number)
        r = chosen_replica(self._state, self._rules, self._router, slot, number)
        self._slot[number] = slot
        self._stalled.discard(r)
        submit(self._state, self._rules, r, slot)
        self._fetch_done()
        return number

    def abort(self, request: int) -> None:
        """Take a request back; nothing happens if it is over."""
        if request in self._slot:
            abort(self._state, self._rules, self._slot[request], self._now)
            self._slot.pop(request, None)
            self._fetch_done()

    def fork(self, request: int) -> int | None:
        """Let a request that has emitted go on twice; return the child's number.

        None where there is no room, or while an iteration is in flight; see `step`.
        """
        self._make_room(0, 0)
        slot = fork(self._state, self._rules, self._slot[request], self._next)
        if slot == NONE:
            return None
        self._slot[self._next] = slot
        self._next += 1
        return self._next - 1

    def accept(self, replica: int, accepting: bool) -> None:
        """Let a replica take new requests, or no more of them; it finishes those that it has."""
        self._state.replicas[replica].accepting = accepting

    def next_event_ms(self) -> float:
        """Return when the next iteration or copy ends; `inf` when all is idle."""
        return self._next_due()[0]

    def advance(self, until_ms: float) -> list[Event]:
        """Work until a time; return what has happened since the last call, in its order.

        What ends exactly then is not ended yet, so that arrivals at that time are there first.
        """
        self._work(until_ms)
        return self._told()

    def step(self) -> list[Event]:
        """Do the one thing that comes next: begin an iteration, end it, or end a copy.

        Between the end of an iteration and the beginning of the next one, requests can fork.
        """
        due, r = self._next_due()
        if due < math.inf:
            self._step(r, due)
        return self._told()

    def _told(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _next_due(self) -> tuple[float, int]:
        return min((self._due(r), r) for r in range(self._state.replicas.size))

    def _work(self, until: float) -> None:
        due, r = self._next_due()
        while due < until:
            self._step(r, due)
            due, r = self._next_due()
        if until < math.inf:
            self._now = max(self._now, until)

    def _due(self, r: int) -> float:
        """Return when there is something to do on a replica."""
        replica = self._state.replicas[r]
        if (
            replica.in_flight == 0
            and replica.running + replica.waiting > 0
            and r not in self._stalled
        ):
            return float(replica.now)
        return float(next_event(self._state, r))

    def _step(self, r: int, time: float) -> None:
        replica = self._state.replicas[r]
        self._now = max(self._now, time)
        if replica.in_flight == 1:
            self._end(r)
            return
        replica.now = max(float(replica.now), time)
        began = begin_iteration(self._state, self._rules, self._law, r)
        self._fetch_done()
        self._stalled.discard(r)
        if not began:
            # Only the next copy can change that.
            self._stalled.add(r)
        elif self._watch:
            self._events.append(self._iteration(r))

    def _iteration(self, r: int) -> Iteration:
        replica = self._state.replicas[r]
        scheduled = []
        for k in range(int(replica.running)):
            counted = self._state.visit[r, k] > replica.iteration
            tokens = 1 if counted else int(self._state.planned[r, k])
            if tokens > 0:
                scheduled.append((int(self._request(r, k).id), tokens))
        return Iteration(r, float(replica.now), float(replica.ends), tuple(scheduled))

    def _end(self, r: int) -> None:
        """End the iteration in flight and tell what came out of it."""
        replica = self._state.replicas[r]
        time, running = float(replica.ends), int(replica.running)
        most = np.zeros(running, dtype=np.int64)
        _most_emitted(self._state, r, most)
        talking = np.flatnonzero(most)
        slots = self._state.running[r, talking].copy()
        numbers = self._state.requests["id"][slots].tolist()
        before = self._known(r, talking, slots)
        if self._sampler is not None:
            for k, number in zip(talking.tolist(), numbers, strict=True):
                tokens, ends = self._sampler(number, int(most[k]))
                self._state.verdict[r, k] = -tokens if ends else tokens
        end_iteration(self._state, self._rules, r)
        ended = {event.request: event for event in self._fetch_done(tell=False)}
        after = self._known_now(r)
        for number, slot, old in zip(numbers, slots.tolist(), before, strict=True):
            if number in ended:
                prompt = int(self._state.requests[slot].prompt)
                tokens = ended[number].emitted + prompt - old
            else:
                tokens = after.get(number, old + 1) - old
            self._events.append(Tokens(time, number, tokens))
        self._events.extend(ended.values())

    def _known(self, r: int, places: NDArray[np.int64], slots: NDArray[np.int32]) -> list[int]:
        """Return the tokens known of running requests, before this iteration's."""
        ahead = np.maximum(self._state.visit[r, places] - self._state.replicas[r].iteration, 0)
        known: list[int] = (self._state.requests["known"][slots] - ahead).tolist()
        return known

    def _known_now(self, r: int) -> dict[int, int]:
        running = np.arange(int(self._state.replicas[r].running))
        slots = self._state.running[r, running]
        numbers = self._state.requests["id"][slots].tolist()
        return dict(zip(numbers, self._known(r, running, slots), strict=True))

    def _fetch_done(self, *, tell: bool = True) -> list[Ended]:
        """Take the finished requests out of the record."""
        count = int(self._state.done_count[0])
        self._state.done_count[0] = 0
        ended = []
        for entry in self._state.done[:count]:
            self._slot.pop(int(entry.id), None)
            ended.append(
                Ended(
                    float(entry.finished),
                    int(entry.id),
                    OUTCOMES[int(entry.outcome)],
                    int(entry.emitted),
                    int(entry.hit),
                    int(entry.preemptions),
                )
            )
        if tell:
            self._events.extend(ended)
        return ended

    def _make_room(self, tokens: int, segments: int) -> None:
        slots = self._state.requests.size
        if self._state.free_slots[-1] == 0:
            slots *= 2
        self._state = grown(
            self._state, self._rules, slots=slots, segments=segments, longest=tokens
        )

    def _request(self, r: int, k: int) -> np.record:
        request: np.record = self._state.requests[self._state.running[r, k]]
        return request


@compiled
def _most_emitted(state: EngineState, r: int, most: NDArray[np.int64]) -> None:
    """Write how many tokens each running request can emit when the iteration ends."""
    state = borrowed(state)
    for k in range(most.size):
        most[k] = emitting(state, r, k)
