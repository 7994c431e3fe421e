"""Which services split over several accelerators."""

from __future__ import annotations

from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import AllocationMode
from optimizer.spec.service import ServiceSpec

__all__ = ["splits"]


def splits(spec: FleetSpec, service: ServiceSpec) -> bool:
    """Whether several accelerators may serve a service at once, as the fleet says."""
    return (service.allocation or spec.optimizer.allocation) is AllocationMode.SPLIT
