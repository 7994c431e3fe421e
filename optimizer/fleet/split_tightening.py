"""Lengths mix where load is split: what a mix may not carry is found, and its rates are lowered.

Rates of length buckets add linearly in capacity, latencies of their mix do not; nor is a replica
among many what it is alone where arrivals are no Poisson process or are not routed at random.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.split_prediction import kept_rates
from optimizer.fleet.split_units import split_units, use_of
from solvers import SolveResult, Split

__all__ = ["MOST_TIGHTENINGS", "tightened"]

# Each lowers the rates of what misses an objective to where this answer's mix would keep it; what
# still misses one after so many is shown in the plan.
MOST_TIGHTENINGS = 8
# An excess up to this is the rate search's own.
_KEPT = 1e-6
# What rates are lowered to where the mix cannot be carried at any rate: its parts may be.
_HALF = 0.5


def tightened(problem: FleetProblem, result: SolveResult) -> FleetProblem | None:
    """Return the problem with lower rates where the answer's mixes break an objective.

    Returns
    -------
    FleetProblem | None
        None where every objective holds: the answer stands.
    """
    if result.x is None or result.rates is None or problem.demand is None:
        return None
    units = split_units(problem, result.x, result.rates)
    kept = kept_rates(problem.table, [use_of(problem, one) for one in units])
    factor: dict[int, float] = {}
    for one, most in zip(units, kept, strict=True):
        if one.rate > most * one.carrying * (1 + _KEPT):
            factor[one.row] = one.load * most / one.rate if most > 0 else _HALF
    return _with_lower_rates(problem, factor) if factor else None


def _with_lower_rates(problem: FleetProblem, factor: dict[int, float]) -> FleetProblem:
    arrays, demand, table = problem.arrays, problem.demand, problem.table
    assert arrays is not None
    assert arrays.split is not None
    assert demand is not None
    scale = np.ones(len(table))
    scale[list(factor)] = list(factor.values())
    split = arrays.split
    of_column = np.append(scale, 1.0)[problem.column_candidate]
    linked = (
        None
        if problem.linked is None
        else problem.linked.with_lower_rates(of_column, split.edge_column)
    )
    lowered = Split(
        **{
            **dict(split.arrays()),
            "edge_rate": split.edge_rate * of_column[split.edge_column],
            "upper": None if split.upper is None else np.ceil(split.upper / of_column),
        }
    )
    notes = [
        f"{table.spec.services[int(table.service[row])].name}: rates on "
        f"{table.inventory.names[int(table.accelerator[row])]} lowered by {1 - by:.2%}, for what "
        f"is routed there together breaks an objective at the rates of its parts"
        for row, by in factor.items()
    ]
    return dataclasses.replace(
        problem,
        arrays=dataclasses.replace(
            arrays, split=lowered, links=None if linked is None else linked.links(problem.measure)
        ),
        linked=linked,
        demand=dataclasses.replace(demand, edge_rate=demand.edge_rate * scale[demand.edge_row]),
        notes=(*problem.notes, *notes),
    )
