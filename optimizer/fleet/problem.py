"""From the candidate table to the array problem, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import PlanError
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.columns import Columns
from optimizer.fleet.linked import Linked
from optimizer.fleet.linked_parts import linked_part, with_limits
from optimizer.fleet.objective import (
    first_measure,
    objective_coefficients,
    unserved_coefficients,
    without_power,
)
from optimizer.fleet.resources import ResourceRow, resource_rows
from optimizer.fleet.sizing import build_candidates
from optimizer.fleet.split_demand import SplitDemand, with_split_demand
from optimizer.fleet.split_problem import split_part
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.objective import StageMeasure
from optimizer.spec.options import PriorityMode, UnservedPolicy
from solvers import AllocationProblem, SparseColumns, Split

__all__ = [
    "FleetProblem",
    "build_problem",
    "column_costs",
    "penalties_of",
    "priorities_of",
    "problem_of",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Objectives [money/h] that agree to this many decimals are a tie.
_TIE_DECIMALS = 9


@dataclass(frozen=True, eq=False)
class FleetProblem:
    """The array problem with the names of its rows and columns.

    Parameters
    ----------
    table
        The candidates it was made from.
    resources
        The capacity rows, in order; those without a limit are not rows of the problem.
    rows
        (m,), index into `resources` of each row of the problem.
    columns
        What each column stands for: all the replicas of a candidate that the service needs or,
        of services that split, one replica; or that the service stays unserved.
    measure
        What is minimised; None for inferno's value.
    arrays
        The problem itself; its groups are the services. None where some service has neither a
        possible candidate nor the right to stay unserved: then the problem is infeasible, and
        `impossible` says which services make it so.
    impossible
        Services that nothing can serve though they must be served, by index.
    demand
        What the services that split demand; None where none does.
    linked
        Rows of any sign and further columns, by name; None where none is needed.
    notes
        What was changed in it since it was built, for the plan's reader.
    """

    table: CandidateTable
    resources: tuple[ResourceRow, ...]
    rows: IntArray
    columns: Columns
    measure: StageMeasure | None
    arrays: AllocationProblem | None
    impossible: tuple[int, ...]
    demand: SplitDemand | None = None
    linked: Linked | None = None
    notes: tuple[str, ...] = ()

    @property
    def column_candidate(self) -> IntArray:
        """Return (n,), row of the table that each column stands for; -1: unserved."""
        return self.columns.candidate


def build_problem(spec: FleetSpec, queue_model: str | None = None) -> FleetProblem:
    """Build the array problem of a fleet; see `build_candidates` for the arguments and errors.

    Raises
    ------
    PlanError
        If the fleet's loads are uncertain: one problem of known loads would not do for them.
    """
    if spec.uncertainty is not None:
        raise PlanError(
            "the loads of this fleet are uncertain: `fleetopt solve` and `optimize_uncertain` plan "
            "for all of them; for the loads of its services alone, remove `uncertainty`"
        )
    return problem_of(build_candidates(spec, queue_model))


def problem_of(table: CandidateTable) -> FleetProblem:
    """Build the array problem of a candidate table.

    Columns are ordered by service, then objective, then the order of the spec, so that solvers
    which break ties by position prefer what the user listed first; "unserved" comes last.
    """
    table, demand = with_split_demand(table)
    measure = first_measure(table)
    columns = _columns(table, demand, objective_coefficients(table, measure))
    services = np.arange(len(table.spec.services))
    impossible = tuple(np.setdiff1d(services, columns.owner).tolist())
    resources = resource_rows(table)
    limited = [resource for resource in resources if np.isfinite(resource.capacity)]
    arrays, linked, plain = None, None, limited
    if not impossible:
        split = None
        if demand is not None:
            priced = _priced(table.spec)
            split = split_part(table, demand, columns.candidate, columns.owner, priced)
        linked, plain = linked_part(columns, split, limited)
        if linked is not None:
            split = with_limits(columns, split, linked.worth)
        arrays = _arrays(columns, measure, plain, split, linked)
    return FleetProblem(
        table=table,
        resources=resources,
        rows=np.array([resources.index(resource) for resource in plain], dtype=np.int64),
        columns=columns,
        measure=measure,
        arrays=arrays,
        impossible=impossible,
        demand=demand,
        linked=linked,
    )


def _columns(table: CandidateTable, demand: SplitDemand | None, objective: FloatArray) -> Columns:
    options = table.spec.optimizer
    possible = table.possible
    counted = np.zeros(len(table.spec.services), dtype=np.bool_)
    if demand is not None:
        mine = np.isin(table.service[possible], demand.services)
        possible = possible[~mine | np.isin(possible, demand.rows)]
    order = np.lexsort(
        (possible, np.round(objective[possible], _TIE_DECIMALS), table.service[possible])
    )
    candidates = possible[order]
    if demand is not None:
        counted[np.intersect1d(demand.services, table.service[candidates])] = True
    services = np.arange(len(table.spec.services))
    may_stay = options.unserved is UnservedPolicy.ALLOWED
    owners = np.concatenate([table.service[candidates], services if may_stay else services[:0]])
    column_candidate = np.concatenate(
        [candidates, np.full(len(owners) - len(candidates), -1, dtype=np.int64)]
    )
    by_owner = np.argsort(owners, kind="stable")
    return Columns(table, column_candidate[by_owner], owners[by_owner], counted)


def column_costs(
    columns: Columns, measure: StageMeasure | None, linked: Linked | None = None
) -> FloatArray:
    """Return (n,), what a measure counts for each column; with the penalties of weighted ones.

    Less what the linked part counts of it: power and carbon that follow loads.
    """
    table = columns.table
    unserved = unserved_coefficients(table, measure)
    if table.spec.optimizer.priorities is PriorityMode.WEIGHTED:
        unserved = unserved + penalties_of(table.spec)
    each = columns.spread(objective_coefficients(table, measure), unserved)
    if linked is None or linked.by_load is None:
        return each
    return np.where(linked.by_load, columns.spread(without_power(table, measure)), each)


def _arrays(
    columns: Columns,
    measure: StageMeasure | None,
    resources: list[ResourceRow],
    split: Split | None,
    linked: Linked | None,
) -> AllocationProblem:
    table, owners, unserved = columns.table, columns.owner, columns.unserved
    strict = table.spec.optimizer.priorities is PriorityMode.STRICT and bool(unserved.any())
    usage = [columns.spread(resource.usage, resource.unserved) for resource in resources]
    entries = [np.flatnonzero(row) for row in usage]
    return AllocationProblem(
        cost=column_costs(columns, measure, linked),
        usage=SparseColumns.from_triplets(
            (len(resources), len(owners)),
            rows=np.repeat(np.arange(len(resources)), [len(e) for e in entries]),
            columns=np.concatenate(entries) if entries else [],
            values=np.concatenate([row[e] for row, e in zip(usage, entries, strict=True)])
            if entries
            else [],
        ),
        capacity=[resource.capacity for resource in resources],
        group=owners,
        priority=priorities_of(table.spec) if strict else None,
        unserved=unserved if unserved.any() else None,
        parts=columns.replicas if split is None and linked is None else None,
        split=split,
        links=None if linked is None else linked.links(measure),
    )


def priorities_of(spec: FleetSpec) -> IntArray:
    """Return the priority of each service."""
    by_class = {entry.name: entry.priority for entry in spec.classes}
    return np.array([by_class[s.service_class] for s in spec.services], dtype=np.int64)


def _priced(spec: FleetSpec) -> FloatArray:
    """Return what unserved load costs per service; nothing under strict priorities."""
    if spec.optimizer.priorities is PriorityMode.STRICT:
        return np.zeros(len(spec.services))
    return penalties_of(spec)


def penalties_of(spec: FleetSpec) -> FloatArray:
    """Return what leaving each service unserved costs per hour (validated to be given)."""
    default = spec.optimizer.unserved_penalty_per_hour or 0.0
    by_class = {
        entry.name: default
        if entry.unserved_penalty_per_hour is None
        else entry.unserved_penalty_per_hour
        for entry in spec.classes
    }
    return np.array([by_class[s.service_class] for s in spec.services], dtype=np.float64)
