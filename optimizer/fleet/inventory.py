"""The accelerators of a fleet with every default filled in, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.spec.accelerator import AcceleratorSpec
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Inventory"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Inventory:
    """One entry per accelerator, in the order of the spec.

    Parameters
    ----------
    names, types, pools, zones, regions
        Name, type of card and where it stands (None where nothing is said).
    cards
        Cards per instance.
    memory_gb
        Memory per instance [GB]; NaN where unknown.
    cost_per_hour
        Price per instance and hour, in the fleet's currency.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    pools: tuple[str | None, ...]
    zones: tuple[str | None, ...]
    regions: tuple[str | None, ...]
    cards: IntArray
    memory_gb: FloatArray
    cost_per_hour: FloatArray

    @classmethod
    def of(cls, spec: FleetSpec) -> Inventory:
        """Resolve the accelerators of a validated spec against the catalogue."""
        entries = [_resolve(accelerator) for accelerator in spec.accelerators]
        return cls(
            names=tuple(accelerator.name for accelerator in spec.accelerators),
            types=tuple(a.type or a.name for a in spec.accelerators),
            pools=tuple(a.pool for a in spec.accelerators),
            zones=tuple(a.zone for a in spec.accelerators),
            regions=tuple(a.region for a in spec.accelerators),
            cards=np.array([a.cards for a in spec.accelerators], dtype=np.int64),
            memory_gb=np.array([memory for memory, _ in entries], dtype=np.float64),
            cost_per_hour=np.array([cost for _, cost in entries], dtype=np.float64),
        )


def _resolve(accelerator: AcceleratorSpec) -> tuple[float, float]:
    """Return memory [GB] and price per hour of one instance; NaN where nobody knows."""
    memory, cost = accelerator.memory_gb, accelerator.cost_per_hour
    if accelerator.catalog is not None and (memory is None or cost is None):
        from optimizer.catalog import accelerator as facts_of

        facts = facts_of(accelerator.catalog)
        if memory is None and facts.memory_gb is not None:
            memory = facts.memory_gb * accelerator.cards
        if cost is None and facts.usd_per_hour is not None:
            cost = facts.usd_per_hour * accelerator.cards
    return (np.nan if memory is None else memory, np.nan if cost is None else cost)
