"""An engine that works as time passes and tells what comes out of it in arrays.

The same schedule as that of `OnlineEngine`, without an object for every token: rows of the state
are switched on and off, slowed and emptied while it works.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.cancellation import abort
from optimizer.engine.errors import LiveFleetError, require_within
from optimizer.engine.failure import fail_all
from optimizer.engine.meters import (
    Distribution,
    Meters,
    meter_finished,
    meters_for,
    new_meters,
    observe_here,
    reset_meters,
)
from optimizer.engine.routing import Router
from optimizer.engine.rules import EngineConfig, Rules
from optimizer.engine.shortening import shorten
from optimizer.engine.state import (
    GUESSED,
    MISSED,
    EngineState,
    grown,
    new_state,
    reset_replica,
    with_replicas,
)
from optimizer.engine.submission import extend_content
from optimizer.engine.telling import Told, new_told, next_due, serve_telling
from optimizer.engine.time_law import TimeLaw, time_law
from optimizer.engine.traffic import Traffic
from queue_models import Timing

__all__ = ["ANY_NUMBER", "TellingEngine", "Tidings"]

ANY_NUMBER = 2**62
_SLOTS = 256
_LONGEST = 2**30
_ENTRIES = 16_384
_NOBODY = Traffic.none()


class Tidings(NamedTuple):
    """What came out: emissions in the order of time, and records of requests that are over."""

    time_ms: NDArray[np.float64]
    request: NDArray[np.int64]
    tokens: NDArray[np.int32]
    over: NDArray[Any]  # as in `state.DONE`


class TellingEngine:
    """Rows of replicas, all alike; at first all are closed.

    Parameters
    ----------
    config, timing
        What a replica is set to, and how long its iterations take (one pair).
    rows
        How many there is room for at first, at least 1.
    router
        How requests are spread over rows that accept them.
    tells_tokens
        Whether emissions are told; they are metered in any case.
    """

    def __init__(
        self,
        config: EngineConfig,
        timing: Timing,
        *,
        rows: int,
        router: Router,
        tells_tokens: bool,
    ) -> None:
        self._rules, self._law, self._router = config.rules(), time_law(timing), router.plain()
        self._state = new_state(self._rules, rows, slots=_SLOTS, done=4 * _SLOTS)
        self._state.replicas.accepting = 0
        self._meters = new_meters(rows, config.max_model_len, config.draft_tokens)
        self._told = new_told(config.max_num_seqs + _ENTRIES if tells_tokens else 0)
        self._closed = list(range(rows - 1, -1, -1))
        self._slot: dict[int, int] = {}
        self._offered: deque[tuple[Traffic, int, int]] = deque()
        self._next = 0
        self._now = 0.0
        self._emissions: list[tuple[NDArray[Any], ...]] = []
        self._over: list[NDArray[Any]] = []

    @property
    def now_ms(self) -> float:
        """Until when all rows have worked."""
        return self._now

    @property
    def next_number(self) -> int:
        """Number of the next request."""
        return self._next

    @property
    def state(self) -> EngineState:
        """The arrays themselves, to be read."""
        return self._state

    @property
    def meters(self) -> Meters:
        """What has been counted of every row."""
        return self._meters

    # --- requests ---

    def submit(
        self,
        prompt: int,
        output: int,
        *,
        priority: int = 1,
        keys: Sequence[int] | NDArray[np.int64] = (),
        ends: Sequence[int] | NDArray[np.int32] = (),
        segments: int = 0,
        choices: int = 1,
    ) -> int:
        """Hand in a request that comes now; return its number."""
        require_within("prompt", prompt, 1, _LONGEST)
        require_within("output", output, 1, _LONGEST)
        number = self._next
        self._next += 1
        one = Traffic.of_one(
            number, self._now, prompt, output, priority=priority, keys=keys, ends=ends
        )
        self._make_room(one, segments)
        height = int(self._state.free_slots[-1])
        slot = int(self._state.free_slots[height - 1])
        while self._serve(one, 0, number, math.inf) == 0:
            self._drain()
        if int(self._state.free_slots[-1]) < height:
            self._slot[number] = slot
            row = int(self._state.requests[slot].replica)
            observe_here(self._meters, row, Distribution.PARAMS_N, choices)
        return number

    def offer(self, traffic: Traffic) -> int:
        """Hand in requests that come later, in the order of arrival; return the first's number."""
        arrivals = traffic.arrival_ms
        before = self._offered[-1][0].arrival_ms[-1] if self._offered else self._now
        if arrivals.size and (arrivals[0] < before or (np.diff(arrivals) < 0).any()):
            raise LiveFleetError(
                f"offer: arrivals must be in order and not before {before:g} ms; the first is at "
                f"{arrivals[0]:g} ms"
            )
        first = self._next
        self._next += int(arrivals.size)
        if arrivals.size:
            self._offered.append((traffic, 0, first))
        return first

    def tell_guesses(self, request: int, first: int, guessed: Sequence[bool]) -> None:
        """Say of tokens of an output whether their drafts are right; see `LiveFleet`."""
        slot = self._slot.get(request)
        if slot is None:
            return
        last = first + len(guessed)
        if last > self._state.guesses.shape[1]:
            room = max(last, 2 * self._state.guesses.shape[1])
            self._state = grown(self._state, self._rules, guesses=room)
        told = np.where(guessed, GUESSED, MISSED)
        self._state.guesses[slot, first:last] = told

    def shorten(self, request: int, output: int) -> None:
        """Say with which of its tokens a request ends, before the last that it asked for."""
        slot = self._slot.get(request)
        if slot is None or not shorten(self._state, self._rules, slot, output):
            raise LiveFleetError(
                f"shorten(request={request}, output={output}): it is over, or has gone further"
            )

    def has(self, request: int) -> bool:
        """Whether a request that was handed in is not over."""
        return request in self._slot

    def extend_content(self, request: int, key: int, end: int) -> None:
        """Say what a request's content is up to a token; see `submission.extend_content`."""
        if request in self._slot:
            extend_content(self._state, self._slot[request], key, end)

    def abort(self, request: int) -> None:
        """Take a request back; nothing happens if it is over."""
        slot = self._slot.pop(request, None)
        if slot is not None:
            abort(self._state, self._rules, slot, self._now)

    # --- time ---

    def next_due_ms(self) -> float:
        """Return when an iteration or a copy ends, or a request comes; `inf` when all is idle."""
        due = float(next_due(self._state, self._now))
        if self._offered:
            traffic, place, _ = self._offered[0]
            due = min(due, float(traffic.arrival_ms[place]))
        return due

    def work(self, until: float, most: int = ANY_NUMBER) -> bool:
        """Work until a time, not before now; return whether it is reached.

        It need not be where a number of iterations is given that a row ends at most; time then
        stands where it stood.
        """
        while self._offered:
            traffic, place, number = self._offered[0]
            if traffic.arrival_ms[place] >= until:
                break
            self._make_room(traffic)
            place = self._serve(traffic, place, number, until)
            if place == traffic.arrival_ms.size:
                self._offered.popleft()
            else:
                self._offered[0] = traffic, place, number
                self._drain()
        while not self._advance(until, most):
            self._drain()
            if most < ANY_NUMBER:
                return False
        if until < math.inf:
            self._now = max(self._now, until)
        return True

    def fetch(self) -> Tidings:
        """Return what has come out since the last call."""
        self._drain()
        emissions, self._emissions = self._emissions, []
        over, self._over = self._over, []
        columns = [np.concatenate(parts) for parts in zip(*emissions, strict=True)]
        time_ms, request, tokens = columns or (np.zeros(0), np.zeros(0, int), np.zeros(0, int))
        if self._state.replicas.size > 1:
            order = np.argsort(time_ms, kind="stable")
            time_ms, request, tokens = time_ms[order], request[order], tokens[order]
        done = np.concatenate(over) if over else np.zeros(0, self._state.done.dtype)
        return Tidings(time_ms, request, tokens, done)

    # --- rows ---

    def open_row(self) -> int:
        """Return a row as a replica is when it starts; it does not accept requests yet."""
        if not self._closed:
            rows = self._state.replicas.size
            self._state = with_replicas(self._state, self._rules, 2 * rows)
            self._meters = meters_for(self._meters, 2 * rows)
            self._closed = list(range(2 * rows - 1, rows - 1, -1))
        row = self._closed.pop()
        self.empty_row(row)
        return row

    def close_row(self, row: int) -> None:
        """Give up a row that has no requests."""
        self._state.replicas[row].accepting = 0
        self._closed.append(row)

    def accept(self, row: int, accepting: bool) -> None:
        """Let a row take requests, or no more of them."""
        replica = self._state.replicas[row]
        replica.now = max(float(replica.now), self._now)
        replica.accepting = accepting

    def set_pace(self, row: int, pace: float) -> None:
        """Make iterations last so many times as long, from the next one on."""
        self._state.replicas[row].pace = pace

    def fail_row(self, row: int) -> None:
        """End every request of a row, and empty it."""
        self._drain()
        fail_all(self._state, row, self._now)
        self._drain()
        self.empty_row(row)

    def empty_row(self, row: int) -> None:
        """Make a row without requests as it is when a replica starts."""
        reset_replica(self._state, self._rules, row)
        self._state.replicas[row].now = self._now
        reset_meters(self._meters, row)

    # --- inside ---

    def _serve(self, traffic: Traffic, place: int, number: int, before: float) -> int:
        """Serve requests that come before a time; return the place that there was no room for."""
        requests = traffic, place, number, before
        return serve_telling(*self._engine(), *requests, -math.inf, ANY_NUMBER)[0]

    def _advance(self, until: float, most: int) -> bool:
        """Let all rows work; return whether they have until then."""
        return serve_telling(*self._engine(), _NOBODY, 0, 0, -math.inf, until, most)[1]

    def _engine(self) -> tuple[EngineState, Rules, TimeLaw, Router, Meters, Told]:
        return self._state, self._rules, self._law, self._router, self._meters, self._told

    def _make_room(self, traffic: Traffic, more: int = 0) -> None:
        slots = self._state.requests.size
        if self._state.free_slots[-1] == 0:
            slots *= 2
        longest = int((traffic.prompt.astype(np.int64) + traffic.output).max())
        segments = max(int(np.diff(traffic.segment_of).max()), more)
        self._state = grown(
            self._state, self._rules, slots=slots, segments=segments, longest=longest
        )
        if 2 * slots > self._state.done.size:
            self._drain()
            done = np.zeros(4 * slots, self._state.done.dtype).view(np.recarray)
            self._state = self._state._replace(done=done)

    def _drain(self) -> None:
        """Take out of the arrays what has been written there."""
        count = int(self._told.count[0])
        if count:
            told = (self._told.time_ms, self._told.request, self._told.tokens)
            self._emissions.append(tuple(column[:count].copy() for column in told))
            self._told.count[0] = 0
        finished = int(self._state.done_count[0])
        if finished:
            meter_finished(self._state, self._meters)
            over = self._state.done[:finished].copy()
            self._over.append(over)
            if self._slot:
                for number in over["id"].tolist():
                    self._slot.pop(number, None)
            self._state.done_count[0] = 0
