"""The array problem of a horizon: a choice per service and period, and replicas that link them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.horizon.link_rows import LinkRows
from optimizer.fleet.horizon.replica_choices import ReplicaChoices
from optimizer.fleet.horizon.split_rows import SplitColumns, add_split
from optimizer.fleet.horizon.starting_point import StartingPoint
from optimizer.fleet.problem import penalties_of, priorities_of
from optimizer.spec.horizon import HorizonSpec
from optimizer.spec.options import PriorityMode, UnservedPolicy
from solvers import AllocationProblem

__all__ = ["HorizonProblem", "horizon_problem"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class HorizonProblem:
    """The array problem, and where in it the counts are.

    Parameters
    ----------
    choices
        Ways to serve, k of them.
    arrays
        Groups are services by period (all periods of the first service first); None where
        `impossible` says what must be served and cannot be.
    impossible
        Pairs of service and period.
    way, period
        (n,), of each column; way -1: unserved, or served by the counts of a service that splits.
    split
        Columns of z of the services that split.
    served
        (periods, services), columns of x: such a service is served; -1 where it chooses.
    serving, starting
        (periods, k), columns of z: replicas that serve, and that are started.
    moved
        (periods - 1, services), columns of z: whether a service goes over to another
        configuration; without rows where moving costs nothing.
    committed
        Columns of z by commitment.
    start, kept
        What there is before the first period, and the columns of z by its pairs: replicas of an
        entry that go on as a way.
    """

    choices: ReplicaChoices
    arrays: AllocationProblem | None
    impossible: tuple[tuple[int, int], ...]
    way: IntArray
    period: IntArray
    serving: IntArray
    starting: IntArray
    moved: IntArray
    committed: IntArray
    start: StartingPoint
    kept: IntArray
    split: SplitColumns
    served: IntArray


def horizon_problem(choices: ReplicaChoices, horizon: HorizonSpec) -> HorizonProblem:
    """Build the problem.

    With n replicas of a way that serve in period t, s started in t, d periods of delay, N needed
    and x chosen, the rows are

        n_t >= N_t x_t                                   what is chosen carries the load
        n_(t-1) + s_(t-d) - n_t >= 0                     what is missing on the right was stopped
        n_t >= sum of s_(t-d-u) for u = 0 .. up - 1      what was started stays for `up` periods
        m_t >= x_t - x_(t-1) for every way               a move, where moving costs something
        x_t = x'_t for the first and each other service  who shares replicas, does with all

    and those of `add_split` for services that split, which have one x: whether they are served;

    and the paid replicas n_t + s_t + ... + s_(t-d+1) count in every limit and price. Replicas of
    the first period are there when it begins. Instances of a commitment are paid in every period;
    beyond them the price is the usual one.

    Where the horizon begins at what runs today, its replicas go on as the ways that they can be,
    sum of h = those there are, and in the first period

        h + s_(0-d) - n_0 >= 0                           what is missing on the right was stopped
    """
    periods, ways = choices.needed.shape
    services = len(choices.spec.services)
    place, way = np.nonzero((choices.needed >= 0) & ~choices.splits[choices.service])
    owner = choices.service[way] * periods + place
    may_stay = choices.spec.optimizer.unserved is UnservedPolicy.ALLOWED
    groups = np.arange(services * periods)
    by_counts = np.intersect1d(np.flatnonzero(choices.splits), choices.service)
    counted = (by_counts[:, None] * periods + np.arange(periods)).ravel()
    missing = np.setdiff1d(groups, np.concatenate([owner, counted]))
    stays = groups if may_stay else groups[:0]
    n = len(way) + len(stays) + len(counted)
    served = np.full((periods, services), -1, dtype=np.int64)
    served[counted % periods, counted // periods] = np.arange(len(counted)) + len(way)
    serving = np.arange(periods * ways).reshape(periods, ways)
    starting = serving + periods * ways
    moves = periods - 1 if horizon.move_cost > 0 and periods > 1 else 0
    moved = np.arange(moves * services).reshape(moves, services) + 2 * periods * ways
    bought = 2 * periods * ways + moves * services
    committed = np.arange(len(horizon.commitments)) + bought
    demand = np.arange(periods * len(committed)).reshape(-1, periods) + bought + len(committed)
    start = StartingPoint.of(choices, horizon)
    kept = np.arange(len(start.pair_way)) + bought + len(committed) + demand.size
    lost = np.arange(len(start.lost)) + bought + len(committed) + demand.size + len(kept)
    split = SplitColumns.of(choices, bought + len(committed) + demand.size + len(kept) + len(lost))
    columns = bought + len(committed) + demand.size + len(kept) + len(lost) + split.size
    rows = LinkRows()
    column_of = np.full((periods, ways), -1, dtype=np.int64)
    column_of[place, way] = np.arange(len(way))
    at = rows.add(len(way), 0.0)
    rows.z(at, serving[place, way], 1.0)
    rows.x(at, np.arange(len(way)), -choices.needed[place, way])
    _share(rows, choices, column_of)
    add_split(rows, choices, split, served, serving)
    _flow(rows, horizon, serving, starting)
    if start.known:
        _first(rows, horizon, start, (kept, lost), serving, starting)
    if moves:
        first_stay = len(way) + len(counted) if may_stay else None
        _moves(rows, choices, column_of, moved, first_stay)
    paid = _paid(serving, starting, horizon.start_delay_periods)
    _limits(rows, choices, paid)
    most = np.maximum(choices.needed.max(axis=0), 0)
    upper = np.full(columns, np.inf)
    upper[serving] = upper[starting] = most
    # Nothing can have been started before the first period, nor is worth starting that is late.
    upper[starting[max(periods - horizon.start_delay_periods, 0) :]] = 0
    if not horizon.start_delay_periods and not start.known:
        upper[starting[0]] = 0
    upper[moved] = upper[split.used] = upper[split.share] = 1
    there = np.concatenate([kept, lost]) if start.known else serving[0]
    cost = _cost(choices, horizon, columns, serving, starting, paid, there)
    cost[moved] = horizon.move_cost
    _commit(rows, choices, horizon, paid, committed, demand, cost, upper)
    arrays = None
    if may_stay or not missing.size:
        strict = choices.spec.optimizer.priorities is PriorityMode.STRICT and may_stay
        penalty = penalties_of(choices.spec)[stays // periods] * horizon.period_hours
        arrays = AllocationProblem(
            np.concatenate(
                [
                    np.where((place == 0) & start.moved[way], horizon.move_cost, 0.0),
                    np.zeros(len(counted)),
                    np.zeros(len(stays)) if strict else penalty,
                ]
            ),
            np.zeros((0, n)),
            [],
            np.concatenate([owner, counted, stays]),
            priority=np.repeat(priorities_of(choices.spec), periods) if strict else None,
            unserved=np.arange(n) >= len(way) + len(counted) if may_stay else None,
            links=rows.links(n, cost, upper, ~np.isin(np.arange(columns), split.share)),
        )
    lacking = [] if may_stay else missing.tolist()
    return HorizonProblem(
        choices=choices,
        arrays=arrays,
        impossible=tuple(divmod(group, periods) for group in lacking),
        way=np.concatenate([way, np.full(n - len(way), -1, dtype=np.int64)]),
        period=np.concatenate([place, counted % periods, stays % periods]),
        serving=serving,
        starting=starting,
        moved=moved,
        committed=committed,
        start=start,
        kept=kept,
        split=split,
        served=served,
    )


def _first(
    rows: LinkRows,
    horizon: HorizonSpec,
    start: StartingPoint,
    columns: tuple[IntArray, IntArray],
    serving: IntArray,
    starting: IntArray,
) -> None:
    """Add that the first period begins at what runs today."""
    kept, lost = columns
    for entry, replicas in enumerate(start.replicas.tolist()):
        mine = np.concatenate([kept[start.pair_entry == entry], lost[start.lost == entry]])
        at = rows.add(1, replicas, replicas)
        rows.z(np.repeat(at, len(mine)), mine, 1.0)
    at = rows.add(serving.shape[1], 0.0)
    rows.z(at[start.pair_way], kept, 1.0)
    rows.z(at, serving[0], -1.0)
    if not horizon.start_delay_periods:
        rows.z(at, starting[0], 1.0)


def _flow(rows: LinkRows, horizon: HorizonSpec, serving: IntArray, starting: IntArray) -> None:
    """Add what ties a period to the one before it."""
    periods, ways = serving.shape
    delay = horizon.start_delay_periods
    for t in range(1, periods):
        at = rows.add(ways, 0.0)
        rows.z(at, serving[t - 1], 1.0)
        rows.z(at, serving[t], -1.0)
        if t >= delay:
            rows.z(at, starting[t - delay], 1.0)
    if horizon.min_up_periods == 1:
        return
    for t in range(delay, periods):
        at = rows.add(ways, 0.0)
        rows.z(at, serving[t], 1.0)
        for u in range(min(horizon.min_up_periods, t - delay + 1)):
            rows.z(at, starting[t - delay - u], -1.0)


def _share(rows: LinkRows, choices: ReplicaChoices, column_of: IntArray) -> None:
    """Add that all services of a shared candidate take it, or none; the first has its replicas."""
    for first, *others in choices.together:
        periods = np.flatnonzero(column_of[:, first] >= 0)
        for other in others:
            at = rows.add(len(periods), 0.0, 0.0)
            rows.x(at, column_of[periods, first], 1.0)
            rows.x(at, column_of[periods, other], -1.0)


def _moves(
    rows: LinkRows,
    choices: ReplicaChoices,
    column_of: IntArray,
    moved: IntArray,
    unserved: int | None,
) -> None:
    """Add that going over to another configuration is a move; being served again is none."""
    for t in range(1, len(column_of)):
        ways = np.flatnonzero(column_of[t] >= 0)
        at = rows.add(len(ways), 0.0)
        rows.z(at, moved[t - 1, choices.service[ways]], 1.0)
        rows.x(at, column_of[t, ways], -1.0)
        before = column_of[t - 1, ways]
        rows.x(at[before >= 0], before[before >= 0], 1.0)
        if unserved is not None:
            rows.x(at, unserved + choices.service[ways] * len(column_of) + t - 1, 1.0)


def _paid(serving: IntArray, starting: IntArray, delay: int) -> list[list[IntArray]]:
    """Return, by period, the columns of z (ways each) that are paid in it."""
    return [
        [serving[t], *(starting[t - u] for u in range(min(delay, t + 1)))]
        for t in range(len(serving))
    ]


def _limits(rows: LinkRows, choices: ReplicaChoices, paid: list[list[IntArray]]) -> None:
    for resource in range(len(choices.resources)):
        used = np.flatnonzero(choices.usage[resource])
        for columns in paid:
            at = np.repeat(rows.add(1, -np.inf, choices.capacity[resource]), len(used))
            for column in columns:
                rows.z(at, column[used], choices.usage[resource, used])


def _cost(
    choices: ReplicaChoices,
    horizon: HorizonSpec,
    columns: int,
    serving: IntArray,
    starting: IntArray,
    paid: list[list[IntArray]],
    there: IntArray,
) -> FloatArray:
    """Return what each z costs: time at the usual price, starts, stops of what there was and is."""
    cost = np.zeros(columns)
    price = choices.table.inventory.cost_per_hour[choices.accelerator] * choices.instances
    by_commitment = np.isin(choices.accelerator, _committed_machines(choices, horizon))
    price = np.where(by_commitment, 0.0, price) * horizon.period_hours
    for period in paid:
        for column in period:
            cost[column] += price
    cost[starting] += horizon.start_cost
    # Stops are what was there or came, less what is left at the end.
    late = max(len(serving) - horizon.start_delay_periods, 0)
    cost[there] += horizon.stop_cost
    cost[starting[:late]] += horizon.stop_cost
    cost[serving[-1]] -= horizon.stop_cost
    return cost


def _committed_machines(choices: ReplicaChoices, horizon: HorizonSpec) -> IntArray:
    names = list(choices.table.inventory.names)
    return np.array([names.index(c.accelerator) for c in horizon.commitments], dtype=np.int64)


def _commit(
    rows: LinkRows,
    choices: ReplicaChoices,
    horizon: HorizonSpec,
    paid: list[list[IntArray]],
    committed: IntArray,
    demand: IntArray,
    cost: FloatArray,
    upper: FloatArray,
) -> None:
    """Add committed instances, and what is bought on demand beside them."""
    hours = horizon.period_hours
    machines = _committed_machines(choices, horizon)
    for place, (entry, machine) in enumerate(zip(horizon.commitments, machines, strict=True)):
        here = np.flatnonzero(choices.accelerator == machine)
        for t, columns in enumerate(paid):
            at = rows.add(1, 0.0)
            rows.z(at, demand[place, t : t + 1], 1.0)
            rows.z(at, committed[place : place + 1], 1.0)
            for column in columns:
                rows.z(np.repeat(at, len(here)), column[here], -choices.instances[here])
        cost[committed[place]] = entry.cost_per_hour * hours * len(paid)
        cost[demand[place]] = choices.table.inventory.cost_per_hour[machine] * hours
        if entry.max_instances is not None:
            upper[committed[place]] = entry.max_instances
