"""Counts and rates of an answer, candidate by candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.split_prediction import LengthMoments, SplitUse

__all__ = ["SplitUnits", "split_units", "use_of"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SplitUnits:
    """One candidate in use: its replicas, and the rates of the items routed to it.

    Parameters
    ----------
    row
        Row of the candidate table.
    replicas
        Replicas bought, >= 1.
    spares
        Those of them that carry nothing.
    items, rates
        Items of the split demand, and what comes here of each [requests/s].
    edge_rates
        What one replica serves of each of these items alone [requests/s].
    """

    row: int
    replicas: int
    spares: int
    items: IntArray  # of the split demand
    rates: FloatArray
    edge_rates: FloatArray

    @property
    def carrying(self) -> int:
        """Replicas that carry the load, at least 1."""
        return max(self.replicas - self.spares, 1)

    @property
    def rate(self) -> float:
        """What comes here, all items together [requests/s]."""
        return math.fsum(self.rates)

    @property
    def load(self) -> float:
        """Replicas that it takes."""
        return math.fsum(self.rates / self.edge_rates)


def split_units(problem: FleetProblem, x: IntArray, rates: FloatArray) -> list[SplitUnits]:
    """Return what each candidate in use of every service that splits has, in column order."""
    arrays, demand = problem.arrays, problem.demand
    if arrays is None or arrays.split is None or demand is None:
        return []
    split = arrays.split
    # Items of the array problem are those of the demand whose service has a column at all.
    items = np.flatnonzero(split.groups[demand.owner])
    order = np.argsort(split.edge_column, kind="stable")
    bounds = np.searchsorted(split.edge_column[order], np.arange(arrays.columns + 1))
    parts = []
    counted = split.groups[arrays.group] & (problem.column_candidate >= 0) & (x > 0)
    for column in np.flatnonzero(counted).tolist():
        edges = order[bounds[column] : bounds[column + 1]]
        edges = edges[rates[edges] > 0]
        parts.append(
            SplitUnits(
                row=int(problem.column_candidate[column]),
                replicas=int(x[column]),
                spares=problem.table.spec.services[int(arrays.group[column])].spares,
                items=items[split.edge_item[edges]],
                rates=rates[edges],
                edge_rates=split.edge_rate[edges],
            )
        )
    return parts


def use_of(problem: FleetProblem, part: SplitUnits) -> SplitUse:
    """Return the same in the words of the queue model, with the lengths of what comes here."""
    table, demand = problem.table, problem.demand
    assert demand is not None
    service = table.spec.services[int(table.service[part.row])]
    buckets = service.length_buckets
    lengths: dict[str, LengthMoments] = {}
    if (
        buckets is not None
        and buckets.input_tokens is not None
        and buckets.output_tokens is not None
        and part.rate > 0
    ):
        row, column = np.divmod(demand.bucket[part.items], len(buckets.output_tokens))
        for name, tokens, place in (
            ("input_tokens", buckets.input_tokens, row),
            ("output_tokens", buckets.output_tokens, column),
        ):
            lengths[name] = LengthMoments.of(np.array(tokens, dtype=np.float64)[place], part.rates)
    return SplitUse(part.row, part.carrying, part.rate, part.load, **lengths)
