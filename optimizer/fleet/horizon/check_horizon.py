"""The independent checker of plans over periods: everything again, from the fleet and the words.

It reads no table of candidates and no array of a solver. What each service may be given, its
objectives in every period by the queue model, starts, delays and minimum up times, limits,
purchases and money are recomputed; a plan read from a file is checked as well as a fresh one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from optimizer.fleet.check_objectives import objectives_at
from optimizer.fleet.check_services import place_faults
from optimizer.fleet.check_shared import sharing_at
from optimizer.fleet.estimates import with_estimates
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.horizon.check_time import Key, check_time, key_of
from optimizer.fleet.horizon.horizon_plan import HorizonPlan, PeriodAllocation, PeriodPlan
from optimizer.fleet.plan import Allocation, ResourceUse
from optimizer.fleet.resources import KINDS, resource_uses
from optimizer.fleet.split_services import splits
from optimizer.fleet.uncertainty import with_rates
from optimizer.fleet.violation import PlanCheck, Violation
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.horizon import HorizonSpec
from optimizer.spec.options import PriorityMode
from optimizer.spec.service import ServiceSpec

__all__ = ["check_horizon"]

# Figures that are said and figures that are recomputed agree when they differ by less.
_AGREES = 1e-6
# As the solvers' own checker has it, for whole cards; sums of other units round more.
_KEPT = 1e-7


def check_horizon(spec: FleetSpec, plan: HorizonPlan) -> PlanCheck:
    """Check a plan over periods against the fleet that it is for.

    Parameters
    ----------
    spec
        The fleet, with the horizon and the options that the plan was made with.
    plan
        Fresh, or read from a file.

    Returns
    -------
    PlanCheck
        Every violation found; the mean cost per hour, and of every resource the use of the period
        that takes most of it. Power and carbon count as of replicas at full load.
    """
    spec, horizon = with_estimates(spec), spec.horizon
    if horizon is None or not plan.found:
        wanted = () if horizon is not None else (_of_plan("the fleet has no horizon"),)
        return PlanCheck(wanted, math.nan, ())
    unknown = tuple(_unknown(spec, horizon, plan))
    if unknown:
        return PlanCheck(unknown, math.nan, ())
    return _Check(spec, horizon, plan).run()


def _of_plan(message: str) -> Violation:
    return Violation("plan", "horizon", message)


def _unknown(spec: FleetSpec, horizon: HorizonSpec, plan: HorizonPlan) -> Iterator[Violation]:
    """Find names and periods that the fleet does not have."""
    models = {service.name: service.model for service in spec.services}
    entries = {(p.model, p.accelerator, p.configuration) for p in spec.performance}
    if len(plan.periods) != len(horizon.periods):
        yield _of_plan(f"{len(plan.periods)} periods, not {len(horizon.periods)}")
    if plan.period_hours != horizon.period_hours:
        yield _of_plan(f"periods of {plan.period_hours:g} h, not {horizon.period_hours:g} h")
    for period in plan.periods:
        names = [*period.unserved, *period.moved, *(a.service for a in period.allocations)]
        for name in dict.fromkeys(names):
            if name not in models:
                yield Violation("plan", name, "the fleet has no such service")
        for a in period.allocations:
            if (
                a.service in models
                and a.serving + a.starting + a.started
                and ((models[a.service], a.accelerator, a.configuration) not in entries)
            ):
                where = f"{a.accelerator} {a.configuration}".rstrip()
                yield Violation("plan", a.service, f"there is no performance data on {where!r}")
    offered = {entry.accelerator for entry in horizon.commitments}
    for bought in plan.commitments:
        if bought.accelerator not in offered:
            yield Violation("plan", bought.accelerator, "nothing can be committed to")


class _Check:
    """One plan beside its fleet."""

    def __init__(self, spec: FleetSpec, horizon: HorizonSpec, plan: HorizonPlan) -> None:
        self.spec, self.horizon, self.plan = spec, horizon, plan
        self.facts = FleetFacts(spec)
        self.services = {service.name: service for service in spec.services}

    def run(self) -> PlanCheck:
        """Find everything."""
        uses, violations = self._resources()
        violations = [
            *self._loads(),
            *self._objectives(),
            *check_time(self.spec, self.horizon, self.plan),
            *violations,
        ]
        violations += [*self._commitments(), *self._money()]
        hours = self.horizon.period_hours * len(self.plan.periods)
        return PlanCheck(tuple(violations), math.fsum(self._costs().values()) / hours, uses)

    # --- what is given ---

    def _loads(self) -> Iterator[Violation]:
        """Find forecasts that are not the fleet's, and services not served once or left out."""
        for number, (period, said) in enumerate(
            zip(self.plan.periods, self.horizon.periods, strict=True)
        ):
            name = said.name or f"{number}"
            if period.name != name:
                yield _of_plan(f"period {period.name!r}, not {name!r}")
            for service in self.spec.services:
                rate = said.rates_rps.get(service.name, service.load.arrival_rate_rps * said.factor)
                given_rate = period.rates_rps.get(service.name, math.nan)
                if not _agree(given_rate, rate):
                    yield Violation(
                        "load", service.name,
                        f"{given_rate:.9g} requests/s in {name}, {rate:.9g} are forecast",
                    )  # fmt: skip
                carriers = [
                    a for a in period.allocations if a.carries and a.service == service.name
                ]
                if splits(self.spec, service):
                    for message in _shares(self.spec, service, carriers, rate, period):
                        yield Violation("load", service.name, f"{message} in {name}")
                    continue
                times = len(carriers) + period.unserved.count(service.name)
                if times != 1:
                    what = "neither served nor unserved" if not times else "served twice"
                    yield Violation("plan", service.name, f"is {what} in {name}")

    def _objectives(self) -> Iterator[Violation]:
        """Ask the queue model where each replica carries most, and look at what may be given."""
        most: dict[Key, tuple[float, PeriodAllocation]] = {}
        for period in self.plan.periods:
            yield from self._shared(period)
            for a in period.allocations:
                if not a.carries or a.shared_with:
                    continue
                service, rate = self.services[a.service], period.rates_rps[a.service]
                rate = rate if a.rate_rps is None else a.rate_rps
                message = self._too_few(service, a, rate)
                if message:
                    yield Violation("service", a.service, f"{message} in {period.name}")
                    continue
                each = rate / max(a.serving - service.spares, 1)
                if each >= most.get(key_of(a), (-1.0, a))[0]:
                    most[key_of(a)] = (each, a)
        asked = []
        for each, a in most.values():
            service = self.services[a.service]
            carrying = max(a.serving - service.spares, 1)
            allocation = self._allocation(a, a.serving, each * carrying)
            for message in place_faults(self.facts, service, allocation):
                yield Violation("service", a.service, message)
            if each > 0:
                asked.append((allocation, carrying))
        yield from objectives_at(self.facts, self.plan.queue_model, asked)

    def _shared(self, period: PeriodPlan) -> Iterator[Violation]:
        """Find services that may not share replicas, or have too few of them, in a period."""
        carriers = [a for a in period.allocations if a.carries and (a.shared_with or a.replicas_of)]
        if not carriers:
            return
        rates = np.array([period.rates_rps[service.name] for service in self.spec.services])
        facts = FleetFacts(with_rates(self.spec, rates))
        leads = {a.service: a for a in carriers if a.replicas_of is None}
        given = []
        for a in carriers:
            service, rate = self.services[a.service], period.rates_rps[a.service]
            message = self._too_few(service, leads.get(a.replicas_of or a.service, a), rate)
            if message:
                yield Violation("service", a.service, f"{message} in {period.name}")
            said = {"replicas_of": a.replicas_of, "shared_with": a.shared_with}
            given.append(self._allocation(a, a.serving, rate).model_copy(update=said))
            for message in place_faults(self.facts, service, given[-1]):
                yield Violation("service", a.service, message)
        for found in sharing_at(facts, self.plan.queue_model, given):
            yield dataclasses.replace(found, message=f"{found.message} in {period.name}")

    def _too_few(self, service: ServiceSpec, a: PeriodAllocation, rate: float) -> str:
        """Return what is wrong with the replicas that carry a load; "" where nothing is."""
        spares = service.spares if rate > 0 else 0
        if a.serving < a.needed:
            return f"{a.serving} replicas serve, {a.needed} are needed"
        if not splits(self.spec, service):
            if a.needed < service.replicas.min:
                return f"{a.needed} replicas, at least {service.replicas.min} are wanted"
            if service.replicas.max is not None and a.needed > service.replicas.max:
                return f"{a.needed} replicas, at most {service.replicas.max} are allowed"
        if rate > 0 and a.serving <= spares:
            return f"{a.serving} replicas, of which {spares} are spare"
        return ""

    def _allocation(self, a: PeriodAllocation, replicas: int, rate: float) -> Allocation:
        """Return the words of one period as those of a plan, at full load where it is not said."""
        service = self.services[a.service]
        whole = Allocation(
            service=a.service, model=service.model, service_class=service.service_class, priority=1,
            accelerator=a.accelerator, configuration=a.configuration, max_batch=a.max_batch,
            replicas=replicas, replicas_needed=a.needed, instances=0, cards=0, cost_per_hour=0.0,
            arrival_rate_rps=rate, admitted_rate_rps=rate, max_rate_rps=rate, utilization=None,
            stable=True, refused_share=None, queueing_ms=None, ttft_ms=None, itl_ms=None,
            e2e_ms=None, targets=(), margin=None, partial=False,
        )  # fmt: skip
        instances = self.facts.instances(whole)
        cards = instances * self.facts.machine(whole).cards
        cost = instances * self.facts.price(whole)
        return whole.model_copy(
            update={"instances": instances, "cards": cards, "cost_per_hour": cost}
        )

    # --- limits and money ---

    def _paid(self, period: PeriodPlan) -> list[Allocation]:
        """Return everything that is paid in a period."""
        return [
            self._allocation(a, a.serving + a.starting, period.rates_rps[a.service])
            for a in period.allocations
            if a.serving + a.starting > 0
        ]

    def _resources(self) -> tuple[tuple[ResourceUse, ...], list[Violation]]:
        """Return the largest use of each resource, and what exceeds it."""
        largest: dict[str, ResourceUse] = {}
        violations = []
        for period in self.plan.periods:
            paid = self._paid(period)
            said = [a.instances for a in period.allocations if a.serving + a.starting > 0]
            for allocation, instances in zip(paid, said, strict=True):
                if allocation.instances != instances:
                    violations.append(Violation(
                        "plan", allocation.service,
                        f"{instances} instances in {period.name}, not {allocation.instances}",
                    ))  # fmt: skip
            for use in resource_uses(self.spec, paid):
                if use.used >= largest.get(use.name, use).used:
                    largest[use.name] = use
                slack = _KEPT if KINDS[use.kind].is_whole else _AGREES
                if use.capacity is not None and use.used > use.capacity * (1 + slack) + slack:
                    violations.append(Violation(
                        "resource", use.name,
                        f"{use.used:.9g} in {period.name}, {use.capacity:.9g} there are",
                    ))  # fmt: skip
        return tuple(largest.values()), violations

    def _commitments(self) -> Iterator[Violation]:
        offered = {entry.accelerator: entry for entry in self.horizon.commitments}
        for bought in self.plan.commitments:
            entry = offered[bought.accelerator]
            most = math.inf if entry.max_instances is None else entry.max_instances
            if not 0 <= bought.instances <= most:
                yield Violation("plan", bought.accelerator,
                                f"{bought.instances} committed to, at most {most}")  # fmt: skip
            if not _agree(bought.cost_per_hour, entry.cost_per_hour):
                yield Violation(
                    "plan", bought.accelerator,
                    f"committed to at {bought.cost_per_hour:g}, not {entry.cost_per_hour:g}",
                )  # fmt: skip

    def _costs(self) -> dict[str, float]:
        """Return the money by what it is for."""
        hours = self.horizon.period_hours
        bought = {entry.accelerator: entry for entry in self.plan.commitments}
        running = 0.0
        for period in self.plan.periods:
            used: dict[str, int] = {}
            price: dict[str, float] = {}
            for a in self._paid(period):
                name = a.accelerator or ""
                used[name] = used.get(name, 0) + a.instances
                price[name] = self.facts.price(a)
            running += math.fsum(
                max(count - (bought[name].instances if name in bought else 0), 0) * price[name]
                for name, count in used.items()
            )
        parts = [a for period in self.plan.periods for a in period.allocations]
        each = math.fsum(entry.instances * entry.cost_per_hour for entry in bought.values())
        return {
            "running": running * hours,
            "committed": each * hours * len(self.plan.periods),
            "starts": sum(a.started for a in parts) * self.horizon.start_cost,
            "stops": sum(a.stopped for a in parts) * self.horizon.stop_cost,
            "moves": sum(len(p.moved) for p in self.plan.periods) * self.horizon.move_cost,
        }

    def _money(self) -> Iterator[Violation]:
        """Find money that is not what the words come to, and bounds that contradict it."""
        plan, found = self.plan, self._costs()
        total = math.fsum(found.values())
        said = {} if plan.cost is None else {name: getattr(plan.cost, name) for name in found}
        hours = self.horizon.period_hours * len(plan.periods)
        penalties = 0.0
        if self.spec.optimizer.priorities is not PriorityMode.STRICT:
            usual = self.spec.optimizer.unserved_penalty_per_hour or 0.0
            said_of = {c.name: c.unserved_penalty_per_hour for c in self.spec.classes}
            of_class = {name: usual if one is None else one for name, one in said_of.items()}
            penalties = self.horizon.period_hours * math.fsum(
                of_class[self.services[name].service_class]
                for period in plan.periods
                for name in period.unserved
            )
        for name, one, other in (
            *((name, said.get(name), value) for name, value in found.items()),
            ("total_cost", plan.total_cost, total),
            ("total_cost_per_hour", plan.total_cost_per_hour, total / hours),
            ("primal_bound", plan.primal_bound, total + penalties),
        ):
            if one is None or not _agree(one, other):
                yield Violation("total", name, f"{one}, not {other:.9g}")
        bound = plan.dual_bound
        if bound is not None and bound > total + penalties + _AGREES * max(1.0, abs(bound)):
            yield Violation("total", "dual_bound", f"{bound:.9g}, more than the plan costs")


def _shares(
    spec: FleetSpec,
    service: ServiceSpec,
    carriers: list[PeriodAllocation],
    rate: float,
    period: PeriodPlan,
) -> Iterator[str]:
    """Yield what is wrong with how the load of a service that splits is spread in a period."""
    if service.name in period.unserved:
        if carriers:
            yield "is served and unserved"
        return
    given = math.fsum(a.rate_rps or 0.0 for a in carriers)
    if not _agree(given, rate) or any((a.rate_rps or 0.0) <= 0 for a in carriers):
        yield f"{given:.9g} requests/s are served of {rate:.9g}"
    most = service.max_different or spec.optimizer.max_different or len(carriers)
    if len(carriers) > most:
        yield f"{len(carriers)} configurations serve, at most {most} may"
    total = sum(a.serving for a in period.allocations if a.service == service.name)
    if total < service.replicas.min:
        yield f"{total} replicas, at least {service.replicas.min} are wanted"
    if service.replicas.max is not None and total > service.replicas.max:
        yield f"{total} replicas, at most {service.replicas.max} are allowed"


def _agree(one: float, other: float) -> bool:
    return abs(one - other) <= _AGREES * max(1.0, abs(other))
