"""Candidates of a fleet that has several loads, one after another or as may come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.pool_candidates import with_pools
from optimizer.fleet.replica_pools import SharingSet, sharing_sets
from optimizer.fleet.shared_candidates import with_shared
from optimizer.fleet.shared_over_loads import size_shared_over
from optimizer.fleet.shared_sizing import SharedRows
from optimizer.fleet.sizing import Sizing, size_services
from optimizer.fleet.targets import ServiceTargets
from optimizer.fleet.uncertainty.loads import with_rates
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["candidates_at_each", "candidates_over"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def candidates_over(
    spec: FleetSpec, rates_rps: FloatArray, *, everywhere: bool = False
) -> tuple[CandidateTable, IntArray]:
    """Size every service for the largest of its loads, and shared replicas for each load.

    Parameters
    ----------
    spec
        A validated fleet.
    rates_rps
        (loads, services), arrival rates.
    everywhere
        Whether shared replicas are to serve every load, in which case there are enough for it.

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
    largest = _Largest.of(spec, rates_rps)
    found = largest.shared(rates_rps, everywhere=everywhere)
    table = with_pools(largest.sizing.table(largest.inventory), largest.sizing.model)
    if found is None:
        return table, np.zeros((len(rates_rps), 0), dtype=np.int64)
    return with_shared(table, found[0], largest.sets), found[1]


def candidates_at_each(spec: FleetSpec, rates_rps: FloatArray) -> Iterator[CandidateTable]:
    """Yield the table of every load by itself, with common replicas where any load wants them.

    Parameters and errors are those of `candidates_over`.
    """
    largest = _Largest.of(spec, rates_rps)
    for rates in rates_rps:
        sizing, inventory = size_services(with_rates(spec, rates))
        table = with_pools(sizing.table(inventory), sizing.model)
        found = largest.shared([rates])
        yield table if found is None else with_shared(table, found[0], largest.sets)


@dataclass(frozen=True, eq=False)
class _Largest:
    """The services by themselves, sized for the largest of each one's loads, and who may share."""

    spec: FleetSpec
    sizing: Sizing
    inventory: Inventory
    sets: tuple[SharingSet, ...]

    @classmethod
    def of(cls, spec: FleetSpec, rates_rps: FloatArray) -> _Largest:
        sizing, inventory = size_services(with_rates(spec, rates_rps.max(axis=0)))
        return cls(spec, sizing, inventory, sharing_sets(sizing.spec, sizing.targets))

    def shared(
        self, rates_rps: Iterable[FloatArray], *, everywhere: bool = False
    ) -> tuple[SharedRows, IntArray] | None:
        """Size shared replicas for some loads; see `size_shared_over`."""
        if not self.sets:
            return None
        sized = [ServiceTargets.of(with_rates(self.spec, rates)).rate_rps for rates in rates_rps]
        return size_shared_over(
            self.sizing, self.inventory, self.sets, np.array(sized), everywhere=everywhere
        )
