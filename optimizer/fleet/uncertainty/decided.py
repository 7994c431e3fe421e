"""What was decided before the load was known, held to a load that has come."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import CombinationError, PlanError
from optimizer.fleet.assembly import assemble
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.optimize import plan_of
from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.objective import Objective
from optimizer.spec.service import ReplicaRangeSpec
from solvers import (
    AllocationProblem,
    Links,
    Reason,
    SolveResult,
    SolveStatistics,
    SparseColumns,
    Split,
    Termination,
)

__all__ = ["plan_following", "plan_of_columns", "plan_with"]

IntArray = NDArray[np.int64]


def plan_of_columns(problem: FleetProblem, columns: IntArray) -> FleetPlan:
    """Return the plan that takes these columns of groups that choose, and serves no one else."""
    assert problem.arrays is not None
    taken = np.zeros(problem.arrays.columns, dtype=np.int64)
    taken[columns] = 1
    without = np.setdiff1d(problem.columns.owner, problem.columns.owner[columns])
    taken[problem.columns.unserved & np.isin(problem.columns.owner, without)] = 1
    return plan_of(dataclasses.replace(problem, arrays=_held(problem.arrays, taken)))


def plan_following(spec: FleetSpec, decided: Sequence[Allocation]) -> FleetPlan:
    """Return what a fleet's loads make of configurations that were decided, whatever there is room.

    Parameters
    ----------
    spec
        The fleet with the loads that have come.
    decided
        Allocations at other loads: where each service is, not how many replicas it has.

    Raises
    ------
    PlanError
        If a configuration cannot serve its service at this load.
    """
    problem = build_problem(spec)
    arrays = problem.arrays
    if arrays is None:
        raise PlanError("nothing can serve what must be served")
    taken = np.zeros(arrays.columns, dtype=np.int64)
    by_service = {allocation.service: allocation for allocation in decided}
    for service, entry in enumerate(spec.services):
        columns = np.flatnonzero(problem.columns.owner == service)
        mine = by_service.get(entry.name)
        found: int | None
        if mine is None:
            found = int(columns[problem.column_candidate[columns] < 0][0])
        else:
            found = _column_of(problem, columns, mine, None)
            found = _scaled_to_zero(problem, columns) if found is None else found
        if found is None:
            raise PlanError(
                f"service {entry.name!r} cannot follow its load to "
                f"{entry.load.arrival_rate_rps:.6g} requests/s where it was put"
            )
        taken[found] = 1
    cost = math.fsum(arrays.cost[taken > 0])
    result = SolveResult(
        termination=Termination(Reason.OPTIMAL, detail="follows the load"),
        primal_bound=cost,
        dual_bound=cost,
        x=taken,
        statistics=SolveStatistics(solver="decided"),
    )
    return assemble(problem, result)


def plan_with(
    spec: FleetSpec, decided: Sequence[Allocation]
) -> tuple[FleetPlan | None, tuple[str, ...]]:
    """Return the plan of a fleet whose replicas and batches were decided for other loads.

    Only the shares of services that split are left to decide.

    Parameters
    ----------
    spec
        The fleet with the loads that have come.
    decided
        All allocations.

    Returns
    -------
    tuple
        The plan, checked as every plan is, or None; and the services that what was decided cannot
        serve.

    Raises
    ------
    CombinationError
        If a service has prefill and decode pools.
    """
    by_service: dict[str, list[Allocation]] = {}
    for allocation in decided:
        if allocation.role is not PoolRole.AGGREGATED:
            raise CombinationError(
                f"service {allocation.service!r} has prefill and decode pools, whose numbers are "
                f"not held fixed over several loads; try replicas: adapt"
            )
        by_service.setdefault(allocation.service, []).append(allocation)
    problem = build_problem(_with_replicas(spec, by_service))
    if problem.arrays is None:
        return None, tuple(spec.services[service].name for service in problem.impossible)
    taken = np.zeros(problem.arrays.columns, dtype=np.int64)
    short = []
    for service, entry in enumerate(spec.services):
        columns = np.flatnonzero(problem.columns.owner == service)
        mine = by_service.get(entry.name, [])
        if not mine:
            taken[columns[problem.column_candidate[columns] < 0]] = 1
            continue
        batch = _one_batch(mine)
        for allocation in mine:
            found = _column_of(problem, columns, allocation, batch)
            if found is None:
                short.append(entry.name)
                break
            taken[found] = max(allocation.replicas, 1)
    if short:
        return None, tuple(short)
    plan = plan_of(dataclasses.replace(problem, arrays=_held(problem.arrays, taken)))
    return (plan, ()) if plan.found else (None, tuple(by_service))


def _with_replicas(spec: FleetSpec, by_service: dict[str, list[Allocation]]) -> FleetSpec:
    services = []
    for service in spec.services:
        mine = by_service.get(service.name, [])
        # Shared replicas stand with one of their services, and are those of all.
        total = sum(b.replicas for a in mine for b in by_service.get(a.replicas_of or "", [a]))
        kept = ReplicaRangeSpec(min=total, max=total) if total else service.replicas
        services.append(
            service.model_copy(
                update={"replicas": kept, "max_batch": _one_batch(mine) or service.max_batch}
            )
        )
    # Later stages of an objective would be other problems, with nothing left to decide in them.
    options = spec.optimizer.model_copy(update={"objective": Objective.COST, "stages": ()})
    return spec.model_copy(update={"services": tuple(services), "optimizer": options})


def _one_batch(mine: Sequence[Allocation]) -> int | None:
    """Return the maximum batch of all allocations of a service; None where they differ.

    Of one service's configurations with batches of their own, each takes the best within its range
    again.
    """
    batches = {allocation.max_batch for allocation in mine}
    return batches.pop() if len(batches) == 1 else None


def _column_of(
    problem: FleetProblem, columns: IntArray, allocation: Allocation, batch: int | None
) -> int | None:
    """Return the column of an allocation, with its batch where one is given."""
    for column in columns.tolist():
        row = int(problem.column_candidate[column])
        if row < 0 or not _is_place(problem.table, row, allocation):
            continue
        if batch is None or int(problem.table.max_batch[row]) == batch:
            return int(column)
    return None


def _scaled_to_zero(problem: FleetProblem, columns: IntArray) -> int | None:
    """Return the column of a service that has no requests and keeps no replica; None: it has."""
    rows = problem.column_candidate[columns]
    nowhere = columns[(rows >= 0) & (problem.table.accelerator[rows] < 0)]
    return int(nowhere[0]) if len(nowhere) else None


def _is_place(table: CandidateTable, row: int, allocation: Allocation) -> bool:
    accelerator = int(table.accelerator[row])
    if accelerator < 0 or allocation.accelerator is None:
        return accelerator < 0 and allocation.accelerator is None
    storage = allocation.storage
    stored = storage is None or float(table.reuse.ratio[row]) == storage.recompute_ratio
    if set(table.sharers_of(row)) != set(allocation.shared_with):
        return False
    return (
        table.inventory.names[accelerator] == allocation.accelerator
        and table.configuration_of(row) == allocation.configuration
        and table.store_of(row) == (None if storage is None else storage.store)
        and stored
    )


def _held(arrays: AllocationProblem, taken: IntArray) -> AllocationProblem:
    """Return the problem that takes each column so many times."""
    split = arrays.split
    counted = np.zeros(arrays.columns, dtype=np.bool_)
    if split is not None:
        counted = split.groups[arrays.group]
        given = {f.name: getattr(split, f.name) for f in dataclasses.fields(split)}
        split = Split(**{**given, "lower": taken, "upper": taken.astype(np.float64)})
    chosen = np.flatnonzero(~counted)
    links = arrays.links
    if chosen.size:
        value = np.minimum(taken[chosen], 1)
        picked = Links(
            value,
            value,
            SparseColumns.from_triplets(
                (len(chosen), arrays.columns),
                rows=np.arange(len(chosen)),
                columns=chosen,
                values=np.ones(len(chosen)),
            ),
        )
        links = picked if links is None else links.beside(picked)
    return dataclasses.replace(arrays, split=split, links=links)
