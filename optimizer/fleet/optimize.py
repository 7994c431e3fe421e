"""The main job: from a fleet's description to a proven plan."""

from __future__ import annotations

import hashlib
import math
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import PlanError
from optimizer.fleet.plan import (
    Allocation,
    FleetPlan,
    Provenance,
    ResourceUse,
    Stage,
    UnservedService,
)
from optimizer.fleet.prediction import predict_partial, predict_whole, target_outcomes
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.fleet.unserved import why_impossible, why_unserved
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import SaturationPolicy
from optimizer.spec.overriding import with_options
from solvers import (
    AllocationProblem,
    Feature,
    Reason,
    SolveResult,
    SolveStatistics,
    Termination,
    check,
    saturate,
    solve,
)
from solvers import get as get_solver

__all__ = ["optimize", "plan_of"]

IntArray = NDArray[np.int64]


def optimize(spec: FleetSpec, **options: Any) -> FleetPlan:
    """Decide a whole fleet.

    Parameters
    ----------
    spec
        A validated fleet, as from `optimizer.load`.
    **options
        Fields of `OptimizerSpec` that replace the fleet's own, such as `solver="milp"`,
        `queue_model="inferno-4p"`, `time_limit_s=30`, `relative_gap=1e-4`, `seed=1`.

    Returns
    -------
    FleetPlan
        Also when the fleet is infeasible or nothing was found in time: ask `plan.termination`,
        or call `plan.require()`.

    Raises
    ------
    SpecError
        If an option is unknown or out of range.
    solvers.SolverError, queue_models.QueueModelError
        If a plug-in is unknown, broken, refuses the problem or fails.
    PlanError
        If the solver's answer fails the independent check.
    """
    if options:
        spec = with_options(spec, **options)
    return plan_of(build_problem(spec))


def plan_of(problem: FleetProblem) -> FleetPlan:
    """Solve a fleet's array problem and turn the answer into a plan; see `optimize`."""
    result = _solve(problem)
    plan = _document(problem, result)
    plan._statistics = result.statistics
    plan._problem = problem
    return plan


def _solve(problem: FleetProblem) -> SolveResult:
    options = problem.table.spec.optimizer
    if problem.arrays is None:
        return SolveResult(
            termination=Termination(
                Reason.INFEASIBLE,
                detail="; ".join(why_impossible(problem.table, s) for s in problem.impossible),
            ),
            statistics=SolveStatistics(solver="candidates"),
        )
    takes_parts = (
        options.solver != "auto" and Feature.PARTIAL in get_solver(options.solver).features
    )
    own: dict[str, Any] = {}
    if takes_parts and options.saturation_policy is not SaturationPolicy.NONE:
        own = {
            "saturation_policy": options.saturation_policy.value,
            "delayed_best_effort": options.delayed_best_effort,
        }
    result = solve(
        problem.arrays,
        options.solver,
        time_limit_s=options.time_limit_s,
        relative_gap=options.relative_gap,
        seed=options.seed,
        threads=options.threads,
        **own,
    )
    if result.x is None:
        return result
    report = check(problem.arrays, result.x, result.parts)
    tolerance = 1e-6 * max(1.0, abs(report.cost))
    if not report.feasible or abs(report.cost - result.primal_bound) > tolerance:
        raise PlanError(
            f"the answer of solver '{result.statistics.solver}' fails the independent check: "
            + "; ".join(report.violations or (f"cost {report.cost}, not {result.primal_bound}",))
        )
    return result


def _with_best_effort(
    problem: FleetProblem, arrays: AllocationProblem, result: SolveResult, x: IntArray
) -> tuple[IntArray, IntArray | None]:
    """Return x and the parts taken after best effort has given out what the solver left."""
    policy = problem.table.spec.optimizer.saturation_policy
    if result.parts is not None or policy is SaturationPolicy.NONE or arrays.unserved is None:
        return x, result.parts
    return saturate(arrays, x, policy.value)


def _document(problem: FleetProblem, result: SolveResult) -> FleetPlan:
    table, options = problem.table, problem.table.spec.optimizer
    allocations: tuple[Allocation, ...] = ()
    unserved: tuple[UnservedService, ...] = ()
    resources: tuple[ResourceUse, ...] = ()
    if result.x is not None and problem.arrays is not None:
        taken = _with_best_effort(problem, problem.arrays, result, result.x)
        allocations = _allocations(problem, *taken)
        resources = _resources(problem, allocations)
        unserved = _unserved(problem, allocations, resources)
    solver = result.statistics.solver
    finite = np.isfinite
    return FleetPlan(
        fleet=table.spec.name,
        currency=table.spec.currency,
        termination=result.termination.reason,
        limit=result.termination.limit,
        detail=result.termination.detail,
        objective=options.objective.value,
        total_cost_per_hour=None
        if result.x is None
        else math.fsum(allocation.cost_per_hour for allocation in allocations),
        primal_bound=result.primal_bound if finite(result.primal_bound) else None,
        dual_bound=result.dual_bound if finite(result.dual_bound) else None,
        relative_gap=result.relative_gap if finite(result.relative_gap) else None,
        stages=tuple(
            Stage(
                priority=stage.priority,
                unserved=stage.value,
                unserved_at_least=stage.dual_bound,
                proven=stage.optimal,
            )
            for stage in result.stages
        ),
        allocations=allocations,
        unserved=unserved,
        resources=resources,
        solver=solver,
        solver_reason="; ".join(result.statistics.notes),
        queue_model=table.queue_model,
        queue_model_reason=table.queue_model_reason,
        notes=table.spec.notes,
        provenance=_provenance(problem, result),
    )


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
    """One allocation per service that got something, in the order of the spec."""
    taken = x > 0 if parts is None else (x > 0) | (parts > 0)
    chosen = [
        (int(problem.column_candidate[column]), None if parts is None else int(parts[column]))
        for column in np.flatnonzero(taken).tolist()
        if problem.column_candidate[column] >= 0
    ]
    chosen.sort(key=lambda pair: int(problem.table.service[pair[0]]))
    return tuple(_allocation(problem, row, part) for row, part in chosen)


def _allocation(problem: FleetProblem, row: int, parts: int | None) -> Allocation:
    table = problem.table
    spec = table.spec
    service = spec.services[int(table.service[row])]
    needed = int(table.replicas[row])
    replicas = needed if parts is None else min(parts, needed)
    partial = replicas < needed
    prediction = predict_partial(table, row, replicas) if partial else predict_whole(table, row)
    targets = target_outcomes(table, row, replicas, prediction)
    margins = [target.margin for target in targets]
    share = replicas / needed if partial else 1.0
    placed = table.accelerator[row] >= 0
    per_class = {entry.name: entry.priority for entry in spec.classes}
    return Allocation(
        service=service.name,
        model=service.model,
        service_class=service.service_class,
        priority=per_class[service.service_class],
        accelerator=table.inventory.names[int(table.accelerator[row])] if placed else None,
        replicas=replicas,
        replicas_needed=needed,
        instances=round(int(table.instances[row]) * share),
        cards=round(int(table.cards[row]) * share),
        max_batch=int(table.max_batch[row]) if placed else None,
        cost_per_hour=float(table.cost_per_hour[row]) * share,
        arrival_rate_rps=service.load.arrival_rate_rps,
        admitted_rate_rps=prediction.admitted_rate_rps,
        max_rate_rps=replicas * float(table.rate_per_replica_rps[row]),
        utilization=prediction.utilization,
        stable=prediction.stable,
        refused_share=prediction.refused_share,
        queueing_ms=prediction.queueing_ms,
        ttft_ms=prediction.ttft_ms,
        itl_ms=prediction.itl_ms,
        e2e_ms=prediction.e2e_ms,
        targets=targets,
        margin=None
        if not margins or None in margins
        else min(margin for margin in margins if margin is not None),
        partial=partial,
    )


def _resources(
    problem: FleetProblem, allocations: tuple[Allocation, ...]
) -> tuple[ResourceUse, ...]:
    inventory = problem.table.inventory
    kind = {
        name: (type_, pool)
        for name, type_, pool in zip(inventory.names, inventory.types, inventory.pools, strict=True)
    }
    uses = []
    for row in problem.resources:
        used = sum(
            allocation.cards
            for allocation in allocations
            if allocation.accelerator is not None
            and kind[allocation.accelerator][0] == row.type
            and row.pool in (None, kind[allocation.accelerator][1])
        )
        capacity = int(row.capacity) if np.isfinite(row.capacity) else None
        uses.append(
            ResourceUse(
                name=row.name,
                type=row.type,
                pool=row.pool,
                capacity=capacity,
                used=used,
                free=None if capacity is None else capacity - used,
            )
        )
    return tuple(uses)


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
