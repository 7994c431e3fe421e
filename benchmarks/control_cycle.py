"""CPU of one cycle of the control loop: 1,000 services, 5 % of them changed since the last plan."""

from __future__ import annotations

import random
import statistics
import time

from optimizer.control.actuators.base import Actuator, outcome
from optimizer.control.collectors.base import Collector
from optimizer.control.controller import Controller
from optimizer.control.spec import (
    BreakerSpec,
    ControlSpec,
    FleetObservation,
    Order,
    OrderOutcome,
    OrderResult,
    Reading,
    ReplicaCount,
    ReplicaCounts,
    ServiceObservation,
    Variant,
)
from optimizer.spec import FleetSpec, loads

__all__ = ["cycles", "fleet_of", "run"]

SERVICES = 1000
CHANGED = 0.05
CYCLES = 5
PERIOD_S = 60.0

_FLEET = """
name: many
accelerators:
  - {name: A100, cost_per_hour: 3.67, memory_gb: 80}
  - {name: H100, cost_per_hour: 4.50, memory_gb: 80}
  - {name: H200, cost_per_hour: 5.75, memory_gb: 141}
capacities:
  - {type: A100, cards: %(cards)d}
  - {type: H100, cards: %(cards)d}
  - {type: H200, cards: %(cards)d}
models:
  - {name: small, weights_gb: 16}
  - {name: large, weights_gb: 60}
performance:
  - {model: small, accelerator: A100, max_batch: 256,
     iteration: {base_ms: 11.9, decode_ms_per_token: 0.12, prefill_ms_per_token: 0.10}}
  - {model: small, accelerator: H100, max_batch: 256,
     iteration: {base_ms: 8.0, decode_ms_per_token: 0.05, prefill_ms_per_token: 0.03}}
  - {model: large, accelerator: A100, max_batch: 128,
     iteration: {base_ms: 34.0, decode_ms_per_token: 0.20, prefill_ms_per_token: 0.18}}
  - {model: large, accelerator: H100, max_batch: 128,
     iteration: {base_ms: 21.0, decode_ms_per_token: 0.08, prefill_ms_per_token: 0.06}}
  - {model: large, accelerator: H200, max_batch: 128,
     iteration: {base_ms: 15.0, decode_ms_per_token: 0.07, prefill_ms_per_token: 0.06}}
classes:
  - {name: premium, priority: 1,
     slos: [{targets: [{metric: ttft_ms, bound: 500}, {metric: itl_ms, bound: 40}]}]}
  - {name: standard, priority: 2,
     slos: [{targets: [{metric: ttft_ms, bound: 2000}, {metric: itl_ms, bound: 80}]}]}
services:
"""


def fleet_of(services: int, seed: int = 0) -> FleetSpec:
    """Return a fleet whose cards are scarce for the dear types."""
    draw = random.Random(seed)
    lines = []
    for number in range(services):
        model = draw.choice(("small", "large"))
        name = draw.choice(("premium", "standard"))
        lines.append(
            f"  - {{name: s{number}, model: {model}, class: {name}, load: {{arrival_rate_rps: "
            f"{draw.uniform(1, 25):.2f}, input_tokens: {draw.randint(200, 2000)}, "
            f"output_tokens: {draw.randint(50, 400)}}}}}"
        )
    return loads(_FLEET % {"cards": 3 * services} + "\n".join(lines) + "\n")


class _Seen(Collector):
    name, summary = "seen", "loads of the benchmark"

    def __init__(self, fleet: FleetSpec) -> None:
        self.rates = {s.name: s.load.arrival_rate_rps for s in fleet.services}
        self.lengths = {s.name: s.load.mean_input_tokens for s in fleet.services}
        self.output = {s.name: s.load.mean_output_tokens for s in fleet.services}
        self.observation: FleetObservation | None = None

    def observe(self, now_s: float) -> None:
        """Make the observation beforehand: collecting is not timed."""
        self.observation = FleetObservation(
            at_s=now_s,
            services=tuple(
                ServiceObservation(
                    service=name,
                    arrival_rate_rps=Reading.of(rate),
                    input_tokens=Reading.of(self.lengths[name]),
                    output_tokens=Reading.of(self.output[name]),
                    waiting=Reading.of(0.0),
                    running=Reading.of(1.0),
                )
                for name, rate in self.rates.items()
            ),
        )

    def collect(self, now_s: float, counts: ReplicaCounts | None) -> FleetObservation:
        """Return it."""
        del now_s, counts
        assert self.observation is not None
        return self.observation


class _Obeyed(Actuator):
    name, summary = "obeyed", "orders are carried out at once"

    def __init__(self) -> None:
        self.wanted: dict[Variant, int] = {}
        self.seen: ReplicaCounts | None = None

    def observe(self, now_s: float) -> None:
        """Count beforehand."""
        counts = (ReplicaCount(variant=v, wanted=n, ready=n) for v, n in self.wanted.items() if n)
        self.seen = ReplicaCounts(at_s=now_s, counts=tuple(counts))

    def counts(self, now_s: float) -> ReplicaCounts:
        """Return the counts."""
        del now_s
        assert self.seen is not None
        return self.seen

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Obey."""
        del now_s
        self.wanted[order.variant] = order.replicas
        return outcome(order, OrderResult.APPLIED)


def cycles(services: int, count: int, move_every_s: float) -> list[float]:
    """Return the CPU seconds of every cycle after the first."""
    fleet = fleet_of(services)
    draw = random.Random(1)
    spec = ControlSpec.model_validate(
        {
            "fleet": "fleet.yaml",
            "breaker": BreakerSpec(free_replicas=10**6),
            "stabilization": {"move_every_s": move_every_s},
        }
    )
    collector, actuator = _Seen(fleet), _Obeyed()
    controller = Controller(fleet, spec, collector, actuator)
    found = []
    for cycle in range(count + 1):
        now_s = PERIOD_S * cycle
        for name in draw.sample(sorted(collector.rates), int(CHANGED * services)) if cycle else ():
            collector.rates[name] *= draw.uniform(0.6, 1.6)
            collector.lengths[name] *= draw.uniform(0.7, 1.4)
        collector.observe(now_s)
        actuator.observe(now_s)
        begun = time.process_time()
        done = controller.step(now_s)
        if cycle:
            found.append(time.process_time() - begun)
            assert done.decision.trigger != "watch"
    return found


def run(repeats: int) -> None:
    """Print CPU seconds per cycle, without moves and with moves in every plan."""
    print(f"One cycle, {SERVICES} services, {CHANGED:.0%} changed rate and lengths, CPU s")
    print(f"{'moves':>12}{'median':>9}{'worst':>9}")
    for words, every_s in (("at intervals", 1e9), ("every plan", PERIOD_S)):
        times = cycles(SERVICES, CYCLES * repeats, every_s)
        print(f"{words:>12}{statistics.median(times):>9.3f}{max(times):>9.3f}", flush=True)


if __name__ == "__main__":
    run(1)
