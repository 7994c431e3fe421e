"""Generated horizons: services over the periods of a day; starts cost, and last a while."""

from __future__ import annotations

import numpy as np

from solvers.instances.accelerator_market import draw_types
from solvers.links import Links
from solvers.problem import AllocationProblem, FloatArray, IntArray
from solvers.sparse_columns import SparseColumns
from solvers.split import Split

__all__ = ["horizon"]

_TYPES = 10
# One-off money of a start, in hours of the replica's price.
_START = 0.5
# Share of what the cheapest choices use in the busiest period.
_CAPACITY = 0.9


def horizon(groups: int, *, seed: int = 0, periods: int = 24, up: int = 2) -> AllocationProblem:
    """Return services that split over ten types in each of some periods of one hour.

    Parameters
    ----------
    groups
        Services, at least 1; each is a group per period.
    seed
        Of `numpy.random.default_rng`, >= 0.
    periods
        Number of periods, >= 1.
    up
        Periods for which a started replica stays at least, >= 1.

    Notes
    -----
    Prices and speeds are those of `fleet`; demand is log-normal (mu 2, sigma 1) times a daily wave
    of its own phase and a noise of 10 %. Rows: cards of each type in each period, 90 % of what the
    cheapest columns of the busiest period use. A start costs half an hour of the replica's price.
    A service that is not served costs 20 times its cheapest choice.
    """
    rng = np.random.default_rng(seed)
    # The order and the shapes of these draws are the definition of the family.
    price, capability = draw_types(rng, _TYPES)
    mean = rng.lognormal(2.0, 1.0, groups)
    phase = rng.uniform(0.0, 1.0, groups)
    rate = capability * rng.uniform(0.6, 1.4, (groups, _TYPES))
    noise = rng.uniform(0.9, 1.1, (groups, periods))
    hour = np.arange(periods) / 24
    wave = 1.0 + 0.6 * np.sin(2 * np.pi * (hour[None, :] + phase[:, None]))
    demand = mean[:, None] * wave * noise
    money = np.round(100 * price)
    units = np.ceil(demand[:, :, None] / rate[:, None, :])
    choice = (money * units).argmin(axis=2)
    taken = np.take_along_axis(units, choice[:, :, None], axis=2)[:, :, 0]
    used = np.zeros((periods, _TYPES))
    np.add.at(used, (np.tile(np.arange(periods), groups), choice.ravel()), taken.ravel())
    capacity = np.tile(np.floor(_CAPACITY * used.max(axis=0)) + 2, periods)
    width = _TYPES + 1
    cells = groups * periods
    start = np.arange(cells).reshape(groups, periods) * width
    serving = (start[:, :, None] + np.arange(_TYPES)).reshape(cells, _TYPES)
    n = cells * width
    cost, unserved = np.zeros(n), np.zeros(n, dtype=np.bool_)
    cost[serving] = money
    dropping = start.ravel() + _TYPES
    unserved[dropping] = True
    cost[dropping] = np.round(20 * (money * units).min(axis=2)).ravel()
    most = np.ceil(demand.max(axis=1)[:, None] / rate)
    upper = np.ones(n)
    upper[serving] = np.repeat(most, periods, axis=0)
    row = np.arange(periods)[None, :, None] * _TYPES + np.arange(_TYPES)
    return AllocationProblem(
        cost,
        SparseColumns.from_triplets(
            (periods * _TYPES, n),
            rows=np.broadcast_to(row, (groups, periods, _TYPES)).ravel(),
            columns=serving.ravel(),
            values=np.ones(cells * _TYPES),
        ),
        capacity,
        np.repeat(np.arange(cells), width),
        unserved=unserved,
        split=Split(
            np.ones(cells, dtype=np.bool_),
            demand=demand.ravel(),
            owner=np.arange(cells),
            edge_item=np.repeat(np.arange(cells), _TYPES),
            edge_column=serving.ravel(),
            edge_rate=np.repeat(rate, periods, axis=0).ravel(),
            upper=upper,
        ),
        links=_starts(serving.reshape(groups, periods, _TYPES), money, n, up),
    )


def _starts(serving: IntArray, money: FloatArray, n: int, up: int) -> Links:
    """Count starts, z >= x_t - x_{t-1}, and keep up what started lately, x_t >= sum of z."""
    groups, periods, types = serving.shape
    z = np.arange(groups * (periods - 1) * types).reshape(groups, periods - 1, types)
    rows = z.ravel()
    one = np.ones(len(rows))
    x_rows, x_columns = [rows, rows], [serving[:, 1:].ravel(), serving[:, :-1].ravel()]
    x_values, z_rows, z_columns, z_values = [-one, one], [rows], [rows], [one]
    total = len(rows)
    if up > 1:
        keep = total + np.arange(len(rows)).reshape(z.shape)
        x_rows.append(keep.ravel())
        x_columns.append(serving[:, 1:].ravel())
        x_values.append(one)
        for back in range(up):
            started = z[:, : periods - 1 - back]
            z_rows.append(keep[:, back:].ravel())
            z_columns.append(started.ravel())
            z_values.append(-np.ones(started.size))
        total *= 2
    shape = (total, n)
    return Links(
        np.zeros(total),
        np.full(total, np.inf),
        SparseColumns.from_triplets(
            shape, rows=np.concatenate(x_rows), columns=np.concatenate(x_columns),
            values=np.concatenate(x_values),
        ),
        SparseColumns.from_triplets(
            (total, z.size), rows=np.concatenate(z_rows), columns=np.concatenate(z_columns),
            values=np.concatenate(z_values),
        ),
        cost=np.tile(np.round(_START * money), groups * (periods - 1)),
        integer=np.ones(z.size, dtype=np.bool_),
    )  # fmt: skip
