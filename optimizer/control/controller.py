"""The controller: look, forecast, optimise, change little, and write down before changing.

`Controller.step` is one look at the fleet and all that follows from it. It reads no clock and
sleeps never: whoever runs it says what time it is, a laboratory as fast as it computes.
"""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.control.actuators import Actuator
from optimizer.control.breaker import Breaker
from optimizer.control.collectors import Collector
from optimizer.control.conditions import Conditions
from optimizer.control.cycle import Cycle, service_decisions, service_statuses
from optimizer.control.effort import Efforts
from optimizer.control.errors import ActuationError, JournalError
from optimizer.control.execution import Execution
from optimizer.control.expectations import Expectations, longest_start_up_s
from optimizer.control.former_variants import FormerVariants
from optimizer.control.journal import Journal, MemoryJournal
from optimizer.control.memory import Memory
from optimizer.control.planned_load import PlannedLoad, PlannedLoads
from optimizer.control.planner import Planner
from optimizer.control.planning import PLANNING_FAILURES, Planning
from optimizer.control.quotas import with_former
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
    ReplicaCounts,
    Variant,
)
from optimizer.control.stabilizer import Settled, Stabilizer
from optimizer.control.steady_clock import SteadyClock
from optimizer.control.tuning import Tuning
from optimizer.control.variant_cards import VariantCards
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Controller", "Cycle"]


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
        actuator.begin(self.planner.variants)
        self._know_fleet()
        horizon_s = spec.forecast.horizon_s
        if horizon_s is None:
            horizon_s = self._start_up_s + spec.observe_s
        self._expectations = Expectations(
            spec.forecast, horizon_s, collector.window_s, collector.recent_s, self._effort
        )
        self._tuning = Tuning(spec.tuning, fleet, collector.window_s)
        self._planned = PlannedLoads(spec.stabilization, spec.forecast, self._effort)
        self._stabilizer = Stabilizer(spec.stabilization)
        self._breaker = Breaker(spec.breaker)
        self._ledger = Ledger(settle_s=4.0 * spec.observe_s)
        self._conditions = Conditions()
        self._clock, self._former = SteadyClock(), FormerVariants()
        self._planning = Planning(
            spec, self._conditions, lambda variant: self._variant_cards.of(variant)
        )
        self._execution = Execution(
            actuator, self._ledger, self._breaker, self._stabilizer, self._conditions
        )
        self._contended: frozenset[Variant] = frozenset()
        self._paused = spec.paused
        self._memory = Memory(
            journal or MemoryJournal(),
            {
                "clock": self._clock,
                "former": self._former,
                **self._planning.parts,
                "loads": self._planned,
                "stabilizer": self._stabilizer,
                "breaker": self._breaker,
                "ledger": self._ledger,
                "conditions": self._conditions,
                "forecaster": self._expectations,
                "tuning": self._tuning,
            },
        )
        self._memory.restore(fleet.name)

    def notify(self, event: str) -> None:
        """Ask for a plan at the next step, whatever the time."""
        self._planning.notify(event)

    def adopt(self, fleet: FleetSpec) -> None:
        """Go on with another description of the fleet: its services may come and go.

        Raises
        ------
        FleetError
            If the fleet cannot be controlled; then the one before is kept.
        """
        planner = Planner(fleet, self.spec)
        self.actuator.begin(planner.variants)  # may refuse them, before anything has changed
        self._former.replace(self.planner, planner)
        self.planner, self.fleet = planner, fleet
        self._know_fleet()
        self._tuning.adopt(fleet)
        self.notify("fleet")

    def tell_configuration(self, now_s: float, fault: str) -> None:
        """Say that the configuration is valid, or what is wrong with the newest one."""
        reason = "Invalid" if fault else "Valid"
        self._conditions.tell(
            self._clock.at(now_s), ConditionType.CONFIGURATION_VALID, not fault, reason, fault[:500]
        )

    def _know_fleet(self) -> None:
        """Take from the fleet what depends on nothing else."""
        fleet = self.fleet
        deployable = self.actuator.deployable()
        if deployable is not None:
            self.planner.keep_to(deployable)
        priority = {c.name: c.priority for c in fleet.classes}
        of_service = {s.name: priority[s.service_class] for s in fleet.services}
        last = max(priority.values(), default=0) + 1
        self._sequencer = Sequencer(lambda name: of_service.get(name, last))
        self._variant_cards = VariantCards(fleet)
        self._efforts = Efforts(fleet)
        self._start_up_s = longest_start_up_s(fleet)

    def _effort(
        self, service: str, input_tokens: float | None, output_tokens: float | None
    ) -> float:
        return self._efforts.of(service, input_tokens, output_tokens)

    def pause(self, paused: bool = True) -> None:
        """Look and decide, and change nothing; or go on."""
        self._paused = paused

    def approve(self, now_s: float, digest: str) -> bool:
        """Let pass what the circuit breaker holds; whether the digest is that of what it holds."""
        approved = self._breaker.approve(self._clock.at(now_s), digest)
        if approved:
            self.notify("approval")
        return approved

    def step(self, now_s: float) -> Cycle:
        """Look at the fleet and do what follows.

        Parameters
        ----------
        now_s
            Time [s]; one before that of the last step counts as that one.
        """
        now_s = self._clock.at(now_s)
        self._memory.cycle += 1
        try:
            seen_counts = self.actuator.counts(now_s)
        except ActuationError as error:
            self._conditions.tell(
                now_s, ConditionType.ACTUATED, False, "ReplicasUnknown", str(error)
            )
            return self._blind(now_s)
        self._former.forget_gone(seen_counts.counts)
        counts = self._ledger.cautious(seen_counts)
        observation = self.collector.collect(now_s, seen_counts)
        self._learn(observation, seen_counts)
        loads, forecasts = self._expect(now_s, observation, seen_counts)
        trigger = self._plan(now_s, loads, counts, seen_counts, observation)
        settled = self._settle(now_s, loads, counts)
        before = counts.wanted()
        targets = {v: n for one in settled.values() for v, n in one.target.items()}
        held = self._held(now_s, before, targets)
        if held is not None:
            targets = dict(before)
        orders, outcomes = self._order(now_s, targets, counts, seen_counts)
        if self._memory.unwritten:
            self._write(now_s)
        self._contended = orders.contended if held is None else frozenset()
        proposal = self._memory.proposal
        unserved = () if proposal is None else proposal.unserved
        self._conditions.tell_capacity(now_s, unserved, orders.waiting)
        decision = Decision(
            at_s=now_s,
            cycle=self._memory.cycle,
            trigger=trigger or "watch",
            solver="" if proposal is None else proposal.solver,
            cost_per_hour=self.planner.cost_per_hour(targets),
            moves_allowed=proposal is not None and proposal.moves_allowed,
            services=service_decisions(
                observation=observation,
                forecasts=forecasts,
                loads=loads,
                before=before,
                targets=targets,
                settled=settled,
                proposal=proposal,
                waiting={variant.service for variant in orders.waiting},
                held=held,
            ),
        )
        return Cycle(self._status(now_s, seen_counts, targets), decision, outcomes, observation)

    def _learn(self, observation: FleetObservation, counts: ReplicaCounts) -> None:
        """Learn how fast replicas are, and plan anew where that is otherwise than thought."""
        self._tuning.learn(observation, counts)
        entries = self._tuning.entries()
        if entries is None:
            return
        try:
            self.planner.retune(entries)
        except PLANNING_FAILURES as error:
            words = f"{type(error).__name__}: {error}"
            self._conditions.tell(
                observation.at_s, ConditionType.OPTIMIZATION_READY, False, "RetuneFailed", words
            )
        else:
            self.notify("speed")

    def order(
        self, now_s: float, targets: Mapping[Variant, int]
    ) -> tuple[Clamp | None, Orders, tuple[OrderOutcome, ...]]:
        """Order what somebody else wants, within quotas and limits; the next step looks anew.

        Returns
        -------
        tuple
            What holds everything, if anything does; the orders; what became of them.

        Raises
        ------
        ActuationError
            If the replicas cannot be counted.
        """
        now_s = self._clock.at(now_s)
        seen_counts = self.actuator.counts(now_s)
        counts = self._ledger.cautious(seen_counts)
        held = self._held(now_s, counts.wanted(), targets)
        wanted = targets if held is None else {}
        return held, *self._order(now_s, wanted, counts, seen_counts)

    def _order(
        self,
        now_s: float,
        targets: Mapping[Variant, int],
        counts: ReplicaCounts,
        seen_counts: ReplicaCounts,
    ) -> tuple[Orders, tuple[OrderOutcome, ...]]:
        """Give the orders that the quotas allow."""
        services = {service.name for service in self.fleet.services}
        quotas = with_former(self.planner.quotas(), counts.counts, services, self._variant_cards.of)
        orders = self._sequencer.orders(
            targets, counts, quotas, self._memory.cycle, seen_counts.wanted()
        )
        return orders, self._execution.carry_out(now_s, orders, counts, lambda: self._write(now_s))

    def _expect(
        self, now_s: float, observation: FleetObservation, counts: ReplicaCounts
    ) -> tuple[dict[str, PlannedLoad], dict[str, LoadForecast]]:
        self._expectations.observe(observation)
        forecasts = self._expectations.forecasts(observation)
        seen = {service.service: service for service in observation.services}
        starting_s: dict[str, float] = {}
        for count in counts.counts:
            name = count.variant.service
            starting_s[name] = max(starting_s.get(name, 0.0), count.pending_for_s)
        loads = {
            service.name: self._planned.update(
                seen.get(service.name),
                forecasts.get(service.name),
                service.name,
                self.collector.window_s,
                now_s,
                max(self._start_up_s - starting_s.get(service.name, 0.0), 0.0),
            )
            for service in self.fleet.services
        }
        self._conditions.tell_metrics(now_s, loads, seen)
        return loads, forecasts

    def _plan(
        self,
        now_s: float,
        loads: Mapping[str, PlannedLoad],
        counts: ReplicaCounts,
        seen_counts: ReplicaCounts,
        observation: FleetObservation,
    ) -> str:
        """Make a new proposal where one is due; return what made it due."""
        cards = self._variant_cards.left_by_strangers(seen_counts.counts, self.actuator.taken())
        for kind, there in (observation.cards or {}).items():
            cards[kind] = min(there, cards.get(kind, there))
        before = self._memory.proposal
        trigger = self._planning.due(now_s, loads, seen_counts, cards, before, self.planner)
        if not trigger:
            return trigger
        proposal = self._planning.plan(now_s, loads, counts, self.planner, first=before is None)
        if proposal is not None:
            self._memory.proposal = proposal
            if all(load.trusted for load in loads.values()):
                self._memory.success_s = now_s
            self._memory.unwritten = True  # goes with the orders, or alone
        return trigger

    def _settle(
        self, now_s: float, loads: Mapping[str, PlannedLoad], counts: ReplicaCounts
    ) -> dict[str, Settled]:
        if self._memory.proposal is None:
            return {}
        settled = self._stabilizer.settle_all(
            now_s,
            [service.name for service in self.fleet.services],
            counts,
            self._memory.proposal.replicas,
            loads,
            rate_of=self._rate_rps,
            trusted=self._planning.failures == 0,
            contended=self._contended,
        )
        self._conditions.tell_swinging(now_s, self._stabilizer.swinging)
        return settled

    def _rate_rps(self, variant: Variant) -> float:
        """Return what one replica carries, or did before the fleet's description changed."""
        return self.planner.rate_rps(variant) or self._former.rate_rps(variant)

    def _held(
        self, now_s: float, before: Mapping[Variant, int], targets: Mapping[Variant, int]
    ) -> Clamp | None:
        """Return what holds everything; None where nothing does."""
        tripped = self._breaker.holds(now_s, before, targets)
        self._conditions.tell_approval(now_s, self._breaker.reason, self._breaker.tripped)
        if self._paused:
            return Clamp.PAUSED
        return Clamp.BREAKER if tripped else None

    def _blind(self, now_s: float) -> Cycle:
        """Return a cycle in which the replicas could not be counted: nothing is done."""
        self._planning.failures += 1
        empty = ReplicaCounts(at_s=now_s, counts=())
        decision = Decision(at_s=now_s, cycle=self._memory.cycle, trigger="blind", services=())
        return Cycle(self._status(now_s, empty, {}), decision, (), None)

    def _status(
        self, now_s: float, counts: ReplicaCounts, targets: Mapping[Variant, int]
    ) -> ControlStatus:
        self._conditions.tell_ready(now_s, self._planning.failures, self.spec.most_failures)
        return ControlStatus(
            fleet=self.fleet.name,
            at_s=now_s,
            cycle=self._memory.cycle,
            last_success_s=self._memory.success_s,
            last_digest="" if self._memory.proposal is None else self._memory.proposal.digest,
            awaiting_approval=self._breaker.tripped,
            conditions=self._conditions.all(),
            services=service_statuses(counts, targets),
        )

    def _write(self, now_s: float) -> bool:
        """Write everything down; where that fails nothing may be changed."""
        try:
            self._memory.write(self.fleet.name)
        except JournalError as error:
            self._conditions.tell(now_s, ConditionType.ACTUATED, False, "JournalFailed", str(error))
            return False
        return True
