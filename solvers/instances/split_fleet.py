"""Generated fleets with everything on: split loads, storage, transitions, pools, priorities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.instances.accelerator_market import draw_types
from solvers.links import Links
from solvers.problem import AllocationProblem, FloatArray, IntArray
from solvers.sparse_columns import SparseColumns
from solvers.split import Split

__all__ = ["split_fleet"]

_TYPES = 10
# KV caches are recomputed, kept on local devices, or on the zone's shared store: what that does to
# the rate and the price of a replica.
_KV_RATE = np.array([1.0, 1.15, 1.35])
_KV_PRICE = np.array([1.0, 1.03, 1.05])
_SHARED = 2
_COLUMNS = _TYPES * len(_KV_RATE)
# Gbyte and Gbyte/s of the shared store that a replica takes, per unit of rate.
_BYTES, _BANDWIDTH = (20.0, 200.0), (0.2, 1.0)
# One-off money of a start and of a stop, in hours of the replica's price, over the horizon.
_START, _STOP = 0.25, 0.05
# Services in clusters of three that may be pooled; what pooling does to the smallest rate.
_POOLED_SHARE, _POOL_GAIN = 0.3, 1.1
_MEMBERS = ((0, 1), (0, 2), (1, 2), (0, 1, 2))
# Share of what the cheapest choices use.
_CAPACITY, _SCARCE, _STORAGE = 1.0, 0.85, 0.6


def split_fleet(
    groups: int, *, seed: int = 0, zones: int = 1, pools: str = "yes", scarce: str = "no"
) -> AllocationProblem:
    """Return a fleet of services that split over ten types, with strict priorities.

    Parameters
    ----------
    groups
        Services, at least 1; pools are groups beside them.
    seed
        Of `numpy.random.default_rng`, >= 0.
    zones
        Zones, each with its own cards and store, >= 1.
    pools
        "yes" or "no": whether 30 % of the services may be pooled by twos and threes.
    scarce
        "yes" or "no": whether capacities are 85 % of what the cheapest choices use, so that not all
        services can be served; else all of it.

    Notes
    -----
    A service has 30 columns in its zone, ten types with three ways to keep KV caches, one of
    them on the zone's shared store, which has bytes and bandwidth; and one that leaves it
    unserved. Demand is log-normal (mu 2, sigma 1), prices and speeds are those of `fleet`.
    Rows: cards of each type and zone, bytes and bandwidth of each zone's store. Half of the
    services run one of their columns now; starts and stops cost. Three priorities.

    Raises
    ------
    ValueError
        If an option is neither "yes" nor "no".
    """
    for name, value in (("pools", pools), ("scarce", scarce)):
        if value not in ("yes", "no"):
            raise ValueError(f"{name} = {value!r}: must be 'yes' or 'no'")
    rng = np.random.default_rng(seed)
    services = _Services.draw(rng, groups, zones)
    capacity = services.capacity(_SCARCE if scarce == "yes" else _CAPACITY)
    clusters = max(int(_POOLED_SHARE * groups) // 3, 0) if pools == "yes" else 0
    return _problem(services, capacity, clusters)


@dataclass(frozen=True, slots=True, eq=False)
class _Services:
    """What is drawn: demand (S,), zone (S,), per service and column rate, price, cards, storage."""

    zones: int
    demand: FloatArray
    zone: IntArray
    rate: FloatArray
    price: FloatArray
    cards: IntArray
    stored: FloatArray
    moved: FloatArray
    running: IntArray
    priority: IntArray

    @classmethod
    def draw(cls, rng: np.random.Generator, services: int, zones: int) -> _Services:
        # The order and the shapes of these draws are the definition of the family.
        price, capability = draw_types(rng, _TYPES)
        demand = rng.lognormal(2.0, 1.0, services)
        zone = rng.integers(0, zones, services)
        zone = np.sort(zone)  # clusters of neighbours share a zone, all but a few
        speed = capability * rng.uniform(0.6, 1.4, (services, _TYPES))
        cards = rng.choice([1, 1, 1, 2, 4], (services, _TYPES))
        speed *= cards**0.95
        rate = (speed[:, :, None] * _KV_RATE).reshape(services, _COLUMNS)
        money = np.round(100 * (price * cards)[:, :, None] * _KV_PRICE).reshape(rate.shape)
        shared = np.tile(np.arange(len(_KV_RATE)) == _SHARED, _TYPES)
        stored = np.where(shared, np.ceil(rate * rng.uniform(*_BYTES, (services, 1))), 0.0)
        moved = np.where(shared, np.ceil(10 * rate * rng.uniform(*_BANDWIDTH, (services, 1))), 0.0)
        units = np.ceil(demand[:, None] / rate)
        best = (money * units).argmin(axis=1)
        own = np.where(rng.random(services) < 0.5, best, rng.integers(0, _COLUMNS, services))
        before = np.ceil(demand * rng.uniform(0.7, 1.3, services) / rate[np.arange(services), own])
        runs = rng.random(services) < 0.5
        running = np.zeros((services, _COLUMNS), dtype=np.int64)
        running[np.arange(services), own] = np.where(runs, before, 0)
        priority = rng.integers(1, 4, services)
        cards = np.repeat(cards, len(_KV_RATE), axis=1)
        return cls(zones, demand, zone, rate, money, cards, stored, moved, running, priority)

    def capacity(self, share: float) -> FloatArray:
        """Return (rows,), shares of what the cheapest columns of one kind use."""
        units = np.ceil(self.demand[:, None] / self.rate)
        service = np.arange(len(self.demand))
        best = (self.price * units).argmin(axis=1)
        taken = units[service, best]
        pool = self.zone * _TYPES + best // len(_KV_RATE)
        used = np.bincount(pool, weights=taken * self.cards[service, best],
                           minlength=self.zones * _TYPES)  # fmt: skip
        cards = np.floor(share * used + 0.02 * used.mean())
        stores = [
            np.bincount(self.zone, weights=taken * table[service, best], minlength=self.zones)
            for table in (self.stored, self.moved)
        ]
        return np.concatenate([cards, np.floor(_STORAGE * np.concatenate(stores)) + 1])


def _problem(services: _Services, capacity: FloatArray, clusters: int) -> AllocationProblem:
    """Put services and pools side by side: each a group of 30 columns, then those that drop it."""
    count = len(services.demand)
    first = np.arange(3 * clusters, step=3)
    pools = [(c, members) for c in first.tolist() for members in _MEMBERS]
    demand, rate, price, source = [services.demand], [services.rate], [services.price], []
    for c, members in pools:
        mine = c + np.array(members)
        demand.append(np.array([services.demand[mine].sum()]))
        rate.append(_POOL_GAIN * services.rate[mine].min(axis=0)[None, :])
        price.append(services.price[mine].max(axis=0)[None, :])
        source.append(int(mine[services.price[mine].sum(axis=1).argmax()]))
    like = np.concatenate([np.arange(count), np.array(source, dtype=np.int64)])
    groups = len(like)
    running = np.zeros((groups, _COLUMNS), dtype=np.int64)
    running[:count] = services.running
    pooled = np.arange(groups) < 3 * clusters
    # Columns of a group: 30 that serve; unserved (services alone); elsewhere (pooled, and pools).
    extra_unserved = np.arange(groups) < count
    extra_elsewhere = pooled | ~extra_unserved
    width = _COLUMNS + extra_unserved.astype(int) + extra_elsewhere
    start = np.concatenate([[0], np.cumsum(width)])
    serving = (start[:-1, None] + np.arange(_COLUMNS)).ravel()
    n = int(start[-1])
    unserved, elsewhere = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    unserved[start[:-1][extra_unserved] + _COLUMNS] = True
    elsewhere[start[1:][extra_elsewhere] - 1] = True
    full_price = np.concatenate(price)
    started = np.where(running > 0, 0.0, _START * full_price)
    cost = np.zeros(n)
    cost[serving] = np.round(full_price + started).ravel()
    split = Split(
        np.ones(groups, dtype=np.bool_),
        demand=np.concatenate(demand),
        owner=np.arange(groups),
        edge_item=np.repeat(np.arange(groups), _COLUMNS),
        edge_column=serving,
        edge_rate=np.concatenate(rate).ravel(),
        upper=_limits(np.concatenate(demand), np.concatenate(rate), running, serving, n),
        elsewhere=elsewhere,
    )
    return AllocationProblem(
        cost,
        _usage(services, like, serving, n),
        capacity,
        np.repeat(np.arange(groups), width),
        priority=np.append(services.priority, np.full(groups - count, 3)),
        unserved=unserved,
        split=split,
        links=_links(full_price, running, serving, n, pools, count, start),
    )


def _limits(
    demand: FloatArray, rate: FloatArray, running: IntArray, serving: IntArray, n: int
) -> FloatArray:
    upper = np.ones(n)
    upper[serving] = np.maximum(np.ceil(demand[:, None] / rate), running).ravel()
    return upper


def _usage(services: _Services, like: IntArray, serving: IntArray, n: int) -> SparseColumns:
    """Cards by type and zone, bytes and bandwidth by zone; a pool is like its largest class."""
    types = np.repeat(np.arange(_TYPES), len(_KV_RATE))
    zone = services.zone[like][:, None]
    rows = [zone * _TYPES + types]
    rows += [
        np.broadcast_to(services.zones * (_TYPES + part) + zone, rows[0].shape) for part in (0, 1)
    ]
    tables = (services.cards, services.stored, services.moved)
    return SparseColumns.from_triplets(
        (services.zones * (_TYPES + 2), n),
        rows=np.concatenate([row.ravel() for row in rows]),
        columns=np.tile(serving, 3),
        values=np.concatenate([table[like].astype(np.float64).ravel() for table in tables]),
    )


def _links(
    price: FloatArray,
    running: IntArray,
    serving: IntArray,
    n: int,
    pools: Sequence[tuple[int, tuple[int, ...]]],
    count: int,
    start: NDArray[np.int64],
) -> Links | None:
    """Price starts and stops of what runs now; let a class be in one pool or in none."""
    moving = np.flatnonzero(running.ravel())
    column, now = serving[moving], running.ravel()[moving].astype(np.float64)
    moves = len(moving)
    row = np.arange(moves)
    rows = [row, moves + row]
    columns, values = [column, column], [-np.ones(moves), np.ones(moves)]
    classes = sorted({c + member for c, members in pools for member in members})
    place = {service: 2 * moves + i for i, service in enumerate(classes)}
    inside = np.zeros(len(classes))
    pooled_row, pooled_column = [], []
    for number, (c, members) in enumerate(pools):
        for member in members:
            pooled_row.append(place[c + member])
            pooled_column.append(int(start[count + number + 1]) - 1)
            inside[place[c + member] - 2 * moves] += 1
    for service in classes:
        pooled_row.append(place[service])
        pooled_column.append(int(start[service + 1]) - 1)
    size = (2 * moves + len(classes), n)
    if not size[0]:
        return None
    money = price.ravel()[moving]
    return Links(
        np.concatenate([-now, now, inside]),
        np.concatenate([np.full(2 * moves, np.inf), inside]),
        SparseColumns.from_triplets(
            size,
            rows=np.concatenate([*rows, np.array(pooled_row, dtype=np.int64)]),
            columns=np.concatenate([*columns, np.array(pooled_column, dtype=np.int64)]),
            values=np.concatenate([*values, np.ones(len(pooled_row))]),
        ),
        SparseColumns.from_triplets(
            (size[0], 2 * moves), rows=np.arange(2 * moves), columns=np.arange(2 * moves),
            values=np.ones(2 * moves),
        ),
        cost=np.round(np.concatenate([_START * money, _STOP * money])),
        integer=np.ones(2 * moves, dtype=np.bool_),
    )  # fmt: skip
