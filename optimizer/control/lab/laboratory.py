"""Runs of a scenario: the controller's, and those of what it is compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from optimizer.control.actuators.base import Actuator
from optimizer.control.controller import Controller
from optimizer.control.errors import ControlError
from optimizer.control.expected_load import ExpectedLoad
from optimizer.control.lab.baselines import (
    Baseline,
    GreedyBaseline,
    HorizontalBaseline,
    SaturationBaseline,
    StaticPeakBaseline,
    Surroundings,
)
from optimizer.control.lab.engine_fleet import EngineFleet
from optimizer.control.lab.equal_attainment import Setting, cheapest_equal
from optimizer.control.lab.faults import Faults
from optimizer.control.lab.fluid_fleet import FluidFleet
from optimizer.control.lab.ports import SimulatedActuator, SimulatedCollector
from optimizer.control.lab.results import LabProgress, LabResult, PolicyRun, Series
from optimizer.control.lab.scoring import Scorer
from optimizer.control.lab.service_curves import Curves, ServiceCurves
from optimizer.control.lab.traffic import Load, ScenarioTraffic
from optimizer.control.planner import Moves, Planner, Proposal
from optimizer.control.spec import FaultKind, ScenarioSpec, Simulator, Variant
from optimizer.errors import PlanError
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["run_scenario"]

_SIMULATORS: Mapping[Simulator, type[FluidFleet]] = {
    Simulator.FLUID: FluidFleet,
    Simulator.ENGINE: EngineFleet,
}
# Points of a series that is kept for plots.
_POINTS = 720
# Times that a run tells how far it is.
_LOOKS = 50


class _Policy(Protocol):
    interval_s: float

    def begin_with(self, now: Mapping[Variant, int]) -> Mapping[Variant, int]: ...

    def act(self, now_s: float) -> None: ...


class _FaultyPlanner(Planner):
    """The planner of a scenario in which the optimiser may fail."""

    def __init__(self, fleet: FleetSpec, scenario: ScenarioSpec, faults: Faults) -> None:
        super().__init__(fleet, scenario.control)
        self.now_s = 0.0
        self._faults = faults

    def plan(
        self,
        loads: Mapping[str, ExpectedLoad],
        running: Mapping[Variant, int],
        *,
        moves: Moves = Moves.IF_NEEDED,
        cards: Mapping[str, int] | None = None,
        lasting: Mapping[str, ExpectedLoad] | None = None,
    ) -> Proposal:
        """Optimise, or fail where a fault is on."""
        if self._faults.active(FaultKind.SOLVER_FAILS, self.now_s):
            raise PlanError("fault solver-fails")
        return super().plan(loads, running, moves=moves, cards=cards, lasting=lasting)


class _Controlled:
    """The controller as a policy."""

    def __init__(
        self,
        fleet: FleetSpec,
        scenario: ScenarioSpec,
        faults: Faults,
        collector: SimulatedCollector,
        actuator: Actuator,
    ) -> None:
        self.interval_s = scenario.control.observe_s
        self._planner = _FaultyPlanner(fleet, scenario, faults)
        self.controller = Controller(
            fleet, scenario.control, collector, actuator, planner=self._planner
        )

    def begin_with(self, now: Mapping[Variant, int]) -> Mapping[Variant, int]:
        return now

    def act(self, now_s: float) -> None:
        self._planner.now_s = now_s
        self.controller.step(now_s)


@dataclass
class _Uncontrolled:
    """A baseline as a policy; what it wants is clipped to the cards that there are."""

    baseline: Baseline
    fleet: FluidFleet
    collector: SimulatedCollector
    interval_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.interval_s = self.baseline.interval_s

    def begin_with(self, now: Mapping[Variant, int]) -> Mapping[Variant, int]:
        return self.baseline.begin_with(now)

    def act(self, now_s: float) -> None:
        counts = self.fleet.counts()
        seen = self.collector.collect(now_s, counts)
        wanted = counts.wanted()
        for variant, replicas in self.baseline.decide(now_s, seen, counts).items():
            before = wanted.get(variant, 0)
            if replicas < before:
                self.fleet.order(variant, replicas)
            elif replicas > before:
                free = self.fleet.free_replicas(variant)
                if free > 0:
                    self.fleet.order(variant, min(replicas, before + free))


class _Laboratory:
    def __init__(
        self, scenario: ScenarioSpec, fleet: FleetSpec, folder: Path, progress: LabProgress | None
    ) -> None:
        self._scenario, self._fleet, self._progress = scenario, fleet, progress
        self._traffic = ScenarioTraffic(scenario, fleet, folder)
        planner = Planner(fleet, scenario.control)
        self._variants = planner.variants
        names = [service.name for service in fleet.services]
        first = {n: self._traffic.at(n, 0.0) for n in names}
        peak = {n: self._traffic.peak(n, scenario.duration_s, scenario.tick_s) for n in names}
        self._at_peak = planner.plan(_expected(peak), {}, moves=Moves.ALLOWED).replicas
        self._rates = {v: planner.rate_rps(v) for v in self._variants}
        # All begin on the accelerators of the peak's plan: where to be is not what is compared.
        self._begin = planner.plan(
            _expected(first), dict(self._at_peak), moves=Moves.NEVER
        ).replicas
        self._curves = ServiceCurves(fleet, self._variants)

    def surroundings(self) -> Surroundings:
        place: dict[str, Variant] = {}
        for variant, count in self._at_peak.items():
            known = place.get(variant.service)
            if known is None or count > self._at_peak[known]:
                place[variant.service] = variant
        loads = {s.name: s.load for s in self._fleet.services}

        def curves_of(variant: Variant) -> Curves:
            load = loads[variant.service]
            return self._curves.of(variant, load.mean_input_tokens, load.mean_output_tokens, 1.0)

        return Surroundings(
            self._fleet,
            self._scenario,
            place,
            self._at_peak,
            curves_of,
            self._rates.__getitem__,
        )

    def own(self) -> PolicyRun:
        fleet, faults, collector = self._world()
        actuator = SimulatedActuator(fleet, faults)
        policy = _Controlled(self._fleet, self._scenario, faults, collector, actuator)
        method = self._scenario.control.forecast.method
        return self._run("fleetopt", f"forecast {method}", policy, fleet, faults, collector)

    def baseline(self, name: str, settings: str, make: Callable[[], Baseline]) -> PolicyRun:
        fleet, faults, collector = self._world()
        policy = _Uncontrolled(make(), fleet, collector)
        return self._run(name, settings, policy, fleet, faults, collector)

    def _world(self) -> tuple[FluidFleet, Faults, SimulatedCollector]:
        scenario = self._scenario
        kind = _SIMULATORS[scenario.simulator]
        fleet = kind(
            self._fleet,
            self._variants,
            self._traffic.at,
            seed=scenario.seed,
            start_up_s=scenario.start_up_s,
            stopping_s=scenario.stopping_s,
            curves=self._curves,
        )
        faults = Faults(scenario.faults)
        return fleet, faults, SimulatedCollector(fleet, faults)

    def _run(
        self,
        name: str,
        settings: str,
        policy: _Policy,
        fleet: FluidFleet,
        faults: Faults,
        collector: SimulatedCollector,
    ) -> PolicyRun:
        scenario = self._scenario
        dt_s, steps = scenario.tick_s, round(scenario.duration_s / scenario.tick_s)
        events = tuple(sorted({*self._traffic.changes_s(), *faults.starts_s()}))
        scorer = Scorer(scenario.warm_up_s, events)
        recorder = _Recorder(max(steps // _POINTS, 1))
        fleet.begin_with(policy.begin_with(self._begin))
        due_s, scored_from = policy.interval_s, (0.0, 0.0)
        for step in range(steps):
            faults.apply(fleet)
            if fleet.now_s >= due_s - 1e-9:
                policy.act(fleet.now_s)
                due_s += policy.interval_s
            if step * dt_s <= scenario.warm_up_s:
                scored_from = (fleet.card_hours, fleet.cost)
            fleet.advance(dt_s)
            collector.remember(dt_s)
            cards = fleet.cards_held()
            scorer.add(
                fleet.now_s, dt_s, fleet.ticks, fleet.wanted_by_service(), cards, fleet.over_quota()
            )
            recorder.add(step, fleet, cards)
            if self._progress is not None and step % max(steps // _LOOKS, 1) == 0:
                self._progress(name, step / steps, recorder.series())
        score = scorer.score(fleet.card_hours - scored_from[0], fleet.cost - scored_from[1])
        return PolicyRun(policy=name, settings=settings, score=score, series=recorder.series())


class _Recorder:
    """Keeps every so-manyth step of a run."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._rows: list[tuple[float, float, int, float]] = []
        self._arrived = self._kept = 0.0

    def add(self, step: int, fleet: FluidFleet, cards: int) -> None:
        self._arrived += sum(tick.arrived for tick in fleet.ticks.values())
        self._kept += sum(tick.kept for tick in fleet.ticks.values())
        if step % self._every == 0:
            rate = sum(tick.load.rate_rps for tick in fleet.ticks.values())
            kept = self._kept / self._arrived if self._arrived else 1.0
            self._rows.append((fleet.now_s, rate, cards, kept))
            self._arrived = self._kept = 0.0

    def series(self) -> Series:
        times, rates, cards, kept = zip(*self._rows, strict=True)
        return Series(time_s=times, rate_rps=rates, cards=cards, kept=kept)


def run_scenario(
    scenario: ScenarioSpec,
    fleet: FleetSpec,
    folder: Path,
    progress: LabProgress | None = None,
) -> LabResult:
    """Run a scenario with the controller and with everything that it is compared with.

    Parameters
    ----------
    scenario
        What happens.
    fleet
        To whom.
    folder
        Where relative paths of traces begin.
    progress
        See `LabProgress`.

    Raises
    ------
    ControlError
        If a baseline is unknown.
    """
    known = {"static-peak", "hpa", "hpa-tuned", "saturation", "greedy"}
    unknown = [name for name in scenario.baselines if name not in known]
    if unknown:
        raise ControlError(
            f"baselines: '{unknown[0]}' is none; there are {', '.join(sorted(known))}"
        )
    lab = _Laboratory(scenario, fleet, folder, progress)
    around = lab.surroundings()
    own = lab.own()
    runs = [own]
    simple: dict[str, Callable[[], Baseline]] = {
        "static-peak": lambda: StaticPeakBaseline(around),
        "hpa": lambda: HorizontalBaseline(around),
        "saturation": lambda: SaturationBaseline(around),
        "greedy": lambda: GreedyBaseline(around),
    }
    for name in scenario.baselines:
        if name in simple:
            runs.append(lab.baseline(name, "", simple[name]))
        else:
            runs.append(_tuned(lab, around, own.score.attainment))
    return LabResult(
        scenario=scenario.name,
        fleet=fleet.name,
        simulator=scenario.simulator.value,
        duration_s=scenario.duration_s,
        runs=tuple(runs),
    )


def _tuned(lab: _Laboratory, around: Surroundings, attainment: float) -> PolicyRun:
    """Return the cheapest autoscaler that keeps as much; without any, the one that keeps most."""

    def run(setting: Setting) -> PolicyRun:
        return lab.baseline(
            "hpa-tuned",
            str(setting),
            lambda: HorizontalBaseline(
                around, setting.target_share, setting.down_window_s, by_rate=setting.by_rate
            ),
        )

    return cheapest_equal(run, attainment)


def _expected(loads: Mapping[str, Load]) -> dict[str, ExpectedLoad]:
    return {
        name: ExpectedLoad(load.rate_rps, load.input_tokens, load.output_tokens)
        for name, load in loads.items()
    }
