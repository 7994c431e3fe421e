"""The array problem after a change of some services, without sizing the others anew."""

from __future__ import annotations

import dataclasses

import numpy as np

from optimizer.fleet.everyone_served import with_services
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.fleet.targets import targets_of
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.service import ServiceSpec
from optimizer.spec.service_class import TargetSpec
from solvers import AllocationProblem, SparseColumns

__all__ = ["changed_problem"]


def changed_problem(before: FleetProblem, spec: FleetSpec) -> FleetProblem:
    """Return the problem of a changed fleet, good for asking whether it has a solution.

    Parameters
    ----------
    before
        Problem of a fleet in which everyone must be served.
    spec
        The fleet with other loads, ranges or objectives; the same services, capacities and limits.

    Notes
    -----
    Where services split, are linked or may share replicas, the problem is built as a whole. Else
    the columns of services that did not change are kept, and the table is that of the fleet before.
    """
    old = before.table.spec
    changed = [
        index
        for index, (was, now) in enumerate(zip(old.services, spec.services, strict=True))
        if was != now or _targets(old, was) != _targets(spec, now)
    ]
    if not changed:
        return before
    arrays = before.arrays
    pools = any(service.replica_pool is not None for service in spec.services)
    if arrays is None or pools or arrays.split is not None or arrays.links is not None:
        return build_problem(spec)
    part = build_problem(with_services(spec, [spec.services[index] for index in changed]))
    if part.arrays is None:
        impossible = tuple(changed[index] for index in part.impossible)
        return dataclasses.replace(before, arrays=None, impossible=impossible)
    if part.arrays.split is not None or part.arrays.links is not None:
        return build_problem(spec)
    return dataclasses.replace(before, arrays=_replaced(arrays, part.arrays, changed))


def _targets(spec: FleetSpec, service: ServiceSpec) -> list[TargetSpec]:
    by_name = {entry.name: entry for entry in spec.classes}
    return list(targets_of(by_name[service.service_class], service.model))


def _replaced(
    arrays: AllocationProblem, part: AllocationProblem, changed: list[int]
) -> AllocationProblem:
    """Return the problem with the columns of some groups replaced by those of another problem."""
    kept = np.flatnonzero(~np.isin(arrays.group, changed))
    usage = arrays.usage.take(kept)
    return AllocationProblem(
        np.concatenate([arrays.cost[kept], part.cost]),
        SparseColumns.from_triplets(
            (arrays.rows, len(kept) + part.columns),
            rows=np.concatenate([usage.rows, part.usage.rows]),
            columns=np.concatenate([usage.columns, part.usage.columns + len(kept)]),
            values=np.concatenate([usage.values, part.usage.values]),
        ),
        arrays.capacity,
        np.concatenate([arrays.group[kept], np.asarray(changed, dtype=np.int64)[part.group]]),
    )
