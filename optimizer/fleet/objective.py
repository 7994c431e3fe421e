"""What is minimised: a coefficient per candidate, and per service that stays unserved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.resources import KINDS
from optimizer.fleet.today import Today
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.objective import Objective, ObjectiveWeightsSpec, StageMeasure

__all__ = [
    "counted_kinds",
    "first_measure",
    "minimised_kinds",
    "objective_coefficients",
    "of_both_pools",
    "unserved_coefficients",
    "without_power",
]

FloatArray = NDArray[np.float64]

_KIND_OF = {"power": "power_kw", "carbon": "carbon_kg_per_hour"}


def first_measure(table: CandidateTable) -> StageMeasure | None:
    """Return what is minimised, first of several; None for inferno's value."""
    options = table.spec.optimizer
    match options.objective:
        case Objective.INFERNO_VALUE:
            return None
        case Objective.LEXICOGRAPHIC:
            return options.stages[0].minimise
        case _:
            return StageMeasure(options.objective.value)


def counted_kinds(spec: FleetSpec) -> frozenset[str]:
    """Return the kinds of resource that a limit or the objective of a fleet counts.

    Carbon counts power too.
    """
    kinds = {limit.measure.value for limit in spec.limits} | minimised_kinds(spec)
    return frozenset(kinds | ({"power_kw"} if "carbon_kg_per_hour" in kinds else set()))


def minimised_kinds(spec: FleetSpec) -> frozenset[str]:
    """Return power and carbon as kinds of resource, where the objective of a fleet counts them."""
    options = spec.optimizer
    measures: set[str] = {options.objective.value, *(s.minimise.value for s in options.stages)}
    if StageMeasure.WEIGHTED in measures and options.weights is not None:
        measures |= {name for name in ("power", "carbon") if getattr(options.weights, name) > 0}
    return frozenset(_KIND_OF[name] for name in measures if name in _KIND_OF)


def without_power(table: CandidateTable, measure: StageMeasure | None) -> FloatArray:
    """Return (candidates,), what a measure counts less the power and carbon in it."""
    match measure:
        case StageMeasure.POWER | StageMeasure.CARBON:
            return np.zeros(len(table))
        case StageMeasure.WEIGHTED:
            weights = table.spec.optimizer.weights or ObjectiveWeightsSpec()
            return weights.cost * objective_coefficients(table, StageMeasure.COST)
        case _:
            return objective_coefficients(table, measure)


def objective_coefficients(table: CandidateTable, measure: StageMeasure | None) -> FloatArray:
    """Return (candidates,), what taking all the replicas of each candidate counts for.

    Money per hour for cost, weighted, transition and inferno's value (None); kW; kg CO2e per hour.
    """
    match measure:
        case None:
            return _inferno_value(table)
        case StageMeasure.COST:
            return table.cost_per_hour + Today.of(table).cost_per_hour
        case StageMeasure.TRANSITION:
            return Today.of(table).cost_per_hour
        case StageMeasure.POWER:
            return of_both_pools(table, _KIND_OF["power"])
        case StageMeasure.CARBON:
            return of_both_pools(table, _KIND_OF["carbon"])
        case StageMeasure.WEIGHTED:
            weights = table.spec.optimizer.weights or ObjectiveWeightsSpec()
            total = weights.cost * objective_coefficients(table, StageMeasure.COST)
            for part, weight in (
                (StageMeasure.POWER, weights.power),
                (StageMeasure.CARBON, weights.carbon),
            ):
                if weight > 0:
                    total = total + weight * objective_coefficients(table, part)
            return total


def unserved_coefficients(table: CandidateTable, measure: StageMeasure | None) -> FloatArray:
    """Return (services,), what leaving each unserved counts for, apart from penalties.

    Its replicas of today are stopped.
    """
    options = table.spec.optimizer
    if measure in (None, StageMeasure.POWER, StageMeasure.CARBON):
        return np.zeros(len(table.spec.services))
    weight = 1.0
    if measure is StageMeasure.WEIGHTED and options.weights is not None:
        weight = options.weights.cost
    prices = options.transition
    return weight * Today.of(table).left * prices.cost_per_stop / prices.horizon_h


def _inferno_value(table: CandidateTable) -> FloatArray:
    """Cost of the change from today's allocation, as inferno weighs it.

    0 where nothing changes; the difference of cost on the same accelerator; else the difference
    plus a share of both costs (llm-inferno/optimizer, transition penalty 0.1). A service without
    a current allocation comes from an empty one that costs nothing.
    """
    spec, inventory = table.spec, table.inventory
    names = {name: index for index, name in enumerate(inventory.names)}
    # What runs today does not say in which configuration: the first of its accelerator.
    per_replica = {
        (entry.model, entry.accelerator): entry.instances for entry in reversed(spec.performance)
    }
    accelerator = np.full(len(spec.services), -1, dtype=np.int64)
    replicas = np.zeros(len(spec.services), dtype=np.int64)
    cost = np.zeros(len(spec.services))
    for index, service in enumerate(spec.services):
        current = service.only_current
        if current is None or current.accelerator is None:
            continue
        accelerator[index] = names[current.accelerator]
        replicas[index] = current.replicas
        if current.cost_per_hour is not None:
            cost[index] = current.cost_per_hour
        elif current.replicas:
            instances = per_replica.get((service.model, current.accelerator), 1)
            price = inventory.cost_per_hour[names[current.accelerator]]
            cost[index] = price * instances * current.replicas
    before, after = cost[table.service], table.cost_per_hour
    same = accelerator[table.service] == table.accelerator
    unchanged = same & (replicas[table.service] == table.replicas)
    penalty = np.where(same, 0.0, spec.optimizer.transition_penalty * (before + after))
    return np.where(unchanged, 0.0, penalty + after - before)


def of_both_pools(table: CandidateTable, kind: str) -> FloatArray:
    """Return (candidates,), what both pools use where prefill and decode stand apart."""
    used = np.zeros(len(table))
    for half in table.halves:
        used += KINDS[kind].of_candidates(half)
    return used
