"""Why a service got what it got where loads are uncertain: load by load, and which one binds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from optimizer.errors import PlanError
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.candidates_over_loads import candidates_at_each
from optimizer.fleet.estimates import with_estimates
from optimizer.fleet.explain import Explanation, OptionState, explain, explain_candidates
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.problem import FleetProblem, build_problem, problem_of
from optimizer.fleet.replica_pools import may_share
from optimizer.fleet.uncertainty.loads import ScenarioLoads, peak_rates, with_rates
from optimizer.fleet.uncertainty.spread_loads import SpreadLoads
from optimizer.fleet.uncertainty.uncertain_plan import UncertainPlan
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["ServiceAtLoad", "UncertainExplanation", "explain_uncertain"]

FloatArray = NDArray[np.float64]


class ServiceAtLoad(BaseModel):
    """One service at one of the loads."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    load: str
    probability: float | None = Field(description="null for peaks.")
    arrival_rate_rps: float
    replicas: int | None = Field(description="null where it has none, or the load is not served.")
    cost_per_hour: float | None
    margin: float | None = Field(description="Least margin to an objective; null where unknown.")
    cause: str = Field(default="", description="Why it is not served at this load.")


class UncertainExplanation(Explanation):
    """An explanation whose options are those at the load that binds."""

    binding_load: str
    loads: tuple[ServiceAtLoad, ...]


def explain_uncertain(
    spec: FleetSpec, service: str, plan: UncertainPlan | None = None
) -> UncertainExplanation:
    """Explain what a plan for uncertain loads gives a service.

    Parameters
    ----------
    spec
        The fleet, with `uncertainty`.
    service
        One of its services.
    plan
        Of that fleet; None: what could serve the service at each load, with the fleet to itself.

    Returns
    -------
    UncertainExplanation
        The load that binds is, in this order, the largest one at which nothing can serve the
        service, the largest that the plan serves, the largest.

    Raises
    ------
    PlanError
        If the fleet's loads are certain.
    SpecError
        If the fleet has no such service; names the nearest.
    """
    if spec.uncertainty is None:
        raise PlanError("the loads of this fleet are certain: use explain")
    spec = with_estimates(spec)
    names = [entry.name for entry in spec.services]
    loads = _loads(spec)
    # An unknown service is refused by the first explanation.
    index = names.index(service) if service in names else 0
    # A service's ways depend on its own rate alone: each rate is looked at once.
    alone: dict[float, Explanation] = {}
    problems = _Problems(spec, loads)
    for place, load in enumerate(loads):
        rate = float(load.rates_rps[index])
        if rate not in alone:
            alone[rate] = explain_candidates(problems.at(place), service)
    rates = [float(load.rates_rps[index]) for load in loads]
    held = [
        None if plan is None else _held(plan, load, service, rate)
        for load, rate in zip(loads, rates, strict=True)
    ]
    table = [
        _at_load(load, rate, service, (plan, its_plan), alone[rate])
        for load, rate, its_plan in zip(loads, rates, held, strict=True)
    ]
    binding = _binding(table, alone, held)
    load, its_plan, entry = loads[binding], held[binding], table[binding]
    shown = alone[entry.arrival_rate_rps]
    if its_plan is not None:
        shown = explain(its_plan, problems.at(binding), service)
    return UncertainExplanation(
        service=service,
        currency=shown.currency,
        verdict=_verdict(plan, entry, its_plan, shown),
        options=shown.options,
        binding_load=load.name,
        loads=tuple(table),
    )


@dataclass(frozen=True)
class _Load:
    name: str
    probability: float | None
    rates_rps: FloatArray


class _Problems:
    """The problem of every load; with common replicas where any load wants them."""

    def __init__(self, spec: FleetSpec, loads: Sequence[_Load]) -> None:
        self._spec, self._loads = spec, loads
        self._tables: list[CandidateTable] = []
        if may_share(spec):
            self._tables = list(candidates_at_each(spec, np.array([x.rates_rps for x in loads])))

    def at(self, place: int) -> FleetProblem:
        """Return the problem of a load."""
        if self._tables:
            return problem_of(self._tables[place])
        return build_problem(with_rates(self._spec, self._loads[place].rates_rps))


def _loads(spec: FleetSpec) -> list[_Load]:
    """Return the scenarios; with peaks the usual loads and every service's own peak.

    Of loads that spread, the mean ones and the highest level of each.
    """
    assert spec.uncertainty is not None
    if spec.uncertainty.spread is not None:
        spread = SpreadLoads.of(spec)
        high = _Load("high load", None, spread.levels_rps[-1])
        return [_Load("mean load", None, spread.mean_rps), high]
    if spec.uncertainty.peaks is not None:
        usual = np.array([s.load.arrival_rate_rps for s in spec.services])
        peak = np.maximum(peak_rates(spec), usual)
        return [_Load("usual load", None, usual), _Load("its peak", None, peak)]
    known = ScenarioLoads.of(spec)
    chances = known.probability.tolist()
    return [_Load(*each) for each in zip(known.names, chances, known.rates_rps, strict=True)]


def _held(plan: UncertainPlan, load: _Load, service: str, rate_rps: float) -> FleetPlan | None:
    """Return the plan that was made at a load; of peaks, one in which the service has its rate."""
    if load.probability is not None:
        return next((o.plan for o in plan.scenarios if o.name == load.name), None)
    for outcome in plan.scenarios:
        mine = () if outcome.plan is None else outcome.plan.allocations_of(service)
        if mine and mine[0].arrival_rate_rps == rate_rps:
            return outcome.plan
    return None


def _at_load(
    load: _Load, rate_rps: float, service: str, made: tuple[UncertainPlan | None, FleetPlan | None],
    alone: Explanation,
) -> ServiceAtLoad:  # fmt: skip
    """Return what a load makes of a service; `made` is the whole plan and the one at the load."""
    plan, held = made
    mine = () if held is None else held.allocations_of(service)
    cause = ""
    if not _could_serve(alone):
        cause = alone.verdict
    elif plan is not None and held is None and load.probability is not None and plan.found:
        short = next((o.short for o in plan.scenarios if o.name == load.name), ())
        others = f"not everyone is served: too few replicas of {', '.join(short)}"
        cause = "too few replicas" if service in short else others
    elif held is not None and not mine:
        cause = next((u.explanation for u in held.unserved if u.service == service), "unserved")
    margins = [a.margin for a in mine if a.margin is not None]
    return ServiceAtLoad(
        load=load.name,
        probability=load.probability,
        arrival_rate_rps=rate_rps,
        replicas=sum(a.replicas for a in mine) if mine else None,
        cost_per_hour=sum(a.cost_per_hour for a in mine) if mine else None,
        margin=min(margins, default=None),
        cause=cause,
    )


def _could_serve(alone: Explanation) -> bool:
    return any(option.state is OptionState.POSSIBLE for option in alone.options)


def _binding(
    table: list[ServiceAtLoad], alone: dict[float, Explanation], held: list[FleetPlan | None]
) -> int:
    """Return the position of the load that decides: see `explain_uncertain`."""

    def weight(place: int) -> tuple[bool, bool, float]:
        entry = table[place]
        hopeless = not _could_serve(alone[entry.arrival_rate_rps])
        return hopeless, held[place] is not None, entry.arrival_rate_rps

    return max(range(len(table)), key=weight)


def _verdict(
    plan: UncertainPlan | None, entry: ServiceAtLoad, held: FleetPlan | None, shown: Explanation
) -> str:
    """Say at which load it is decided, and what is decided there."""
    words = f"load '{entry.load}' binds ({entry.arrival_rate_rps:.6g} requests/s): {shown.verdict}"
    if plan is None or held is not None:
        return words
    if not plan.found:
        ended = f"{plan.termination}: {plan.detail}" if plan.detail else f"{plan.termination}"
        return f"{ended}; {words}"
    decided = ", ".join(
        f"{a.replicas} replica(s) on {a.accelerator} {a.configuration}".rstrip()
        for a in plan.allocations
        if a.service == shown.service and a.accelerator is not None
    )
    left = next((u.explanation for u in plan.unserved if u.service == shown.service), "unserved")
    return f"{decided or left}, and not everyone is served at any one load; {words}"
