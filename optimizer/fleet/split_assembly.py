"""The way back for services that split: counts and rates become allocations with their routes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.allocation import allocation_of
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.plan import Allocation, BucketRoute, TargetOutcome
from optimizer.fleet.prediction import Prediction, target_outcomes
from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.split_prediction import predict_split
from optimizer.fleet.split_units import SplitUnits, split_units, use_of
from solvers import RATE_TOLERANCE

__all__ = ["split_allocations"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def split_allocations(
    problem: FleetProblem, x: IntArray, rates: FloatArray | None
) -> tuple[Allocation, ...]:
    """Return an allocation for every candidate in use of every service that splits."""
    if problem.arrays is None or problem.arrays.split is None or rates is None:
        return ()
    parts = split_units(problem, x, rates)
    uses = [use_of(problem, part) for part in parts]
    predictions = predict_split(problem.table, uses)
    by_service: dict[int, list[int]] = {}
    for i, part in enumerate(parts):
        by_service.setdefault(int(problem.table.service[part.row]), []).append(i)
    allocations = []
    for service, members in by_service.items():
        total = float(problem.table.targets.rate_rps[service])
        served = math.fsum(parts[i].rate for i in members)
        carried = math.fsum(_most(parts[i], problem.table) for i in members)
        lacking = served < total * (1.0 - 2.0 * RATE_TOLERANCE)
        for i in members:
            allocations.append(
                _allocation(problem, parts[i], predictions[i], carried, partial=lacking)
            )
    return tuple(allocations)


def _most(part: SplitUnits, table: CandidateTable) -> float:
    """Return the largest rate of the same mix that keeps every objective."""
    if part.load > 0:
        return part.rate * part.carrying / part.load
    return part.carrying * float(table.rate_per_replica_rps[part.row])


def _allocation(
    problem: FleetProblem,
    part: SplitUnits,
    prediction: Prediction,
    carried_rps: float,
    *,
    partial: bool,
) -> Allocation:
    table, row = problem.table, part.row
    total = float(table.targets.rate_rps[int(table.service[row])])
    targets = target_outcomes(table, row, part.carrying, prediction, carried_rps)
    if table.performance[row] < 0:
        # Measured rates keep the objectives by what they are; there is no figure to show.
        met = part.load <= part.carrying * (1.0 + 2.0 * RATE_TOLERANCE)
        targets = tuple(_as_measured(target, met) for target in targets)
    return allocation_of(
        table,
        row,
        part.replicas,
        needed=part.replicas,
        prediction=prediction,
        targets=targets,
        max_rate_rps=_most(part, table),
        partial=partial,
        share=part.rate / total if total > 0 else 0.0,
        routes=_routes(problem, part),
    )


def _as_measured(target: TargetOutcome, met: bool) -> TargetOutcome:
    if target.metric.is_service_rate:
        return target
    return target.model_copy(update={"value": None, "met": met, "margin": None})


def _routes(problem: FleetProblem, part: SplitUnits) -> tuple[BucketRoute, ...]:
    demand = problem.demand
    service = problem.table.spec.services[int(problem.table.service[part.row])]
    if demand is None or service.length_buckets is None:
        return ()
    columns = len(service.length_buckets.shares[0])
    routes = []
    for item, rate in zip(part.items.tolist(), part.rates.tolist(), strict=True):
        row, column = divmod(int(demand.bucket[item]), columns)
        routes.append(
            BucketRoute(
                input_row=row,
                output_column=column,
                rate_rps=rate,
                share=rate / float(demand.demand[item]),
            )
        )
    return tuple(sorted(routes, key=lambda route: (route.input_row, route.output_column)))
