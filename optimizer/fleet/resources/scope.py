"""Which services and accelerators a resource's row concerns."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.spec.accelerator import AcceleratorSpec, CapacitySpec
from optimizer.spec.limits import LimitSpec
from optimizer.spec.service import ServiceSpec

__all__ = ["Scope"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scope:
    """Accelerators by type and place, services by tenant; None: any."""

    type: str | None = None
    pool: str | None = None
    zone: str | None = None
    region: str | None = None
    tenant: str | None = None

    @classmethod
    def of(cls, entry: CapacitySpec | LimitSpec) -> Scope:
        """Read the scope of an entry of the fleet's description."""
        return cls(**{f.name: getattr(entry, f.name, None) for f in fields(cls)})

    def __str__(self) -> str:
        """Such as `region:eu,tenant:search`; "" for the whole fleet."""
        given = ((f.name, getattr(self, f.name)) for f in fields(self))
        return ",".join(f"{key}:{value}" for key, value in given if value is not None)

    def has_accelerator(self, accelerator: AcceleratorSpec) -> bool:
        """Whether what runs on an accelerator counts."""
        return (
            self.type in (None, accelerator.type or accelerator.name)
            and self.pool in (None, accelerator.pool)
            and self.zone in (None, accelerator.zone)
            and self.region in (None, accelerator.region)
        )

    def has_service(self, service: ServiceSpec) -> bool:
        """Whether what a service takes counts."""
        return self.tenant in (None, service.tenant)

    def candidates(self, table: CandidateTable) -> BoolArray:
        """Return (candidates,), which of them count; "scaled to zero" never does."""
        machines = np.array([self.has_accelerator(a) for a in table.spec.accelerators])
        owners = np.array([self.has_service(s) for s in table.spec.services])
        placed = table.accelerator >= 0
        mine: BoolArray = placed & machines[table.accelerator] & owners[table.service]
        return mine
