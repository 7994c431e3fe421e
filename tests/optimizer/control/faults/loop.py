"""A closed loop of real parts around the simulated fleet, watched at every instant."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import httpx

from optimizer.control.actuators.base import Actuator
from optimizer.control.collectors.base import Collector
from optimizer.control.collectors.prometheus import PrometheusCollector
from optimizer.control.controller import Controller
from optimizer.control.cycle import Cycle
from optimizer.control.expected_load import ExpectedLoad
from optimizer.control.journal import MemoryJournal
from optimizer.control.lab.faults import Faults
from optimizer.control.lab.fluid_fleet import FluidFleet
from optimizer.control.lab.ports import SimulatedActuator, SimulatedCollector
from optimizer.control.lab.traffic import Load
from optimizer.control.planner import Planner
from optimizer.control.spec import (
    ConditionType,
    ControlSpec,
    FaultKind,
    FaultSpec,
    ForecastSpec,
    StabilizationSpec,
    Variant,
)
from optimizer.spec import FleetSpec
from tests.optimizer.control.faults.deployments import SimulatedDeployments
from tests.optimizer.control.faults.scraped import ScrapedPrometheus

TICK_S, LOOK_S, CYCLE_S = 5.0, 10.0, 20.0
DOWN_WINDOW_S = 40.0
# Without noise: what is wanted in the end then depends on nothing but the load.
SPEC = ControlSpec(
    fleet="fleet.yaml",
    solver="greedy",
    observe_s=LOOK_S,
    period_s=CYCLE_S,
    stale_s=25.0,
    forecast=ForecastSpec(method="last-value", quantile=0.5, step_s=10.0, horizon_s=20.0),
    stabilization=StabilizationSpec(
        down_window_s=DOWN_WINDOW_S,
        cooldown_down_s=CYCLE_S,
        pending_timeout_s=60.0,
        backlog_drain_s=1e9,
    ),
)


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


class SizedJournal(MemoryJournal):
    """Tells how much is written down."""

    size = 0

    def write(self, state: dict[str, Any]) -> None:
        super().write(state)
        assert self._text is not None
        self.size = len(self._text)


class Loop:
    """The fleet, its controller, and what is checked while they run.

    Parameters
    ----------
    fleet
        As described.
    planner
        Sized once; the loop works on a copy.
    rates
        By service [requests/s].
    through
        Which real ports the controller looks and acts through: `prometheus`, `api` or `plain`.
    """

    def __init__(
        self,
        fleet: FleetSpec,
        planner: Planner,
        rates: dict[str, float],
        through: str = "plain",
        spec: ControlSpec = SPEC,
    ) -> None:
        self.described, self.spec, self.rates = fleet, spec, dict(rates)
        self.input_tokens = 500.0
        self.planner = copy.copy(planner)
        self.faults = Faults(())
        self.fleet = FluidFleet(
            fleet, planner.variants, self._load, seed=None, start_up_s=20.0, stopping_s=10.0
        )
        self.simulated = SimulatedCollector(self.fleet, self.faults, window_s=CYCLE_S)
        self.scraped = ScrapedPrometheus(self.fleet)
        self.collector: Collector = self.simulated
        self.actuator: Actuator = SimulatedActuator(self.fleet, self.faults)
        self.deployments: SimulatedDeployments | None = None
        if through == "prometheus":
            options = {"url": "http://p", "service_label": "service", "stale_s": 25.0}
            self.collector = PrometheusCollector(
                fleet,
                {**options, "window_s": CYCLE_S, "recent_s": LOOK_S},
                transport=httpx.MockTransport(self.scraped.handle),
            )
        if through == "api":
            self.actuator = self.deployments = SimulatedDeployments(self.fleet)
        self.journal = SizedJournal()
        self.clock_ahead_s = 0.0
        self.running = True
        self.controller = self.started()
        self.others: list[Controller] = []
        self.each_tick: list[Callable[[], None]] = []
        self.arrived = self.completed = 0.0
        self.cycle: Cycle | None = None

    def started(self, journal: MemoryJournal | None = None) -> Controller:
        """A controller that goes on from what was written down."""
        return Controller(
            self.described,
            self.spec,
            self.collector,
            self.actuator,
            journal or self.journal,
            planner=self.planner,
        )

    def _load(self, service: str, _: float) -> Load:
        return Load(self.rates[service], self.input_tokens, 100.0)

    def fault(self, kind: FaultKind, **settings: object) -> None:
        """Begin a fault of the laboratory now."""
        spec = FaultSpec.model_validate({"kind": kind, "at_s": self.fleet.now_s, **settings})
        self.faults.faults = (*self.faults.faults, spec)

    def heal(self) -> None:
        """End the faults of the laboratory."""
        self.faults.faults = ()

    @property
    def wanted(self) -> dict[str, int]:
        return self.fleet.wanted_by_service()

    def capacity(self, service: str) -> float:
        """What the replicas asked for carry [requests/s]."""
        return sum(
            r.wanted * self.planner.rate_rps(r.variant) for r in self.fleet._of_service[service]
        )

    def run(self, seconds: float, slower: int = 1) -> None:
        """Let time pass, and hold every instant to the invariants.

        Parameters
        ----------
        slower
            How many times longer ticks are, and how many times rarer looks.
        """
        tick_s = slower * TICK_S
        for step in range(1, round(seconds / tick_s) + 1):
            self.faults.apply(self.fleet)
            self.fleet.advance(tick_s)
            for tick in self.fleet.ticks.values():
                self.arrived += tick.arrived
                self.completed += tick.completed
            self.simulated.remember(tick_s)
            if self.collector is not self.simulated:
                self.scraped.scrape(tick_s)
            if self.deployments is not None:
                self.deployments.watch()
            for action in self.each_tick:
                action()
            assert not self.fleet.over_quota(), "more cards are held than there are"
            if step % round(LOOK_S / TICK_S) == 0 and self.running:
                self.look()

    def look(self) -> None:
        """One step of every controller, and what must be true of it."""
        for controller in (self.controller, *self.others):
            before = {s: dict(self._counts(s)) for s in self.rates}
            try:
                self.cycle = controller.step(self.fleet.now_s + self.clock_ahead_s)
            except Killed:
                self.controller = self.started()
                continue
            self._check(self.cycle, before)

    def _counts(self, service: str) -> dict[Variant, int]:
        return {r.variant: r.wanted for r in self.fleet._of_service[service]}

    def _check(self, cycle: Cycle, before: dict[str, dict[Variant, int]]) -> None:
        decided = {one.service: one for one in cycle.decision.services}
        failed = cycle.status.condition(ConditionType.OPTIMIZATION_READY)
        for service, counts in before.items():
            fell = sum(self._counts(service).values()) < sum(counts.values())
            one = decided.get(service)
            if one is None:
                assert not fell, f"{service} fell and nothing was decided for it"
                continue
            busy = self.rates[service] > 0
            assert not (busy and one.observed_rps == 0.0), "missing figures are read as zero"
            if not fell:
                continue
            assert one.observed_rps is not None, f"{service} fell without figures"
            assert failed is None or failed.status, f"{service} fell though no plan could be made"
            if one.served:
                load = self.rates[service]
                assert self.capacity(service) >= load * (1 - 1e-9), f"{service} fell below its load"

    def nothing_lost(self) -> None:
        """What came was completed or is still there."""
        held = sum(self.fleet._unrouted.values())
        held += sum(r.requests for r in self.fleet._replicas.values())
        assert math.isclose(self.arrived, self.completed + held, rel_tol=1e-6, abs_tol=1e-3)

    def condition(self, kind: ConditionType) -> bool:
        assert self.cycle is not None
        found = self.cycle.status.condition(kind)
        return found is None or found.status


def begun(loop: Loop) -> Loop:
    """Replicas serve already, and the controller has watched them for a whole window."""
    planned = loop.planner.plan(
        {name: ExpectedLoad(rate, 500.0, 100.0) for name, rate in loop.rates.items()}, {}
    ).replicas
    loop.fleet.begin_with(planned)
    loop.run(DOWN_WINDOW_S + 2 * CYCLE_S)
    return loop


def with_service(fleet: FleetSpec, *names: str) -> FleetSpec:
    """The fleet with some of its services alone."""
    kept = tuple(s for s in fleet.services if s.name in names)
    return fleet.model_copy(update={"services": kept})


def with_bound(fleet: FleetSpec, metric: str, bound: float) -> FleetSpec:
    """The fleet with another bound on a metric, in its first class."""
    first = fleet.classes[0]
    slos = tuple(
        slo.model_copy(
            update={
                "targets": tuple(
                    t.model_copy(update={"bound": bound}) if t.metric == metric else t
                    for t in slo.targets
                )
            }
        )
        for slo in first.slos
    )
    changed = first.model_copy(update={"slos": slos})
    return fleet.model_copy(update={"classes": (changed, *fleet.classes[1:])})
