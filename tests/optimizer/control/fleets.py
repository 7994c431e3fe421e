"""A small fleet to control, and a simulated one with its controller."""

from __future__ import annotations

from optimizer.control.controller import Controller
from optimizer.control.journal import Journal
from optimizer.control.lab.faults import Faults
from optimizer.control.lab.fluid_fleet import FluidFleet
from optimizer.control.lab.ports import SimulatedActuator, SimulatedCollector
from optimizer.control.lab.traffic import Load
from optimizer.control.planner import Planner
from optimizer.control.spec import ControlSpec, FaultSpec, Variant
from optimizer.spec import FleetSpec, loads

TEXT = """
name: small
accelerators:
  - {name: H100, cost_per_hour: 4.50, memory_gb: 80}
  - {name: A100, cost_per_hour: 3.67, memory_gb: 80}
capacities:
  - {type: H100, cards: 12}
  - {type: A100, cards: 12}
models:
  - {name: m, weights_gb: 16}
performance:
  - {model: m, accelerator: A100, instances: 1, max_batch: 64, start_up_s: 60,
     iteration: {base_ms: 12, decode_ms_per_token: 0.12, prefill_ms_per_token: 0.10}}
  - {model: m, accelerator: H100, instances: 1, max_batch: 64, start_up_s: 60,
     iteration: {base_ms: 8, decode_ms_per_token: 0.05, prefill_ms_per_token: 0.03}}
classes:
  - name: standard
    priority: 1
    slos: [{targets: [{metric: ttft_ms, bound: 500}, {metric: itl_ms, bound: 30}]}]
  - name: batch
    priority: 2
    slos: [{targets: [{metric: e2e_ms, bound: 60000}]}]
services:
  - {name: chat, model: m, class: standard,
     load: {arrival_rate_rps: 20, input_tokens: 500, output_tokens: 100}}
  - {name: tags, model: m, class: batch, replicas: {min: 0},
     load: {arrival_rate_rps: 5, input_tokens: 500, output_tokens: 100}}
"""


def small_fleet() -> FleetSpec:
    return loads(TEXT)


def variant(service: str, accelerator: str = "H100", batch: int | None = 64) -> Variant:
    return Variant(service=service, accelerator=accelerator, max_batch=batch)


class World:
    """The simulated fleet with its controller, moved by hand."""

    def __init__(
        self,
        fleet: FleetSpec,
        rates: dict[str, float],
        spec: ControlSpec | None = None,
        faults: tuple[FaultSpec, ...] = (),
        journal: Journal | None = None,
        planner: Planner | None = None,
        seed: int | None = 1,
    ) -> None:
        self.rates = dict(rates)
        self.spec = spec or ControlSpec(fleet="fleet.yaml", observe_s=15.0, period_s=60.0)
        self.faults = Faults(faults)
        self.planner = planner or Planner(fleet, self.spec)
        self.fleet = FluidFleet(
            fleet,
            self.planner.variants,
            lambda name, _: Load(self.rates[name], 500.0, 100.0),
            seed=seed,
            start_up_s=60.0,
            stopping_s=30.0,
        )
        self.collector = SimulatedCollector(self.fleet, self.faults)
        self.actuator = SimulatedActuator(self.fleet, self.faults)
        self.journal = journal
        self.controller = self.restarted()

    def restarted(self) -> Controller:
        return Controller(
            self.fleet.fleet,
            self.spec,
            self.collector,
            self.actuator,
            self.journal,
            planner=self.planner,
        )

    def run(self, seconds: float, step_s: float = 15.0) -> list[dict[str, int]]:
        """Let time pass; returns the replicas asked for per service after every step."""
        seen = []
        for _ in range(round(seconds / step_s)):
            for _ in range(3):
                self.faults.apply(self.fleet)
                self.fleet.advance(step_s / 3)
                self.collector.remember(step_s / 3)
                assert not self.fleet.over_quota()
            self.controller.step(self.fleet.now_s)
            seen.append(self.fleet.wanted_by_service())
        return seen

    @property
    def wanted(self) -> dict[str, int]:
        return self.fleet.wanted_by_service()
