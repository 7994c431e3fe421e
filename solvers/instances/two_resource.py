"""Generated fleets whose options take two resources: accelerators and KV storage."""

from __future__ import annotations

import numpy as np

from solvers.instances.accelerator_market import (
    draw_penalties,
    draw_types,
    room_for,
    with_unserved,
)
from solvers.problem import AllocationProblem
from solvers.sparse_columns import SparseColumns

__all__ = ["two_resource"]

_TYPES = 10
_OPTIONS = 12


def two_resource(groups: int, *, seed: int = 0) -> AllocationProblem:
    """Return a fleet in which half the options trade accelerators for space in one shared storage.

    Parameters
    ----------
    groups
        Services, at least 1.
    seed
        Of `numpy.random.default_rng`, >= 0.

    Notes
    -----
    Drawn in this order: prices of 10 types U(0.5, 12), sorted; capability price^(1/0.95) U(0.8,
    1.25); demand log-normal (mu 1, sigma 1); types of 12 options, uniform; whether an option keeps
    its KV cache in storage, with probability 1/2; speed capability U(0.6, 1.4), times 1.5 with
    storage; storage taken, ceil(demand U(5, 40)) GB; cost round(100 price units U(0.9, 1.1)) with
    units = ceil(demand / speed). Capacity of a type: floor(0.8 used + 0.02 mean used); of the
    storage, the last of the 11 rows: floor(0.5 used), where `used` is what each service's cheapest
    option uses. The last column of a service uses nothing and costs its cheapest option times 60,
    15 or 4, chosen at random.
    """
    rng = np.random.default_rng(seed)
    shape = (groups, _OPTIONS)
    price, capability = draw_types(rng, _TYPES)
    demand = rng.lognormal(1.0, 1.0, groups)[:, None]
    types = rng.integers(0, _TYPES, shape)
    stored = rng.random(shape) < 0.5
    speed = capability[types] * rng.uniform(0.6, 1.4, shape) * np.where(stored, 1.5, 1.0)
    storage_gb = stored * np.ceil(demand * rng.uniform(5, 40, shape))
    units = np.ceil(demand / speed)
    cost = np.round(100 * price[types] * units * rng.uniform(0.9, 1.1, shape))
    all_costs, group = with_unserved(cost, draw_penalties(rng, groups))
    service = np.arange(groups)
    cheapest = cost.argmin(1)
    used = np.bincount(types[service, cheapest], weights=units[service, cheapest], minlength=_TYPES)
    storage = np.floor(0.5 * storage_gb[service, cheapest].sum())
    columns = (service[:, None] * (_OPTIONS + 1) + np.arange(_OPTIONS)).ravel()
    usage = SparseColumns.from_triplets(
        (_TYPES + 1, groups * (_OPTIONS + 1)),
        rows=np.concatenate([types.ravel(), np.full(groups * _OPTIONS, _TYPES)]),
        columns=np.concatenate([columns, columns]),
        values=np.concatenate([units.ravel(), storage_gb.ravel()]),
    )
    return AllocationProblem(all_costs, usage, np.append(room_for(used), storage), group)
