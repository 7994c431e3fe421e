"""Candidates of a fleet that has several loads, one after another or as may come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.pool_candidates import with_pools
from optimizer.fleet.replica_pools import sharing_sets
from optimizer.fleet.shared_candidates import with_shared
from optimizer.fleet.shared_over_loads import size_shared_over
from optimizer.fleet.sizing import size_services
from optimizer.fleet.targets import ServiceTargets
from optimizer.fleet.uncertainty.loads import with_rates
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["candidates_over"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def candidates_over(spec: FleetSpec, rates_rps: FloatArray) -> tuple[CandidateTable, IntArray]:
    """Size every service for the largest of its loads, and shared replicas for each load.

    Parameters
    ----------
    spec
        A validated fleet.
    rates_rps
        (loads, services), arrival rates.

    Returns
    -------
    tuple
        The table, and (loads, shared candidates) the replicas that each load wants of each, by the
        numbers in `CandidateTable.shared`; see `size_shared_over`.

    Raises
    ------
    queue_models.QueueModelError, ModelError
        As from `build_candidates`.
    """
    sizing, inventory = size_services(with_rates(spec, rates_rps.max(axis=0)))
    sets = sharing_sets(sizing.spec, sizing.targets)
    found = None
    if sets:
        sized_for = [ServiceTargets.of(with_rates(spec, rates)).rate_rps for rates in rates_rps]
        found = size_shared_over(sizing, inventory, sets, np.array(sized_for))
    table = with_pools(sizing.table(inventory), sizing.model)
    if found is None:
        return table, np.zeros((len(rates_rps), 0), dtype=np.int64)
    return with_shared(table, found[0], sets), found[1]
