"""The split part of the array problem, made of what services that split demand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.split_demand import SplitDemand
from optimizer.fleet.split_services import splits
from optimizer.spec.options import PartialService
from solvers import Split

__all__ = ["split_part"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def split_part(
    table: CandidateTable,
    demand: SplitDemand,
    column_candidate: IntArray,
    owners: IntArray,
    penalties: FloatArray,
) -> Split | None:
    """Return the split part; None when no group has a column to split over.

    Parameters
    ----------
    column_candidate, owners
        (n,), row of the table and service of each column; row -1: unserved.
    penalties
        (services,), what leaving each whole service unserved costs per hour.

    Notes
    -----
    With `partial_service: shed` a part of a service may stay unserved, at its share of the penalty;
    otherwise the service is served whole or not at all.
    """
    spec = table.spec
    column = np.full(len(table), -1, dtype=np.int64)
    served = np.flatnonzero(column_candidate >= 0)
    column[column_candidate[served]] = served
    groups = np.zeros(len(spec.services), dtype=np.bool_)
    groups[np.intersect1d(demand.services, owners[served])] = True
    if not groups.any():
        return None
    items = np.flatnonzero(groups[demand.owner])
    number = np.full(len(demand.owner), -1, dtype=np.int64)
    number[items] = np.arange(len(items))
    kinds, least, most = [], [], []
    for service in spec.services:
        limit = service.max_different or spec.optimizer.max_different or len(table)
        kinds.append(limit if splits(spec, service) else 1)
        least.append(service.replicas.min)
        most.append(np.inf if service.replicas.max is None else service.replicas.max)
    sheds = spec.optimizer.partial_service is PartialService.SHED and (column_candidate < 0).any()
    spares = np.array([s.spares for s in spec.services], dtype=np.int64)[owners]
    spares[column_candidate < 0] = 0
    owner, rates = demand.owner[items], table.targets.rate_rps
    per_rate = np.divide(penalties, rates, out=np.zeros(len(rates)), where=rates > 0)
    return Split(
        groups,
        demand=demand.demand[items],
        owner=owner,
        edge_item=number[demand.edge_item],
        edge_column=column[demand.edge_row],
        edge_rate=demand.edge_rate,
        spares=spares if spares.any() else None,
        unserved_cost=per_rate[owner] if sheds else None,
        most_different=kinds,
        lower_total=least,
        upper_total=most,
    )
