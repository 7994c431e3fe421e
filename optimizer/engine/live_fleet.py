"""Replicas that come, go, slow down and fail while they serve: what a control loop acts upon.

`LiveFleet` stands below the HTTP layer and knows no wall clock. Whoever owns it moves its time:
the emulator in step with a real clock, a laboratory of controllers as fast as it computes.

    fleet = LiveFleet(EngineConfig(num_blocks=4096), IterationTiming(8.0, 0.03, 0.03, 5e-5),
                      replicas=2, startup_ms=60_000.0)
    fleet.offer(traffic)                 # requests of the future, as arrays (`Traffic`)
    while fleet.now_ms < 3_600_000:
        fleet.advance(fleet.now_ms + 15_000)
        seen = fleet.metrics()           # what a scrape of every replica would show
        fleet.scale_to(decide(seen))     # starts replicas, or drains the newest
        if unlucky():
            fleet.crash(fleet.replicas()[0].number, restart_ms=30_000)

Every schedule is made by the compiled core, the same as in a simulation: the same requests at the
same times, the same seed and the same changes of the fleet give the same tokens at the same times.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.errors import LiveFleetError, require_within
from optimizer.engine.fleet_metrics import ReplicaMetrics, replica_metrics
from optimizer.engine.live_replica import LiveReplica, Phase, ReplicaStatus
from optimizer.engine.routing import Router
from optimizer.engine.rules import EngineConfig
from optimizer.engine.state import EngineState
from optimizer.engine.telling_engine import ANY_NUMBER, TellingEngine
from optimizer.engine.traffic import Traffic
from queue_models import Timing

__all__ = ["LONGEST_RESTART_MS", "MOST_REPLICAS", "Happened", "LiveFleet"]

MOST_REPLICAS = 1024
LONGEST_RESTART_MS = 60_000.0
_RESTART_MS = 30_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Happened:
    """What came out of the fleet since it was asked last.

    Parameters
    ----------
    time_ms, request, tokens
        Of every emission: when, of which request (its number), how many tokens together, (E,) each,
        in the order of time. Empty unless the fleet tells tokens.
    over
        Requests that are over, (F,) records with the fields `id`, `arrival`, `admitted`, `first`,
        `finished` (times in ms; -1 where it did not come to that), `prompt`, `asked`, `emitted`,
        `hit`, `preemptions`, `replica` (its number; -1: none was ready), `priority`, `outcome` (a
        key of `OUTCOMES`) and `stops`.
    reached
        Whether all the time asked for has passed.
    """

    time_ms: NDArray[np.float64]
    request: NDArray[np.int64]
    tokens: NDArray[np.int32]
    over: NDArray[Any]
    reached: bool


class LiveFleet:
    """Replicas of one model, all alike, under a clock that their owner moves.

    Parameters
    ----------
    config, timing
        What a replica is set to, and how long its iterations take (one pair).
    replicas
        How many are ready at time 0.
    router
        How requests are spread over those that are ready.
    startup_ms
        How long a replica that is added takes until it is ready.
    tells_tokens
        Whether `advance` tells every emission; metrics count them in any case.

    Raises
    ------
    LiveFleetError
        If a number is out of range.
    """

    def __init__(
        self,
        config: EngineConfig,
        timing: Timing,
        *,
        replicas: int = 1,
        router: Router | None = None,
        startup_ms: float = 0.0,
        tells_tokens: bool = False,
    ) -> None:
        require_within("replicas", replicas, 0, MOST_REPLICAS)
        require_within("startup_ms", startup_ms, 0.0, 1e12)
        self.config = config
        self.startup_ms = startup_ms
        self._engine = TellingEngine(
            config,
            timing,
            rows=max(replicas, 1),
            router=router or Router(),
            tells_tokens=tells_tokens,
        )
        self._live: dict[int, LiveReplica] = {}
        self._numbers = itertools.count()
        self._paid_ms = 0.0
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = itertools.count()
        for _ in range(replicas):
            self._start(0.0)

    @property
    def now_ms(self) -> float:
        """Until when the fleet has worked."""
        return self._engine.now_ms

    @property
    def next_number(self) -> int:
        """Number of the next request that is submitted or offered."""
        return self._engine.next_number

    @property
    def state(self) -> EngineState:
        """The arrays of the engine, to be read."""
        return self._engine.state

    @property
    def paid_ms(self) -> float:
        """Time that replicas have been there, ready or not, summed over them."""
        return self._paid_ms + sum(self.now_ms - one.added_ms for one in self._live.values())

    @property
    def unrouted(self) -> int:
        """Requests refused because no replica was ready."""
        return int(self._engine.meters.unrouted[0])

    def count(self) -> int:
        """Return how many replicas there are that are not about to go."""
        return sum(one.phase is not Phase.DRAINING for one in self._live.values())

    def replicas(self) -> list[ReplicaStatus]:
        """Return every replica that is there, the oldest first."""
        rows = self.state.replicas
        return [one.status(rows[one.row]) for one in self._live.values()]

    def metrics(self) -> list[ReplicaMetrics]:
        """Return what a scrape of every replica would show; without those that do not answer."""
        return [
            replica_metrics(self.state, self._engine.meters, one.row, one.number)
            for one in self._live.values()
            if one.answers
        ]

    def submit(
        self,
        prompt: int,
        output: int,
        *,
        arrival_ms: float | None = None,
        priority: int = 1,
        keys: Sequence[int] | NDArray[np.int64] = (),
        ends: Sequence[int] | NDArray[np.int32] = (),
        segments: int = 0,
        choices: int = 1,
    ) -> int:
        """Hand in a request; return its number.

        Parameters
        ----------
        prompt, output
            Tokens, >= 1; of the output, the most: see `shorten`.
        arrival_ms
            Now by default; the fleet works until then first.
        priority
            1 goes first, where the policy is by priority.
        keys, ends
            Its content in segments, as in `Traffic`; by default its own, shared with no other.
        segments
            For how many there must be room, where `extend_content` adds more.
        choices
            How many outputs were asked for with it, for the metrics.

        Raises
        ------
        LiveFleetError
            If a length is below 1, or the arrival lies in the past.
        """
        if arrival_ms is not None:
            require_within("arrival_ms", arrival_ms, self.now_ms, 1e15)
            self._pass_time(arrival_ms, ANY_NUMBER)
        return self._engine.submit(
            prompt,
            output,
            priority=priority,
            keys=keys,
            ends=ends,
            segments=segments,
            choices=choices,
        )

    def has(self, request: int) -> bool:
        """Whether a request that was submitted is not over."""
        return self._engine.has(request)

    def extend_content(self, request: int, key: int, end: int) -> None:
        """Say what the content of a submitted request is up to a token, the output included.

        Its last segment goes on behind that. Whoever comes with the same content then finds it in
        the prefix cache.
        """
        self._engine.extend_content(request, key, end)

    def offer(self, traffic: Traffic) -> int:
        """Hand in requests that come later, in the order of arrival; return the first's number.

        Those of one call follow those of the call before. They cannot be taken back.

        Raises
        ------
        LiveFleetError
            If they are not in order, or begin in the past.
        """
        return self._engine.offer(traffic)

    def tell_guesses(self, request: int, first: int, guessed: Sequence[bool]) -> None:
        """Say of tokens of an output whether the drafts of a speculative decoder are right.

        Where it is told before a token comes out, acceptance is what it says
        (`language.Emission.guessed`); else it is by chance, at `acceptance_rate`. Nothing happens
        if the request is over.

        Parameters
        ----------
        first
            Number of the first of these tokens in the output, from 0.
        """
        self._engine.tell_guesses(request, first, guessed)

    def shorten(self, request: int, output: int) -> None:
        """Say with which of its tokens a request ends, where that is before the last it asked for.

        Raises
        ------
        LiveFleetError
            If it is over, or tokens beyond it are out or on their way: two tokens ahead of the
            last one told are early enough.
        """
        self._engine.shorten(request, output)

    def abort(self, request: int) -> None:
        """Take a request back and free its blocks; nothing happens if it is over."""
        self._engine.abort(request)

    def next_event_ms(self) -> float:
        """Return when something happens next without anybody's doing; `inf` when all is idle."""
        due = self._engine.next_due_ms()
        return min(due, self._actions[0][0]) if self._actions else due

    def advance(self, until_ms: float, *, most_iterations: int | None = None) -> Happened:
        """Let time pass; return what has happened since the last call.

        What ends exactly at that time has not ended yet, so that arrivals at that time are there
        first.

        Parameters
        ----------
        until_ms
            Not before now; `inf`: until all that is there is served.
        most_iterations
            End so many of a replica at most; time then stands where it stood (`Happened.reached`),
            and the next call goes on.

        Raises
        ------
        LiveFleetError
            If the time lies in the past.
        """
        require_within("until_ms", until_ms, self.now_ms, math.inf)
        reached = self._pass_time(
            until_ms, ANY_NUMBER if most_iterations is None else most_iterations
        )
        tidings = self._engine.fetch()
        numbers = np.full(self.state.replicas.size + 1, -1)
        for one in self._live.values():
            numbers[one.row] = one.number
        tidings.over["replica"] = numbers[tidings.over["replica"]]
        self._let_go()
        return Happened(*tidings, reached)

    def add(self, count: int = 1, *, startup_ms: float | None = None) -> list[int]:
        """Start replicas; return their numbers. They are ready after `startup_ms`."""
        require_within("count", count, 0, MOST_REPLICAS - len(self._live))
        wait = self.startup_ms if startup_ms is None else startup_ms
        require_within("startup_ms", wait, 0.0, 1e12)
        return [self._start(wait) for _ in range(count)]

    def remove(self, replica: int, *, drain: bool = True) -> None:
        """Let a replica finish what it has and go; or go at once, and its requests fail."""
        one = self._replica(replica)
        if drain and one.phase in (Phase.READY, Phase.DRAINING):
            one.phase = Phase.DRAINING
            self._engine.accept(one.row, False)
            return
        self._engine.fail_row(one.row)
        one.phase = Phase.DRAINING

    def scale_to(self, count: int) -> None:
        """Start replicas, or let some go until so many are there: unready ones, then the newest."""
        require_within("count", count, 0, MOST_REPLICAS)
        staying = [one for one in self._live.values() if one.phase is not Phase.DRAINING]
        self.add(max(count - len(staying), 0))
        staying.sort(key=lambda one: (one.phase is Phase.READY, -one.number))
        for one in staying[: max(len(staying) - count, 0)]:
            self.remove(one.number)

    def slow(self, replica: int, factor: float, *, duration_ms: float = math.inf) -> None:
        """Make the iterations of a replica last so many times as long, from the next one on."""
        require_within("factor", factor, 1e-3, 1e6)
        require_within("duration_ms", duration_ms, 0.0, math.inf)
        one = self._replica(replica)
        one.pace = factor
        one.pace_until_ms = self.now_ms + duration_ms
        self._engine.set_pace(one.row, factor)
        self._at(one.pace_until_ms, lambda: self._recover(one))

    def crash(
        self, replica: int, *, restart_ms: float = _RESTART_MS, cause: str = "crashed"
    ) -> None:
        """End a replica's process: its requests fail, its counts go; it is ready after a restart.

        Parameters
        ----------
        restart_ms
            Until it is ready again, at most 60 s. One that is draining goes instead.
        cause
            Told in its status.
        """
        require_within("restart_ms", restart_ms, 0.0, LONGEST_RESTART_MS)
        one = self._replica(replica)
        self._engine.fail_row(one.row)
        if one.phase is Phase.DRAINING:
            return
        one.phase, one.cause = Phase.DOWN, cause
        one.pace, one.pace_until_ms = 1.0, -math.inf
        self._ready_at(one, self.now_ms + restart_ms)

    def run_out_of_memory(self, replica: int, *, restart_ms: float = _RESTART_MS) -> None:
        """Let a replica's accelerator run out of memory, which ends its process; see `crash`."""
        self.crash(replica, restart_ms=restart_ms, cause="out of memory")

    def hide_metrics(self, replica: int, *, duration_ms: float = math.inf) -> None:
        """Let a replica serve, but answer no scrape."""
        require_within("duration_ms", duration_ms, 0.0, math.inf)
        one = self._replica(replica)
        one.hidden_until_ms = self.now_ms + duration_ms
        one.hidden = True
        self._at(one.hidden_until_ms, lambda: self._show(one))

    def heal(self, replica: int) -> None:
        """End what slows a replica and what hides its metrics."""
        one = self._replica(replica)
        one.pace_until_ms = one.hidden_until_ms = self.now_ms
        self._recover(one)
        self._show(one)

    def _pass_time(self, until: float, most: int) -> bool:
        """Work until a time, with everything planned on the way at its very time."""
        while self._actions and self._actions[0][0] <= until:
            time = self._actions[0][0]
            if not self._engine.work(max(time, self.now_ms), most):
                return False
            heapq.heappop(self._actions)[2]()
        return self._engine.work(until, most)

    def _at(self, time_ms: float, action: Callable[[], None]) -> None:
        if time_ms < math.inf:
            heapq.heappush(self._actions, (time_ms, next(self._planned), action))

    def _start(self, startup_ms: float) -> int:
        number, row = next(self._numbers), self._engine.open_row()
        one = LiveReplica(number, row, added_ms=self.now_ms)
        self._live[number] = one
        self._ready_at(one, self.now_ms + startup_ms)
        return number

    def _ready_at(self, one: LiveReplica, time_ms: float) -> None:
        one.ready_ms = time_ms
        if time_ms <= self.now_ms:
            self._make_ready(one)
        else:
            self._at(time_ms, lambda: self._make_ready(one))

    def _make_ready(self, one: LiveReplica) -> None:
        # It may have gone, or crashed again, since that was planned.
        if one.phase in (Phase.STARTING, Phase.DOWN) and one.ready_ms <= self.now_ms:
            one.phase, one.cause = Phase.READY, ""
            self._engine.accept(one.row, True)

    def _recover(self, one: LiveReplica) -> None:
        if one.number in self._live and one.pace_until_ms <= self.now_ms:
            one.pace = 1.0
            self._engine.set_pace(one.row, 1.0)

    def _show(self, one: LiveReplica) -> None:
        if one.hidden_until_ms <= self.now_ms:
            one.hidden = False

    def _let_go(self) -> None:
        """Let replicas go that have finished what they had."""
        draining = [one for one in self._live.values() if one.phase is Phase.DRAINING]
        for one in draining:
            row = self.state.replicas[one.row]
            if int(row.outstanding) == 0:
                self._paid_ms += min(float(row.now), self.now_ms) - one.added_ms
                self._engine.close_row(one.row)
                del self._live[one.number]

    def _replica(self, number: int) -> LiveReplica:
        if number not in self._live:
            known = ", ".join(map(str, self._live)) or "none"
            raise LiveFleetError(f"there is no replica {number}; there are: {known}")
        return self._live[number]
