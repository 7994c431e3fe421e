"""What the REST services do, without HTTP: the loop in a thread, and what is asked of it."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from optimizer.control.configured import ConfiguredControl
from optimizer.control.cycle import Cycle
from optimizer.control.expected_load import ExpectedLoad
from optimizer.control.proposal import Moves
from optimizer.control.rest.errors import RestError
from optimizer.control.spec import (
    ActuateAnswer,
    ActuateRequest,
    CollectAnswer,
    ControlStatus,
    CycleDocument,
    ErrorKind,
    InvokeRequest,
    OptimizeAnswer,
    OptimizeRequest,
    TuneAnswer,
    TuneRequest,
    Variant,
    VariantReplicas,
)
from optimizer.control.timing_lessons import learnt_from

__all__ = ["Services"]

_LOG = logging.getLogger(__name__)
# The loop is ill when it has not come round for so many looks.
_LATE_LOOKS = 5.0
_SECONDS_TO_END = 30.0


class Services:
    """One controller, its loop, and everything that others ask of it, one after the other.

    Parameters
    ----------
    control
        The controller with its files.
    clock
        The time [s].
    patience_s
        How long a request waits for its turn [s].
    """

    def __init__(
        self, control: ConfiguredControl, clock: Callable[[], float], patience_s: float = 30.0
    ) -> None:
        self._control, self._clock, self._patience_s = control, clock, patience_s
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._begun_s = clock()
        self.last: Cycle | None = None
        """The last cycle."""
        self.listeners: list[Callable[[Cycle], None]] = []
        """Hear of every cycle."""

    def begin(self) -> None:
        """Let the loop go on in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="control loop", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the loop, and give back what collector and actuator hold."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_SECONDS_TO_END)
        self._control.close()

    def _run(self) -> None:
        try:
            self._control.run(self._clock, self._stop.wait, self._note, self._turn)
        except Exception:
            _LOG.exception("the control loop ended")
            raise

    def _note(self, cycle: Cycle) -> None:
        self.last = cycle
        for told in self.listeners:
            told(cycle)

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=self._patience_s):
            raise RestError(503, ErrorKind.BUSY, "the controller is busy; try again")
        try:
            yield
        finally:
            self._turn.release()

    def well(self) -> bool:
        """Whether the loop comes round."""
        since_s = self._begun_s if self.last is None else self.last.decision.at_s
        late = self._clock() - since_s > _LATE_LOOKS * self._control.spec.observe_s
        return self._thread is not None and self._thread.is_alive() and not late

    def status(self) -> ControlStatus:
        """Return the controller after its last cycle."""
        if self.last is None:
            raise RestError(503, ErrorKind.BUSY, "no cycle has been made yet; try again")
        return self.last.status

    def collect(self) -> CollectAnswer:
        """Look at the fleet now."""
        with self._my_turn():
            controller, now_s = self._control.controller, self._clock()
            counts = controller.actuator.counts(now_s)
            seen = controller.collector.collect(now_s, counts)
        return CollectAnswer(counts=counts, observation=seen)

    def optimize(self, asked: OptimizeRequest) -> OptimizeAnswer:
        """Plan for loads, beside what the controller plans."""
        with self._my_turn():
            controller = self._control.controller
            # Its tables are replaced, never changed: a copy plans by itself.
            planner = copy.copy(controller.planner)
            if asked.running is None:
                running = controller.actuator.counts(self._clock()).wanted()
            else:
                running = {one.variant: one.replicas for one in asked.running}
        known = {service.name for service in planner.fleet.services}
        _require_known("service", [load.service for load in asked.loads], known)
        _require_known("variant", running if asked.running else (), set(planner.variants))
        loads = {
            load.service: ExpectedLoad(load.arrival_rate_rps, load.input_tokens, load.output_tokens)
            for load in asked.loads
        }
        moves = Moves.ALLOWED if asked.moves_allowed else Moves.IF_NEEDED
        found = planner.plan(loads, running, moves=moves)
        return OptimizeAnswer(
            replicas=_listed(found.replicas),
            needed=dict(found.needed),
            unserved=found.unserved,
            moves_allowed=found.moves_allowed,
            cost_per_hour=planner.cost_per_hour(found.replicas),
            solver=found.solver,
        )

    def tune(self, asked: TuneRequest) -> TuneAnswer:
        """Learn the timing of a variant from what was observed of its replicas."""
        with self._my_turn():
            fleet, planner = self._control.controller.fleet, self._control.controller.planner
        _require_known("variant", [asked.variant], set(planner.variants))
        return learnt_from(fleet, asked)

    def actuate(self, asked: ActuateRequest) -> ActuateAnswer:
        """Order replicas, as far as quotas, the breaker and `paused` allow."""
        with self._my_turn():
            controller = self._control.controller
            targets = {one.variant: one.replicas for one in asked.targets}
            _require_known("variant", targets, set(controller.planner.variants))
            held, orders, outcomes = controller.order(self._clock(), targets)
        return ActuateAnswer(
            outcomes=outcomes,
            waiting=_listed(orders.waiting),
            held="" if held is None else held.value,
        )

    def invoke(self, asked: InvokeRequest) -> CycleDocument:
        """Make a cycle with a plan now; windows, cooldowns and limits hold as ever."""
        with self._my_turn():
            self._control.controller.notify(asked.event)
            cycle = self._control.step(self._clock())
            self._note(cycle)
        return cycle.document()


def _listed(replicas: Mapping[Variant, int]) -> tuple[VariantReplicas, ...]:
    return tuple(VariantReplicas(variant=v, replicas=n) for v, n in replicas.items())


def _require_known(kind: str, asked: Iterable[object], known: Collection[object]) -> None:
    for one in asked:
        if one not in known:
            raise RestError(404, ErrorKind.NOT_FOUND, f"the fleet has no {kind} '{one}'")
