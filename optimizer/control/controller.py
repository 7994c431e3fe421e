"""The controller: look, forecast, optimise, change little, and write down before changing.

`Controller.step` is one look at the fleet and all that follows from it. It reads no clock and
sleeps never: whoever runs it says what time it is, a laboratory as fast as it computes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optimizer.control.actuators import Actuator
from optimizer.control.breaker import Breaker
from optimizer.control.collectors import Collector
from optimizer.control.conditions import Conditions
from optimizer.control.errors import ActuationError, JournalError
from optimizer.control.expectations import Expectations
from optimizer.control.expected_load import ExpectedLoad
from optimizer.control.journal import Journal, MemoryJournal
from optimizer.control.planned_load import PlannedLoad, PlannedLoads
from optimizer.control.planner import Moves, Planner, Proposal
from optimizer.control.scarcity import Scarcity
from optimizer.control.sequencer import Ledger, Orders, Sequencer
from optimizer.control.spec import (
    Clamp,
    ConditionType,
    ControlSpec,
    ControlStatus,
    Decision,
    FleetObservation,
    LoadForecast,
    OrderOutcome,
    OrderResult,
    ReplicaCounts,
    ServiceDecision,
    ServiceStatus,
    Variant,
    VariantTarget,
)
from optimizer.control.stabilizer import Settled, Stabilizer
from optimizer.errors import FleetError
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import QueueModelError
from solvers import SolverError

__all__ = ["Controller", "Cycle"]

# What an optimisation can fail with; then the last good plan is held.
_FAILURES = (FleetError, SolverError, QueueModelError, ArithmeticError, ValueError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one step saw, decided and did.

    Parameters
    ----------
    status
        The controller after it.
    decision
        What was decided.
    outcomes
        What became of the orders given.
    observation
        What was seen; None where the replicas could not be counted.
    """

    status: ControlStatus
    decision: Decision
    outcomes: tuple[OrderOutcome, ...]
    observation: FleetObservation | None


class Controller:
    """Keeps one fleet at its optimum.

    Parameters
    ----------
    fleet
        The fleet.
    spec
        How to control it.
    collector, actuator
        Where figures come from, and who changes replicas.
    journal
        Where decisions are written down; what stands there is gone on with.
    planner
        By default a new one.

    Raises
    ------
    JournalError
        If the journal holds what cannot be read.
    """

    def __init__(
        self,
        fleet: FleetSpec,
        spec: ControlSpec,
        collector: Collector,
        actuator: Actuator,
        journal: Journal | None = None,
        planner: Planner | None = None,
    ) -> None:
        self.fleet, self.spec = fleet, spec
        self.collector, self.actuator = collector, actuator
        self.planner = planner or Planner(fleet, spec)
        self._know_fleet()
        self._journal = journal or MemoryJournal()
        horizon_s = spec.forecast.horizon_s
        if horizon_s is None:
            horizon_s = _start_up_s(fleet) + spec.observe_s
        self._expectations = Expectations(spec.forecast, horizon_s, collector.window_s)
        self._planned = PlannedLoads(spec.stabilization, spec.forecast)
        self._stabilizer = Stabilizer(spec.stabilization)
        self._breaker = Breaker(spec.breaker)
        self._ledger = Ledger(settle_s=4.0 * spec.observe_s)
        self._scarcity = Scarcity(
            spec.stabilization.pending_timeout_s, lambda variant: self._cards_of(variant)
        )
        self._conditions = Conditions()
        self._proposal: Proposal | None = None
        self._contended: frozenset[Variant] = frozenset()
        self._cycle = self._failures = 0
        self._planned_s = self._moved_s = self._forced_s = float("-inf")
        self._success_s: float | None = None
        self._cards: Mapping[str, int] = {}
        self._last_wanted: dict[Variant, int] | None = None
        self._events: set[str] = set()
        self._paused = spec.paused
        self._restore()

    def notify(self, event: str) -> None:
        """Ask for a plan at the next step, whatever the time."""
        self._events.add(event)

    def adopt(self, fleet: FleetSpec) -> None:
        """Go on with another description of the fleet: its services may come and go.

        Raises
        ------
        FleetError
            If the fleet cannot be controlled; then the one before is kept.
        """
        planner = Planner(fleet, self.spec)
        self.planner, self.fleet = planner, fleet
        self._know_fleet()
        self.notify("fleet")

    def tell_configuration(self, now_s: float, fault: str) -> None:
        """Say that the configuration is valid, or what is wrong with the newest one."""
        reason = "Invalid" if fault else "Valid"
        self._conditions.tell(
            now_s, ConditionType.CONFIGURATION_VALID, not fault, reason, fault[:500]
        )

    def _know_fleet(self) -> None:
        """Take from the fleet what depends on nothing else."""
        fleet = self.fleet
        self.actuator.begin(self.planner.variants)
        deployable = self.actuator.deployable()
        if deployable is not None:
            self.planner.keep_to(deployable)
        priority = {c.name: c.priority for c in fleet.classes}
        of_service = {s.name: priority[s.service_class] for s in fleet.services}
        self._sequencer = Sequencer(lambda name: of_service.get(name, 0))
        self._cards_of = _Cards(fleet).of

    def pause(self, paused: bool = True) -> None:
        """Look and decide, and change nothing; or go on."""
        self._paused = paused

    def approve(self, now_s: float, digest: str) -> bool:
        """Let pass what the circuit breaker holds; whether the digest is that of what it holds."""
        approved = self._breaker.approve(now_s, digest)
        if approved:
            self.notify("approval")
        return approved

    def step(self, now_s: float) -> Cycle:
        """Look at the fleet and do what follows.

        Parameters
        ----------
        now_s
            Time [s]; never less than at the step before.
        """
        self._cycle += 1
        try:
            seen_counts = self.actuator.counts(now_s)
        except ActuationError as error:
            self._conditions.tell(
                now_s, ConditionType.ACTUATED, False, "ReplicasUnknown", str(error)
            )
            return self._blind(now_s)
        counts = self._ledger.cautious(seen_counts)
        observation = self.collector.collect(now_s, seen_counts)
        loads, forecasts = self._expect(now_s, observation)
        trigger = self._trigger(now_s, loads, seen_counts, observation)
        if trigger:
            self._plan(now_s, loads, counts, observation)
        settled = self._settle(now_s, loads, counts)
        before = counts.wanted()
        targets = {v: n for one in settled.values() for v, n in one.target.items()}
        held = self._held(now_s, before, targets)
        if held is not None:
            targets = dict(before)
        orders = self._sequencer.orders(
            targets, counts, self.planner.quotas(), self._cycle, seen_counts.wanted()
        )
        self._contended = orders.contended if held is None else frozenset()
        outcomes = self._carry_out(now_s, orders, counts)
        self._tell_capacity(now_s, orders)
        decision = self._decision(
            now_s, trigger, observation, forecasts, loads, before, targets, settled, orders, held
        )
        return Cycle(self._status(now_s, seen_counts, targets), decision, outcomes, observation)

    def _expect(
        self, now_s: float, observation: FleetObservation
    ) -> tuple[dict[str, PlannedLoad], dict[str, LoadForecast]]:
        self._expectations.observe(observation)
        forecasts = self._expectations.forecasts(observation)
        seen = {service.service: service for service in observation.services}
        loads = {
            service.name: self._planned.update(
                seen.get(service.name),
                forecasts.get(service.name),
                service.name,
                self.collector.window_s,
            )
            for service in self.fleet.services
        }
        blind = sorted(name for name, load in loads.items() if not load.trusted)
        why = next(
            (str(seen[name].arrival_rate_rps) for name in blind if name in seen), "not observed"
        )
        self._conditions.tell(
            now_s,
            ConditionType.METRICS_AVAILABLE,
            not blind,
            "MetricsMissing" if blind else "MetricsFound",
            f"{len(blind)} of {len(loads)} services, such as {blind[0]}: {why}" if blind else "",
        )
        return loads, forecasts

    def _trigger(
        self,
        now_s: float,
        loads: Mapping[str, PlannedLoad],
        counts: ReplicaCounts,
        observation: FleetObservation,
    ) -> str:
        """Return what makes a plan due; "" where none is."""
        cards = dict(self._scarcity.update(now_s, counts.counts))
        for kind, there in (observation.cards or {}).items():
            cards[kind] = min(there, cards.get(kind, there))
        if cards != self._cards:
            self._cards = cards
            self._events.add("cards")
        if all(load.load is None for load in loads.values()):
            return ""  # nothing was ever seen: there is nothing to plan for
        if self._proposal is None:
            return "begin"
        proposal = self._proposal
        for name, planned in loads.items():
            if planned.load is not None and planned.load.rate_rps > self._carried(name) * 1.0001:
                if name not in proposal.unserved:
                    self._events.add("load")
                break
        if self._events:
            trigger = "event: " + ", ".join(sorted(self._events))
            self._events.clear()
            return trigger
        return "period" if now_s - self._planned_s >= self.spec.period_s - 1e-6 else ""

    def _carried(self, service: str) -> float:
        """Return what the proposed replicas of a service carry [requests/s]."""
        assert self._proposal is not None
        return sum(
            self._proposal.replicas.get(variant, 0) * self.planner.rate_rps(variant)
            for variant in self.planner.variants_of(service)
        )

    def _plan(
        self,
        now_s: float,
        loads: Mapping[str, PlannedLoad],
        counts: ReplicaCounts,
        observation: FleetObservation,
    ) -> None:
        """Make a new proposal; where that fails, the last good one is held."""
        del observation
        self._planned_s = now_s
        wait_s = self.spec.stabilization.move_every_s
        moves = Moves.NEVER
        if self._proposal is None or now_s - self._moved_s >= wait_s:
            moves = Moves.ALLOWED
        elif now_s - self._forced_s >= min(wait_s, self.spec.stabilization.down_window_s):
            moves = Moves.IF_NEEDED
        wanted: dict[str, ExpectedLoad] = {
            name: planned.load for name, planned in loads.items() if planned.load is not None
        }
        try:
            proposal = self.planner.plan(
                wanted, counts.wanted(), moves=moves, cards=self._cards or None
            )
        except _FAILURES as error:
            self._failures += 1
            words = f"{type(error).__name__}: {error}"
            self._conditions.tell(
                now_s, ConditionType.OPTIMIZATION_READY, False, "OptimizationFailed", words
            )
            return
        if moves is Moves.ALLOWED:
            self._moved_s = now_s
        if moves is Moves.IF_NEEDED and (proposal.unserved or proposal.moves_allowed):
            self._forced_s = now_s
        unseen = {name for name, planned in loads.items() if planned.load is None}
        self._proposal = _without(proposal, unseen, counts.wanted()) if unseen else proposal
        self._failures = 0
        if all(load.trusted for load in loads.values()):
            self._success_s = now_s
        self._conditions.tell(
            now_s, ConditionType.OPTIMIZATION_READY, True, "Optimized", proposal.solver
        )
        self._write(now_s)

    def _settle(
        self, now_s: float, loads: Mapping[str, PlannedLoad], counts: ReplicaCounts
    ) -> dict[str, Settled]:
        if self._proposal is None:
            return {}
        of_service: dict[str, list[Any]] = {}
        for count in counts.counts:
            of_service.setdefault(count.variant.service, []).append(count)
        proposed: dict[str, dict[Variant, int]] = {}
        for variant, replicas in self._proposal.replicas.items():
            proposed.setdefault(variant.service, {})[variant] = replicas
        settled = {}
        for service in self.fleet.services:
            planned = loads[service.name]
            settled[service.name] = self._stabilizer.settle(
                now_s,
                service.name,
                tuple(of_service.get(service.name, ())),
                proposed.get(service.name, {}),
                rate_rps=0.0 if planned.load is None else planned.load.rate_rps,
                rate_of=self.planner.rate_rps,
                trusted=planned.trusted and self._failures == 0,
                contended=self._contended,
            )
        swinging = self._stabilizer.swinging
        self._conditions.tell(
            now_s,
            ConditionType.STABILIZED,
            not swinging,
            "Swinging" if swinging else "Steady",
            f"{', '.join(swinging[:5])}: reductions wait longer" if swinging else "",
        )
        return settled

    def _held(
        self, now_s: float, before: Mapping[Variant, int], targets: Mapping[Variant, int]
    ) -> Clamp | None:
        """Return what holds everything; None where nothing does."""
        tripped = self._breaker.holds(now_s, before, targets)
        self._conditions.tell(
            now_s,
            ConditionType.APPROVED,
            not tripped,
            "AwaitingApproval" if tripped else "WithinLimits",
            f"{self._breaker.reason}; approve {self._breaker.tripped}" if tripped else "",
        )
        if self._paused:
            return Clamp.PAUSED
        return Clamp.BREAKER if tripped else None

    def _carry_out(
        self, now_s: float, orders: Orders, counts: ReplicaCounts
    ) -> tuple[OrderOutcome, ...]:
        """Write down what will be ordered, then order it."""
        if not orders.orders:
            self._conditions.tell(now_s, ConditionType.ACTUATED, True, "AsWanted")
            return ()
        for order in orders.orders:
            self._ledger.note(now_s, order)
        if not self._write(now_s):
            for order in orders.orders:
                self._ledger.forget(order)
            return ()
        outcomes = tuple(self.actuator.apply(now_s, order) for order in orders.orders)
        for result in outcomes:
            if result.result in (OrderResult.CONFLICT, OrderResult.REFUSED, OrderResult.SHADOWED):
                self._ledger.forget(result.order)
        totals: dict[str, int] = {}
        for count in counts.counts:
            name = count.variant.service
            totals[name] = totals.get(name, 0) + count.wanted
        changes: dict[str, int] = {}
        for result in outcomes:
            if result.done:
                order = result.order
                self._breaker.note(now_s, order.expected, order.replicas)
                name = order.variant.service
                changes[name] = changes.get(name, 0) + order.replicas - order.expected
        for name, change in changes.items():
            before = totals.get(name, 0)
            self._stabilizer.changed(now_s, name, before, before + change)
        failed = [result for result in outcomes if not result.done]
        first = f"{failed[0].order}: {failed[0].result}: {failed[0].detail}" if failed else ""
        self._conditions.tell(
            now_s,
            ConditionType.ACTUATED,
            not failed,
            "OrdersFailed" if failed else "Ordered",
            first,
        )
        return outcomes

    def _tell_capacity(self, now_s: float, orders: Orders) -> None:
        unserved = () if self._proposal is None else self._proposal.unserved
        words = []
        if unserved:
            words.append(f"not served whole: {', '.join(unserved[:5])}")
        if orders.waiting:
            first = next(iter(orders.waiting))
            words.append(f"{sum(orders.waiting.values())} replicas wait for cards, as {first}")
        self._conditions.tell(
            now_s,
            ConditionType.CAPACITY_AVAILABLE,
            not words,
            "Unserved" if unserved else "Waiting" if words else "Enough",
            "; ".join(words),
        )

    def _decision(
        self,
        now_s: float,
        trigger: str,
        observation: FleetObservation,
        forecasts: Mapping[str, LoadForecast],
        loads: Mapping[str, PlannedLoad],
        before: Mapping[Variant, int],
        targets: Mapping[Variant, int],
        settled: Mapping[str, Settled],
        orders: Orders,
        held: Clamp | None,
    ) -> Decision:
        seen = {service.service: service for service in observation.services}
        proposal = self._proposal
        waiting = {variant.service for variant in orders.waiting}
        services = []
        for name, one in settled.items():
            clamps = one.clamps
            if held is not None and any(one.target[v] != before.get(v, 0) for v in one.target):
                clamps = (*clamps, held)
            if name in waiting:
                clamps = (*clamps, Clamp.QUOTA)
            expected, planned = forecasts.get(name), loads[name].load
            services.append(
                ServiceDecision(
                    service=name,
                    observed_rps=seen[name].arrival_rate_rps.value if name in seen else None,
                    forecast_rps=None if expected is None else expected.upper_rate_rps,
                    planned_rps=0.0 if planned is None else planned.rate_rps,
                    variants=tuple(
                        VariantTarget(
                            variant=variant,
                            before=before.get(variant, 0),
                            proposed=0 if proposal is None else proposal.replicas.get(variant, 0),
                            target=targets.get(variant, 0),
                        )
                        for variant in one.target
                    ),
                    clamps=clamps,
                    served=proposal is not None and name not in proposal.unserved,
                )
            )
        return Decision(
            at_s=now_s,
            cycle=self._cycle,
            trigger=trigger or "watch",
            solver="" if proposal is None else proposal.solver,
            cost_per_hour=self.planner.cost_per_hour(targets),
            moves_allowed=proposal is not None and proposal.moves_allowed,
            services=tuple(services),
        )

    def _blind(self, now_s: float) -> Cycle:
        """Return a cycle in which the replicas could not be counted: nothing is done."""
        self._failures += 1
        empty = ReplicaCounts(at_s=now_s, counts=())
        decision = Decision(at_s=now_s, cycle=self._cycle, trigger="blind", services=())
        return Cycle(self._status(now_s, empty, {}), decision, (), None)

    def _status(
        self, now_s: float, counts: ReplicaCounts, targets: Mapping[Variant, int]
    ) -> ControlStatus:
        ready = self._failures < self.spec.most_failures and all(
            self._conditions.holds(kind)
            for kind in (ConditionType.CONFIGURATION_VALID, ConditionType.APPROVED)
        )
        words = "" if ready else f"{self._failures} failures in a row"
        self._conditions.tell(
            now_s, ConditionType.READY, ready, "Working" if ready else "Degraded", words
        )
        there = {count.variant: count for count in counts.counts}
        return ControlStatus(
            fleet=self.fleet.name,
            at_s=now_s,
            cycle=self._cycle,
            last_success_s=self._success_s,
            last_digest=_digest(self._proposal),
            awaiting_approval=self._breaker.tripped,
            conditions=self._conditions.all(),
            services=tuple(
                ServiceStatus(
                    variant=variant,
                    wanted=there[variant].wanted if variant in there else 0,
                    ready=there[variant].ready if variant in there else 0,
                    target=targets.get(variant, 0),
                )
                for variant in dict.fromkeys((*there, *targets))
            ),
        )

    def _write(self, now_s: float) -> bool:
        """Write everything down; where that fails nothing may be changed."""
        proposal = self._proposal
        try:
            self._journal.write(
                {
                    "fleet": self.fleet.name,
                    "at_s": now_s,
                    "cycle": self._cycle,
                    "planned_s": self._planned_s,
                    "moved_s": _finite(self._moved_s),
                    "forced_s": _finite(self._forced_s),
                    "success_s": self._success_s,
                    "proposal": None if proposal is None else _proposal_state(proposal),
                    "loads": self._planned.state(),
                    "stabilizer": self._stabilizer.state(),
                    "breaker": self._breaker.state(),
                    "ledger": self._ledger.state(),
                    "scarcity": self._scarcity.state(),
                    "conditions": self._conditions.state(),
                    "forecaster": self._expectations.state(),
                }
            )
        except JournalError as error:
            self._conditions.tell(now_s, ConditionType.ACTUATED, False, "JournalFailed", str(error))
            return False
        return True

    def _restore(self) -> None:
        state = self._journal.read()
        if state is None:
            return
        try:
            if state["fleet"] != self.fleet.name:
                raise ValueError(f"it is of fleet '{state['fleet']}', not '{self.fleet.name}'")
            self._cycle, self._success_s = int(state["cycle"]), state["success_s"]
            for name in ("planned_s", "moved_s", "forced_s"):
                if state[name] is not None:
                    setattr(self, f"_{name}", float(state[name]))
            if state["proposal"] is not None:
                self._proposal = _proposal_of(state["proposal"])
            self._planned.restore(state["loads"])
            self._stabilizer.restore(state["stabilizer"])
            self._breaker.restore(state["breaker"])
            self._ledger.restore(state["ledger"])
            self._scarcity.restore(state["scarcity"])
            self._conditions.restore(state["conditions"])
            self._expectations.restore(state["forecaster"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise JournalError(
                f"the state written down cannot be gone on with: {error}; "
                "move it away to begin anew"
            ) from error


class _Cards:
    """Type of card and cards in a replica of every variant."""

    def __init__(self, fleet: FleetSpec) -> None:
        self._machines = {a.name: a for a in fleet.accelerators}
        self._model = {s.name: s.model for s in fleet.services}
        self._instances = {
            (p.model, p.accelerator, p.configuration): p.instances for p in fleet.performance
        }

    def of(self, variant: Variant) -> tuple[str, int]:
        """Return both; one card of a type of its own for a variant that is not the fleet's."""
        machine = self._machines.get(variant.accelerator)
        if machine is None:
            return variant.accelerator, 1
        key = (self._model.get(variant.service, ""), machine.name, variant.configuration)
        return machine.type or machine.name, machine.cards * self._instances.get(key, 1)


def _start_up_s(fleet: FleetSpec) -> float:
    """Return the longest start-up time of the fleet's configurations [s]."""
    default = fleet.optimizer.transition.start_up_s
    times = (default if p.start_up_s is None else p.start_up_s for p in fleet.performance)
    return max(times, default=default)


def _without(proposal: Proposal, unseen: set[str], wanted: Mapping[Variant, int]) -> Proposal:
    """Return the proposal with services of which nothing was seen kept as they are."""
    kept = {v: n for v, n in proposal.replicas.items() if v.service not in unseen}
    kept.update({v: n for v, n in wanted.items() if v.service in unseen})
    unserved = tuple(name for name in proposal.unserved if name not in unseen)
    return Proposal(kept, proposal.needed, unserved, proposal.moves_allowed, proposal.solver)


def _digest(proposal: Proposal | None) -> str:
    if proposal is None:
        return ""
    words = sorted(f"{variant}={count}" for variant, count in proposal.replicas.items())
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def _proposal_state(proposal: Proposal) -> dict[str, Any]:
    return {
        "replicas": [[v.model_dump(mode="json"), n] for v, n in proposal.replicas.items()],
        "needed": dict(proposal.needed),
        "unserved": list(proposal.unserved),
        "moves_allowed": proposal.moves_allowed,
        "solver": proposal.solver,
    }


def _proposal_of(state: Mapping[str, Any]) -> Proposal:
    return Proposal(
        replicas={Variant.model_validate(v): int(n) for v, n in state["replicas"]},
        needed={str(name): int(n) for name, n in state["needed"].items()},
        unserved=tuple(state["unserved"]),
        moves_allowed=bool(state["moves_allowed"]),
        solver=str(state["solver"]),
    )


def _finite(time_s: float) -> float | None:
    return None if time_s in (float("inf"), float("-inf")) else time_s
