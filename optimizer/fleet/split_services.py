"""Which services split over several accelerators, and which are served by counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import AllocationMode
from optimizer.spec.service import ServiceSpec

__all__ = ["by_counts", "splits"]


def splits(spec: FleetSpec, service: ServiceSpec) -> bool:
    """Whether several accelerators may serve a service at once, as the fleet says."""
    return (service.allocation or spec.optimizer.allocation) is AllocationMode.SPLIT


def by_counts(table: CandidateTable) -> NDArray[np.bool_]:
    """Return (candidates,), whether a service is served by counts of replicas and shares.

    Those are the services that split and those in length buckets; the others take all the replicas
    of one candidate.
    """
    counted = np.array(
        [splits(table.spec, s) or s.length_buckets is not None for s in table.spec.services]
    )
    idle = np.zeros(len(counted), dtype=np.bool_)
    idle[table.service[table.accelerator < 0]] = True
    mine: NDArray[np.bool_] = (counted & ~idle)[table.service]
    return mine
