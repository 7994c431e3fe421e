"""The way back: from a solver's answer to a plan with names, figures and reasons."""

from __future__ import annotations

import hashlib
import math
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.allocation import allocation_of
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.objective import counted_kinds
from optimizer.fleet.plan import (
    Allocation,
    FleetPlan,
    ObjectiveStage,
    Provenance,
    ResourceUse,
    Stage,
    UnservedService,
)
from optimizer.fleet.pool_allocations import pool_allocations
from optimizer.fleet.power_words import power_words
from optimizer.fleet.prediction import predict_partial, predict_whole, target_outcomes
from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.purchases import purchases_of, with_tiers
from optimizer.fleet.replica_pools import sharing_words
from optimizer.fleet.resources import KINDS, Scope, resource_uses
from optimizer.fleet.shared_allocations import shared_allocation
from optimizer.fleet.split_assembly import split_allocations
from optimizer.fleet.transition import transition_of
from optimizer.fleet.unserved import why_unserved
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import SaturationPolicy
from solvers import AllocationProblem, Reason, SolveResult, saturate

__all__ = ["assemble"]

IntArray = NDArray[np.int64]


def _with_best_effort(
    problem: FleetProblem, arrays: AllocationProblem, result: SolveResult, x: IntArray
) -> tuple[IntArray, IntArray | None]:
    """Return x and the parts taken after best effort has given out what the solver left."""
    policy = problem.table.spec.optimizer.saturation_policy
    whole = arrays.split is not None or arrays.links is not None
    none = policy is SaturationPolicy.NONE or whole
    if result.parts is not None or none or arrays.unserved is None:
        return x, result.parts
    return saturate(arrays, x, policy.value)


def assemble(
    problem: FleetProblem,
    result: SolveResult,
    blockers: tuple[UnservedService, ...] = (),
    objective_stages: tuple[ObjectiveStage, ...] = (),
) -> FleetPlan:
    """Turn a solver's answer into a plan.

    Parameters
    ----------
    blockers
        Where the fleet is infeasible: the services that make it so.
    objective_stages
        With a lexicographic objective: what each stage reached.
    """
    table, options = problem.table, problem.table.spec.optimizer
    allocations: tuple[Allocation, ...] = ()
    unserved = blockers
    resources: tuple[ResourceUse, ...] = ()
    if result.x is not None and problem.arrays is not None:
        taken = _with_best_effort(problem, problem.arrays, result, result.x)
        allocations = _in_order(
            problem,
            (*_allocations(problem, *taken), *split_allocations(problem, result.x, result.rates)),
        )
        if problem.linked is not None and result.z is not None:
            allocations = with_tiers(problem.linked, result.z, allocations)
        resources = resource_uses(table.spec, allocations)
        unserved = _unserved(problem, allocations, resources)
    solver = result.statistics.solver
    facts = FleetFacts(table.spec)
    finite = np.isfinite
    return FleetPlan(
        fleet=table.spec.name,
        currency=table.spec.currency,
        termination=result.termination.reason,
        limit=result.termination.limit,
        detail=_detail(table.spec, result, blockers),
        objective=options.objective.value,
        total_cost_per_hour=None
        if result.x is None
        else math.fsum(allocation.cost_per_hour for allocation in allocations),
        best_effort_cost_per_hour=math.fsum(a.cost_per_hour for a in allocations if a.partial),
        primal_bound=result.primal_bound if finite(result.primal_bound) else None,
        dual_bound=result.dual_bound if finite(result.dual_bound) else None,
        relative_gap=result.relative_gap if finite(result.relative_gap) else None,
        stages=_stages(result, allocations, unserved),
        objective_stages=objective_stages,
        power_kw=_total(facts, allocations, "power_kw"),
        carbon_kg_per_hour=_total(facts, allocations, "carbon_kg_per_hour"),
        purchases=purchases_of(table.spec, allocations) if result.x is not None else (),
        transition=transition_of(facts, allocations) if result.x is not None else None,
        allocations=allocations,
        unserved=unserved,
        resources=resources,
        solver=solver,
        solver_reason="; ".join(result.statistics.notes),
        queue_model=table.queue_model,
        queue_model_reason=table.queue_model_reason,
        notes=_notes(problem),
        provenance=_provenance(problem, result),
        fleet_document=table.spec.model_dump(mode="json", by_alias=True, exclude_unset=True),
    )


def _total(facts: FleetFacts, allocations: tuple[Allocation, ...], kind: str) -> float | None:
    """Return the fleet's power or carbon, where a limit or the objective counts it."""
    spec = facts.spec
    if kind not in counted_kinds(spec):
        return None
    return KINDS[kind].used(facts, Scope(), allocations)


def _notes(problem: FleetProblem) -> tuple[str, ...]:
    spec = problem.table.spec
    policy = spec.optimizer.saturation_policy
    pools = sharing_words(spec, problem.table.targets)
    notes = (*spec.notes, *problem.notes, *pools, *power_words(problem.columns))
    arrays = problem.arrays
    if arrays is None or policy is SaturationPolicy.NONE:
        return notes
    without = f"saturation_policy {policy.value}: best effort is not given"
    if arrays.split is not None:
        shed = "partial_service: shed lets them be served in part"
        return (*notes, f"{without} where services split; {shed}")
    if arrays.links is not None:
        where = "where instances are bought in tiers, replicas shared or zones may be lost"
        return (*notes, f"{without} {where}")
    return notes


def _detail(spec: FleetSpec, result: SolveResult, blockers: tuple[UnservedService, ...]) -> str:
    if not blockers:
        change = spec.optimizer.transition
        limits = {
            name: getattr(change, name)
            for name in ("most_moved", "most_started", "most_stopped")
            if getattr(change, name) is not None
        }
        if result.termination.reason is Reason.INFEASIBLE and limits:
            said = ", ".join(f"{name}: {most}" for name, most in limits.items())
            return f"even with services unserved, no plan is within reach of today's by {said}"
        return result.termination.detail
    names = ", ".join(blocker.service for blocker in blockers)
    return f"every service must be served, and no room or no way is left for: {names}"


def _stages(
    result: SolveResult,
    allocations: tuple[Allocation, ...],
    unserved: tuple[UnservedService, ...],
) -> tuple[Stage, ...]:
    """Count what is not served whole, priority by priority, beside what is proven unavoidable.

    A solver that gives parts counts a part as served; its bounds hold for whole service all the
    more.
    """
    partly = {a.service: a.priority for a in allocations if a.partial}
    lacking = [u.priority for u in unserved] + list(partly.values())
    stages = []
    for stage in result.stages:
        count = lacking.count(stage.priority)
        least = min(stage.dual_bound, count)
        stages.append(
            Stage(
                priority=stage.priority,
                not_served_whole=count,
                at_least=max(math.ceil(least - 1e-6), 0),
                proven=count - least < 1 - 1e-6,
            )
        )
    return tuple(stages)


def _provenance(problem: FleetProblem, result: SolveResult) -> Provenance:
    spec = problem.table.spec
    options = spec.optimizer
    canonical = spec.model_dump_json(by_alias=True)
    return Provenance(
        fleetopt=version("fleetopt"),
        spec_digest=hashlib.sha256(canonical.encode()).hexdigest(),
        solver=result.statistics.solver,
        solver_version=result.statistics.version,
        queue_model=problem.table.queue_model,
        objective=options.objective.value,
        priorities=options.priorities.value,
        relative_gap=options.relative_gap,
        time_limit_s=options.time_limit_s,
        seed=options.seed,
        threads=options.threads,
    )


def _allocations(
    problem: FleetProblem, x: IntArray, parts: IntArray | None
) -> tuple[Allocation, ...]:
    """One allocation per service that got something, two with pools, in the order of the spec."""
    taken = x > 0 if parts is None else (x > 0) | (parts > 0)
    if problem.arrays is not None and problem.arrays.split is not None:
        taken &= ~problem.arrays.split.groups[problem.arrays.group]
    chosen = [
        (int(problem.column_candidate[column]), None if parts is None else int(parts[column]))
        for column in np.flatnonzero(taken).tolist()
        if problem.column_candidate[column] >= 0
    ]
    chosen.sort(key=lambda pair: int(problem.table.service[pair[0]]))
    return tuple(
        allocation
        for row, part in chosen
        for allocation in (
            (shared_allocation(problem.table, row),)
            if problem.table.shared[row] >= 0
            else (_allocation(problem, row, part),)
            if problem.table.decode.accelerator[row] < 0
            else pool_allocations(problem.table, row)
        )
    )


def _in_order(problem: FleetProblem, allocations: tuple[Allocation, ...]) -> tuple[Allocation, ...]:
    """Order by service as in the spec; the parts of one service keep their order."""
    place = {service.name: i for i, service in enumerate(problem.table.spec.services)}
    return tuple(sorted(allocations, key=lambda allocation: place[allocation.service]))


def _allocation(problem: FleetProblem, row: int, parts: int | None) -> Allocation:
    table = problem.table
    needed = int(table.replicas[row])
    in_all = max(int(table.parts[row]), 1)
    replicas = needed if parts is None or parts >= in_all else parts * needed // in_all
    partial = replicas < needed
    prediction = predict_partial(table, row, replicas) if partial else predict_whole(table, row)
    spares = 0 if partial else table.spec.services[int(table.service[row])].spares
    carrying = max(replicas - spares, 0)
    return allocation_of(
        table,
        row,
        replicas,
        needed=needed,
        prediction=prediction,
        targets=target_outcomes(table, row, carrying, prediction),
        max_rate_rps=carrying * float(table.rate_per_replica_rps[row]),
        partial=partial,
    )


def _unserved(
    problem: FleetProblem,
    allocations: tuple[Allocation, ...],
    resources: tuple[ResourceUse, ...],
) -> tuple[UnservedService, ...]:
    served = {allocation.service for allocation in allocations}
    free = {resource.name: resource.free for resource in resources}
    return tuple(
        why_unserved(problem, index, free)
        for index, service in enumerate(problem.table.spec.services)
        if service.name not in served
    )
