"""A fleet of replicas as fluid: fast enough for days, and in steady state what the plans predict.

Requests of a variant are a fluid. A replica that holds n of them completes them at the rate at
which, by the queue model, it would hold n in steady state (the pointwise stationary fluid flow
approximation [1]_), so that backlogs build up and drain, and a constant load ends in the queue
model's own answer. Latencies are those of that rate, and waits grow by what is beyond it. Arrivals
are Poisson counts. It does not know of tokens, batches or routing: the engine's simulation does.

References
----------
.. [1] Wang, W.-P., Tipper, D., Banerjee, S. (1996). *A simple approximation for modeling
       nonstationary queues.* IEEE INFOCOM '96.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from optimizer.control.lab.replicas import Starting, VariantReplicas
from optimizer.control.lab.service_curves import Curves, ServiceCurves
from optimizer.control.lab.traffic import Load
from optimizer.control.spec import ReplicaCounts, Variant
from optimizer.fleet.inventory import Inventory
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import Metric, Statistic

__all__ = ["FluidFleet", "ServiceTick"]


@dataclass(frozen=True, slots=True)
class ServiceTick:
    """What happened to one service in one step.

    Parameters
    ----------
    arrived, kept
        Requests that came, and those of them within every objective.
    completed
        Requests that were completed.
    waiting, running
        Requests at its end.
    ttft_ms, itl_ms
        Means over those that came; NaN where none did.
    load
        What came.
    """

    arrived: float
    kept: float
    completed: float
    waiting: float
    running: float
    ttft_ms: float
    itl_ms: float
    load: Load


class FluidFleet:
    """The simulated fleet; see the module.

    Parameters
    ----------
    fleet
        As described.
    variants
        What can be deployed.
    load_at
        Load of a service at a time.
    seed
        Of the arrivals; None: as many as expected come.
    start_up_s
        Of replicas, where the fleet says nothing [s].
    stopping_s
        How long replicas on their way out hold their cards [s].
    curves
        Of the same fleet and variants; by default new ones.
    """

    def __init__(
        self,
        fleet: FleetSpec,
        variants: tuple[Variant, ...],
        load_at: Callable[[str, float], Load],
        *,
        seed: int | None,
        start_up_s: float,
        stopping_s: float,
        curves: ServiceCurves | None = None,
    ) -> None:
        self.fleet, self.variants = fleet, variants
        self.now_s = 0.0
        self.starting = Starting()
        self.slowness: dict[str, float] = {}
        self.ticks: dict[str, ServiceTick] = {}
        self.card_hours = 0.0
        self.cost = 0.0
        self._load_at = load_at
        self._rng = None if seed is None else np.random.default_rng(seed)
        self._curves = curves or ServiceCurves(fleet, variants)
        entries = {(p.model, p.accelerator, p.configuration): p for p in fleet.performance}
        self._machines = {a.name: a for a in fleet.accelerators}
        prices = dict(
            zip(Inventory.of(fleet).names, Inventory.of(fleet).cost_per_hour.tolist(), strict=True)
        )
        models = {s.name: s.model for s in fleet.services}
        default_s = fleet.optimizer.transition.start_up_s or start_up_s
        self._replicas: dict[Variant, VariantReplicas] = {}
        self._cards: dict[Variant, int] = {}
        self._price: dict[Variant, float] = {}
        for variant in variants:
            machine = self._machines[variant.accelerator]
            entry = entries[models[variant.service], variant.accelerator, variant.configuration]
            own_s = default_s if entry.start_up_s is None else entry.start_up_s
            self._replicas[variant] = VariantReplicas(variant, own_s, stopping_s)
            self._cards[variant] = machine.cards * entry.instances
            self._price[variant] = prices[machine.name] * entry.instances
        self._of_service: dict[str, list[VariantReplicas]] = {s.name: [] for s in fleet.services}
        for variant, replicas in self._replicas.items():
            self._of_service[variant.service].append(replicas)
        self._unrouted = dict.fromkeys(self._of_service, 0.0)

    def begin_with(self, replicas: Mapping[Variant, int]) -> None:
        """Have replicas that serve from the beginning."""
        for variant, count in replicas.items():
            self._replicas[variant].wanted = self._replicas[variant].ready = count

    def order(self, variant: Variant, replicas: int) -> None:
        """Ask for a number of replicas."""
        self._replicas[variant].want(self.now_s, replicas)

    def lose(self, service: str | None, share: float) -> None:
        """Let a share of the replicas that serve die at once."""
        for variant, replicas in self._replicas.items():
            if service in (None, variant.service):
                replicas.lose(self.now_s, math.ceil(replicas.ready * share))

    def counts(self) -> ReplicaCounts:
        """Return the replicas of every variant that has or is to have some."""
        found = (r.count(self.now_s) for r in self._replicas.values() if r.wanted or r.holding)
        return ReplicaCounts(at_s=self.now_s, counts=tuple(found))

    def cards_held(self, kind: str | None = None) -> int:
        """Return cards that are held, of a type or of all."""
        held = 0
        for variant, replicas in self._replicas.items():
            if replicas.holding:
                machine = self._machines[variant.accelerator]
                if kind in (None, machine.type or machine.name):
                    held += self._cards[variant] * replicas.holding
        return held

    def free_replicas(self, variant: Variant) -> int:
        """Return how many more replicas of a variant the cards of its type allow."""
        machine = self._machines[variant.accelerator]
        kind = machine.type or machine.name
        stated = [entry.cards for entry in self.fleet.capacities if entry.type == kind]
        if not stated:
            return 10**6
        return max(sum(stated) - self.cards_held(kind), 0) // self._cards[variant]

    def over_quota(self) -> bool:
        """Whether more cards of a type are held than there are."""
        return any(self.cards_held(entry.type) > entry.cards for entry in self.fleet.capacities)

    def wanted_by_service(self) -> dict[str, int]:
        """Return replicas asked for, by service."""
        return {n: sum(r.wanted for r in mine) for n, mine in self._of_service.items()}

    def advance(self, dt_s: float) -> None:
        """Let time pass."""
        for service, replicas in self._of_service.items():
            self.ticks[service] = self._advance_service(service, replicas, dt_s)
        hours = dt_s / 3600.0
        for variant, one in self._replicas.items():
            if one.holding:
                self.card_hours += self._cards[variant] * one.holding * hours
                self.cost += self._price[variant] * one.holding * hours
        self.now_s += dt_s
        for one in self._replicas.values():
            if one.wanted or one.holding:
                one.advance(self.now_s, self.starting)

    def _advance_service(
        self, service: str, replicas: list[VariantReplicas], dt_s: float
    ) -> ServiceTick:
        load = self._load_at(service, self.now_s)
        arrived = load.rate_rps * dt_s
        if self._rng is not None and arrived > 0:
            arrived = float(self._rng.poisson(arrived))
        slowness = self.slowness.get(service, 1.0)
        serving = [
            (r, self._curves.of(r.variant, load.input_tokens, load.output_tokens, slowness))
            for r in replicas
            if r.ready > 0 or r.requests > 0
        ]
        for one, _ in serving:
            if one.ready == 0:  # what its replicas held goes to others, or waits
                self._unrouted[service] += one.requests
                one.requests = 0.0
        serving = [(r, curves) for r, curves in serving if r.ready > 0]
        if not serving:
            self._unrouted[service] += arrived
            held = self._unrouted[service]
            return ServiceTick(arrived, 0.0, 0.0, held, 0.0, math.nan, math.nan, load)
        late = self._unrouted[service]
        self._unrouted[service] = 0.0
        whole = sum(r.ready * curves.capacity_rps for r, curves in serving)
        kept = completed = waiting = running = ttft = itl = 0.0
        for one, curves in serving:
            share = one.ready * curves.capacity_rps / whole
            before = one.requests + share * late
            one.requests = _implicit(before, share * arrived, one.ready, curves, dt_s)
            each = one.requests / one.ready
            flow = curves.flow_rps(each)
            completed += before + share * arrived - one.requests
            queue = float(np.interp(each, curves.requests, curves.waiting))
            queue += max(each - float(curves.requests[-1]), 0.0)
            waiting += one.ready * queue
            running += one.ready * (each - queue)
            kept += share * arrived if curves.keeps(flow, each) else 0.0
            ttft += share * curves.value_ms(Statistic(Metric.TTFT), flow, each)
            itl += share * curves.value_ms(Statistic(Metric.ITL), flow, each)
        if arrived == 0:
            ttft = itl = math.nan
        return ServiceTick(arrived, kept, completed, waiting, running, ttft, itl, load)


def _implicit(before: float, arrived: float, ready: int, curves: Curves, dt_s: float) -> float:
    """Return the requests after a step: the n with n = before + arrived - flow(n) dt.

    Implicit, so that steps may be longer than a request takes. n + flow(n) dt rises piecewise
    linearly with n and is inverted exactly.
    """
    most = before + arrived
    reached = ready * (curves.requests + dt_s * curves.rate_rps)
    if most >= reached[-1]:
        return most - ready * dt_s * curves.capacity_rps
    return ready * float(np.interp(most, reached, curves.requests))
