"""Close the loop: simulate a plan, tighten what failed, solve again, until it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from optimizer.engine.plan_simulation import PlanProgress, simulate
from optimizer.engine.simulated_plan import PlanSimulation
from optimizer.fleet.optimize import optimize
from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Outcome", "VerifiedPlan", "verify"]

# A service that misses is sized for this much more than what its replicas were said to carry, so
# that they are too few.
_BEYOND = 1.001


class Outcome(StrEnum):
    """How the loop ended."""

    HOLDS = "holds"  # every service keeps every objective in simulation
    IMPOSSIBLE = "impossible"  # tightened, some service finds nothing that serves it whole
    NOT_REACHED = "not-reached"  # the rounds ran out
    NO_PLAN = "no-plan"  # no service is served that could be simulated


@dataclass(frozen=True)
class VerifiedPlan:
    """The last plan and its simulation.

    Parameters
    ----------
    plan
        Its loads are the fleet's own; its predictions are those at what it was sized for.
    simulation
        None where no service is served.
    outcome
        How the loop ended.
    rounds
        Plans that were simulated.
    sized_for_rps
        What services were sized for in place of their load [1/s].
    failing
        Services that miss in the last simulation, or that tightening left without enough.
    """

    plan: FleetPlan
    simulation: PlanSimulation | None
    outcome: Outcome
    rounds: int
    sized_for_rps: Mapping[str, float]
    failing: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The outcome in a sentence."""
        names = ", ".join(self.failing)
        plans = "plan" if self.rounds == 1 else "plans"
        words = {
            Outcome.HOLDS: "every service that was simulated keeps its objectives",
            Outcome.IMPOSSIBLE: f"no room or no way is left for what simulation asks for: {names}",
            Outcome.NOT_REACHED: f"these still miss their objectives in simulation: {names}",
            Outcome.NO_PLAN: "no service is served that could be simulated",
        }
        return f"simulated {self.rounds} {plans}: {words[self.outcome]}"


def verify(
    spec: FleetSpec,
    *,
    most_rounds: int = 8,
    simulation: Mapping[str, Any] | None = None,
    progress: PlanProgress | None = None,
    solve: Callable[[FleetSpec], FleetPlan] = optimize,
    stopped: Callable[[], bool] = lambda: False,
) -> VerifiedPlan:
    """Solve a fleet until its plan holds in simulation, or is shown not to.

    A service that misses is sized for more than its replicas were predicted to carry, so that it
    gets more of them, or others; its load in the simulation stays. Services that held before a
    round and whose allocation did not change are not simulated again.

    Parameters
    ----------
    spec
        The fleet.
    most_rounds
        Plans simulated at most.
    simulation
        Options of `simulate`, such as the precision.
    progress
        See `PlanProgress`.
    solve
        Makes a plan of a fleet.
    stopped
        Asked after every round whether to end with what there is.
    """
    options = dict(simulation or {})
    sized: dict[str, float] = {}
    known: dict[str, tuple[tuple[Allocation, ...], PlanSimulation]] = {}
    # Services that had too little before anything was tightened are nobody's promise.
    partial: frozenset[str] | None = None
    for turn in range(1, most_rounds + 1):
        plan = _at_own_load(solve(_sized_for(spec, sized)), spec, sized)
        if not plan.services_served:
            outcome = Outcome.IMPOSSIBLE if sized else Outcome.NO_PLAN
            return VerifiedPlan(plan, None, outcome, turn, sized, tuple(sized))
        lacking = frozenset(plan.services_partly_served) | {u.service for u in plan.unserved}
        partial = lacking if partial is None else partial
        fresh = [
            name
            for name in plan.services_served
            if name not in known or known[name][0] != _placed(plan, name)
        ]
        if fresh:
            found = simulate(
                plan, spec, services=fresh, progress=progress, stopped=stopped, **options
            )
            known |= {name: (_placed(plan, name), found) for name in fresh}
        whole = _together(plan, known)
        failing = tuple(name for name in whole.missing if name not in partial)
        starved = tuple(name for name in sized if name in lacking - partial)
        if not failing or starved or turn == most_rounds or stopped():
            outcome = Outcome.IMPOSSIBLE if starved else Outcome.NOT_REACHED
            outcome = outcome if failing or starved else Outcome.HOLDS
            return _noted(VerifiedPlan(plan, whole, outcome, turn, sized, (*failing, *starved)))
        for name in failing:
            carried = _carried(plan, name)
            sized[name] = _BEYOND * max(carried, sized.get(name, 0.0), _load(spec, name))
    raise AssertionError("the last round returns")


def _noted(verified: VerifiedPlan) -> VerifiedPlan:
    """Write the outcome into the plan's notes, by which it travels with it."""
    plan = verified.plan
    noted = plan.model_copy(update={"notes": (*plan.notes, verified.summary)})
    noted._statistics, noted._problem = plan._statistics, plan._problem
    return replace(verified, plan=noted)


def _sized_for(spec: FleetSpec, sized: Mapping[str, float]) -> FleetSpec:
    services = tuple(
        service.model_copy(
            update={"load": service.load.model_copy(update={"arrival_rate_rps": rate})}
        )
        if (rate := sized.get(service.name)) is not None
        else service
        for service in spec.services
    )
    return spec.model_copy(update={"services": services})


def _at_own_load(plan: FleetPlan, spec: FleetSpec, sized: Mapping[str, float]) -> FleetPlan:
    """Return the plan with the loads of the fleet in place of what it was sized for."""
    notes = tuple(
        f"{name}: sized for {rate:.4g} requests/s where {_load(spec, name):.4g} arrive, for it "
        f"missed its objectives in simulation with less"
        for name, rate in sized.items()
    )
    allocations = tuple(
        allocation.model_copy(
            update={
                "arrival_rate_rps": _load(spec, allocation.service),
                "admitted_rate_rps": allocation.admitted_rate_rps
                * min(_load(spec, allocation.service) / sized[allocation.service], 1.0),
            }
        )
        if allocation.service in sized
        else allocation
        for allocation in plan.allocations
    )
    changed = plan.model_copy(
        update={
            "allocations": allocations,
            "notes": (*plan.notes, *notes),
            "fleet_document": spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
        }
    )
    changed._statistics, changed._problem = plan._statistics, plan._problem
    return changed


def _load(spec: FleetSpec, name: str) -> float:
    return next(s.load.arrival_rate_rps for s in spec.services if s.name == name)


def _carried(plan: FleetPlan, name: str) -> float:
    """Return what the replicas of a service were said to carry; both pools of a pair carry it."""
    parts = plan.allocations_of(name)
    return sum(a.max_rate_rps for a in parts if a.role is not PoolRole.DECODE)


def _placed(plan: FleetPlan, name: str) -> tuple[Allocation, ...]:
    """Return what a simulation of the service depends on."""
    neutral = {"targets": (), "max_rate_rps": 0.0, "margin": None}
    return tuple(a.model_copy(update=neutral) for a in plan.allocations_of(name))


def _together(
    plan: FleetPlan, known: Mapping[str, tuple[Sequence[Allocation], PlanSimulation]]
) -> PlanSimulation:
    """Put the simulations of a plan's services together, in the plan's order."""
    last = next(iter(known.values()))[1]
    services = [
        service
        for name in plan.services_served
        for service in known[name][1].services
        if service.service == name
    ]
    return last.model_copy(update={"services": tuple(services)})
