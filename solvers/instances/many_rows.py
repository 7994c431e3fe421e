"""Generated fleets spread over zones: 200 capacity rows of two kinds."""

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

__all__ = ["many_rows"]

_ZONES = 20
_TYPES = 9
_HOMES = 3  # zones in which a service may run
_OPTIONS = 12


def many_rows(groups: int, *, seed: int = 0) -> AllocationProblem:
    """Return a fleet over 20 zones: a row per zone and type (180), and one per zone's power (20).

    Parameters
    ----------
    groups
        Services, at least 1.
    seed
        Of `numpy.random.default_rng`, >= 0.

    Notes
    -----
    Drawn in this order: prices of 9 types U(0.5, 12), sorted; capability price^(1/0.95) U(0.8,
    1.25); watts of a type, whole, uniform on 300..1000; demand log-normal (mu 1, sigma 1); first
    home zone of a service, uniform (its homes are that zone and the next two, cyclically); types of
    12 options, uniform, option k being in home k mod 3; speed capability U(0.6, 1.4); cost
    round(100 price units U(0.9, 1.1)) with units = ceil(demand / speed). An option uses its units
    in row zone * 9 + type, and units times watts in row 180 + zone. Capacity of a row: floor(0.8
    used + 0.02 mean used over the rows of its kind), where `used` is what each service's cheapest
    option uses. The last column of a service uses nothing and costs its cheapest option times 60,
    15 or 4, chosen at random.
    """
    rng = np.random.default_rng(seed)
    shape = (groups, _OPTIONS)
    price, capability = draw_types(rng, _TYPES)
    watts = rng.integers(300, 1001, _TYPES)
    demand = rng.lognormal(1.0, 1.0, groups)[:, None]
    first_home = rng.integers(0, _ZONES, groups)
    types = rng.integers(0, _TYPES, shape)
    zones = (first_home[:, None] + np.arange(_OPTIONS) % _HOMES) % _ZONES
    units = np.ceil(demand / (capability[types] * rng.uniform(0.6, 1.4, shape)))
    cost = np.round(100 * price[types] * units * rng.uniform(0.9, 1.1, shape))
    all_costs, group = with_unserved(cost, draw_penalties(rng, groups))
    columns = (np.arange(groups)[:, None] * (_OPTIONS + 1) + np.arange(_OPTIONS)).ravel()
    usage = SparseColumns.from_triplets(
        (_ZONES * _TYPES + _ZONES, groups * (_OPTIONS + 1)),
        rows=np.concatenate([(zones * _TYPES + types).ravel(), _ZONES * _TYPES + zones.ravel()]),
        columns=np.concatenate([columns, columns]),
        values=np.concatenate([units.ravel(), (units * watts[types]).ravel()]),
    )
    cheapest = np.zeros(groups * (_OPTIONS + 1))
    cheapest[np.arange(groups) * (_OPTIONS + 1) + cost.argmin(1)] = 1.0
    pools, power = np.split(usage.dot(cheapest), [_ZONES * _TYPES])
    capacity = np.concatenate([room_for(pools), room_for(power)])
    return AllocationProblem(all_costs, usage, capacity, group)
