"""What is minimised: a coefficient per candidate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.spec.options import Objective

__all__ = ["objective_coefficients"]

FloatArray = NDArray[np.float64]


def objective_coefficients(table: CandidateTable) -> FloatArray:
    """Return (candidates,), the objective of taking each candidate [money/h]."""
    if table.spec.optimizer.objective is Objective.INFERNO_VALUE:
        return _inferno_value(table)
    return table.cost_per_hour


def _inferno_value(table: CandidateTable) -> FloatArray:
    """Cost of the change from today's allocation, as inferno weighs it.

    0 where nothing changes; the difference of cost on the same accelerator; else the difference
    plus a share of both costs (llm-inferno/optimizer, transition penalty 0.1). A service without
    a current allocation comes from an empty one that costs nothing.
    """
    spec, inventory = table.spec, table.inventory
    names = {name: index for index, name in enumerate(inventory.names)}
    per_replica = {(entry.model, entry.accelerator): entry.instances for entry in spec.performance}
    accelerator = np.full(len(spec.services), -1, dtype=np.int64)
    replicas = np.zeros(len(spec.services), dtype=np.int64)
    cost = np.zeros(len(spec.services))
    for index, service in enumerate(spec.services):
        current = service.current
        if current is None or current.accelerator is None:
            continue
        accelerator[index] = names[current.accelerator]
        replicas[index] = current.replicas
        if current.cost_per_hour is not None:
            cost[index] = current.cost_per_hour
        elif current.replicas:
            instances = per_replica.get((service.model, current.accelerator), 1)
            price = inventory.cost_per_hour[names[current.accelerator]]
            cost[index] = price * instances * current.replicas
    before, after = cost[table.service], table.cost_per_hour
    same = accelerator[table.service] == table.accelerator
    unchanged = same & (replicas[table.service] == table.replicas)
    penalty = np.where(same, 0.0, spec.optimizer.transition_penalty * (before + after))
    return np.where(unchanged, 0.0, penalty + after - before)
