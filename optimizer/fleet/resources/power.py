"""Electrical power of the accelerators, at their predicted utilisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation
from optimizer.fleet.power_curve import power_curve
from optimizer.fleet.resources.kind import ResourceKind
from optimizer.fleet.split_services import by_counts
from optimizer.spec.options import SaturationPolicy

__all__ = ["Power"]

_W_PER_KW = 1000.0


class Power(ResourceKind):
    """Power [kW]: each accelerator's curve at the mean share of the batch in use."""

    name = "power_kw"
    unit = "kW"

    def of_candidates(self, table: CandidateTable) -> NDArray[np.float64]:
        """Return the power of all replicas; at full load where their load is not known beforehand.

        That is where leftovers may be given out in parts: full power bounds it; and where a service
        splits, whose power is counted by its loads instead, see `optimizer.fleet.load_power`.
        """
        spec = table.spec
        curves = [power_curve(a) for a in spec.accelerators]
        in_parts = spec.optimizer.saturation_policy is not SaturationPolicy.NONE
        known = np.isfinite(table.metrics.utilization) & ~by_counts(table) & (not in_parts)
        utilization = np.where(known, table.metrics.utilization, 1.0)
        watts = np.zeros(len(table))
        for place, curve in enumerate(curves):
            mine = table.accelerator == place
            if curve is not None and mine.any():
                watts[mine] = curve.watts(utilization[mine])
        return watts * table.instances / _W_PER_KW

    def per_kw(self, table: CandidateTable) -> NDArray[np.float64]:
        """Return 1."""
        return np.ones(len(table))

    def of_allocation(self, facts: FleetFacts, allocation: Allocation) -> float:
        """Return instances times the curve at the allocation's utilisation."""
        curve = power_curve(facts.machine(allocation))
        if curve is None:
            return 0.0
        utilization = 1.0 if allocation.utilization is None else allocation.utilization
        watts = float(curve.watts(np.array(utilization)))
        return facts.instances(allocation) * watts / _W_PER_KW
