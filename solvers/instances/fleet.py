"""Generated fleets: services with log-normal demand on ten accelerator types."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from solvers.instances.accelerator_market import (
    draw_penalties,
    draw_types,
    room_for,
    with_unserved,
)
from solvers.problem import AllocationProblem, FloatArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["fleet", "fleet_and_next", "lumpy"]

_TYPES = 10
_OPTIONS = 12


def fleet(groups: int, *, seed: int = 0) -> AllocationProblem:
    """Return a fleet whose cheapest choices need a quarter more accelerators than there are.

    Parameters
    ----------
    groups
        Services, at least 1.
    seed
        Of `numpy.random.default_rng`, >= 0.

    Notes
    -----
    Drawn in this order: prices of 10 types U(0.5, 12), sorted; capability price^(1/0.95) U(0.8,
    1.25); demand of each service log-normal (mu 1, sigma 1); an option on every type and 2 more on
    types chosen at random; speed of an option capability U(0.6, 1.4). An option uses
    ceil(demand / speed) units of its type and costs round(100 price units U(0.9, 1.1)). Capacity of
    a type: floor(0.8 used + 0.02 mean used), where `used` is what each service's cheapest option
    uses. The last column of a service uses nothing and costs its cheapest option times 60, 15 or 4,
    chosen at random. 13 columns a service, 10 rows, one entry a column.
    """
    return _Services.draw(groups, seed=seed, sigma=1.0).problem(pack=1, fraction=0.8)


def lumpy(groups: int, *, seed: int = 0) -> AllocationProblem:
    """Return a fleet with heavy-tailed demand, units in packs of 8 and half the accelerators.

    As `fleet` with sigma 2, units rounded up to multiples of 8 and 0.5 in place of 0.8: few large
    columns decide, and the LP bound is loose.
    """
    return _Services.draw(groups, seed=seed, sigma=2.0).problem(pack=8, fraction=0.5)


def fleet_and_next(
    groups: int, *, seed: int = 0, share: float = 0.05
) -> tuple[AllocationProblem, AllocationProblem]:
    """Return a fleet, and the same with the demand of some services drawn anew.

    The others' options, and the capacities, stay: what a control loop solves next.

    Parameters
    ----------
    share
        Of the services whose demand changes, 0..1, rounded to a whole number of services; they and
        their demand are drawn by `default_rng([seed, 1])`.
    """
    services = _Services.draw(groups, seed=seed, sigma=1.0)
    random = np.random.default_rng([seed, 1])
    changed = random.choice(groups, round(share * groups), replace=False)
    demand = services.demand.copy()
    demand[changed] = random.lognormal(1.0, 1.0, len(changed))
    before = services.problem(pack=1, fraction=0.8)
    later = dataclasses.replace(services, demand=demand).problem(pack=1, fraction=0.8)
    after = AllocationProblem(later.cost, later.usage, before.capacity, later.group)
    return before, after


@dataclass(frozen=True, slots=True, eq=False)
class _Services:
    """What is drawn: prices of types, demand of services, types, speeds and noise of options."""

    price: FloatArray
    demand: FloatArray
    types: IntArray
    speed: FloatArray
    noise: FloatArray
    penalty: IntArray

    @classmethod
    def draw(cls, groups: int, *, seed: int, sigma: float) -> _Services:
        # The order and the shapes of these draws are the definition of the family: changing either
        # changes every instance.
        rng = np.random.default_rng(seed)
        price, capability = draw_types(rng, _TYPES)
        demand = rng.lognormal(1.0, sigma, groups)
        everywhere = np.tile(np.arange(_TYPES), (groups, 1))
        anywhere = rng.integers(0, _TYPES, (groups, _OPTIONS - _TYPES))
        types = np.concatenate([everywhere, anywhere], axis=1)
        speed = capability[types] * rng.uniform(0.6, 1.4, (groups, _OPTIONS))
        noise = rng.uniform(0.9, 1.1, (groups, _OPTIONS))
        return cls(price, demand, types, speed, noise, draw_penalties(rng, groups))

    def problem(self, *, pack: int, fraction: float) -> AllocationProblem:
        groups = len(self.demand)
        units = np.ceil(np.ceil(self.demand[:, None] / self.speed) / pack).astype(np.int64) * pack
        cost = np.round(100 * self.price[self.types] * units * self.noise)
        service = np.arange(groups)
        cheapest = cost.argmin(1)
        used = np.bincount(
            self.types[service, cheapest], weights=units[service, cheapest], minlength=_TYPES
        )
        costs, group = with_unserved(cost, self.penalty)
        usage = _one_entry_per_option(self.types, units)
        return AllocationProblem(costs, usage, room_for(used, fraction), group)


def _one_entry_per_option(types: np.ndarray, units: np.ndarray) -> SparseColumns:
    """Every option has one entry, the unserved column after them none: compressed as it is."""
    groups = len(types)
    width = np.tile(np.append(np.ones(_OPTIONS, dtype=np.int64), 0), groups)
    indptr = np.concatenate([[0], np.cumsum(width)])
    arrays = (indptr, types.ravel(), units.ravel().astype(np.float64))
    for array in arrays:
        array.flags.writeable = False
    return SparseColumns((_TYPES, len(width)), *arrays)
