"""What the linked part says: purchase tiers, shared replicas, changes, lost domains."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.columns import Columns
from optimizer.fleet.linked import Linked
from optimizer.fleet.power_links import PowerRows
from optimizer.fleet.purchases import add_purchases
from optimizer.fleet.resources import ResourceRow
from optimizer.fleet.sharing_links import add_sharing
from optimizer.fleet.survival import add_survival
from optimizer.fleet.today import Today
from solvers import Split

__all__ = ["add_moves", "linked_part", "with_limits"]

FloatArray = NDArray[np.float64]


def linked_part(
    columns: Columns, split: Split | None, resources: list[ResourceRow]
) -> tuple[Linked | None, list[ResourceRow]]:
    """Return the linked part, and the resources whose rows are plain ones.

    A resource that a further column uses is a row of the linked part; None where nothing is.
    """
    linked = Linked(columns, 0 if split is None else split.edges)
    add_purchases(linked)
    add_sharing(linked)
    if split is not None:
        add_survival(linked, split)
        _add_changes(linked)
    power = PowerRows.of(linked, split)
    if power is not None:
        power.add_objective()
        linked.by_load, linked.worth = power.covered(), power.worth()
    plain = []
    for resource in resources:
        uses = linked.uses_of(resource.name)
        if power is not None and power.add_limit(resource, uses):
            continue
        if not uses:
            plain.append(resource)
            continue
        usage = columns.spread(resource.usage, resource.unserved)
        linked.add_row(resource.name, usage, uses, upper=resource.capacity)
    return (linked if linked.rows else None), plain


def with_limits(
    columns: Columns, split: Split | None, worth: FloatArray | None = None
) -> Split | None:
    """Return the split part with a most for every count: links may make more worth having.

    More of a candidate than would serve the whole load alone, and than run today, never is, but for
    the power that they draw: then so many times as many, see `Linked.worth`.
    """
    if split is None:
        return None
    table = columns.table
    today = Today.of(table)
    running = np.append(today.replicas, 0)[today.entry]
    needed = np.append(table.replicas, 1)[columns.candidate]
    if worth is not None:
        needed = np.ceil(needed * worth)
    most = np.maximum(needed, np.append(running, 1)[columns.candidate])
    return dataclasses.replace(split, upper=most.astype(np.float64))


def _add_changes(linked: Linked) -> None:
    """Count what services that split start, stop and move.

    Of every entry of today: its candidates' replicas plus stopped less started are today's.
    """
    columns, table = linked.columns, linked.columns.table
    today, prices = Today.of(table), table.spec.optimizer.transition
    counted = np.append(columns.counted, False)
    start = today.cost_of_start / prices.horizon_h
    of_column = np.append(today.entry, -1)[columns.candidate]
    if not prices_change(table):
        return
    for entry, (owner, replicas) in enumerate(
        zip(today.owner.tolist(), today.replicas.tolist(), strict=True)
    ):
        if not counted[owner]:
            continue
        name = table.spec.services[owner].name
        mine = (of_column == entry) & columns.counted[columns.owner]
        rows = columns.candidate[mine]
        started = linked.add_column(
            f"{name}: started",
            change=float(start[rows].max()) if len(rows) else 0.0,
            uses={"replicas_started": 1.0},
        )
        stopped = linked.add_column(
            f"{name}: stopped",
            change=prices.cost_per_stop / prices.horizon_h,
            upper=float(replicas),
            uses={"replicas_stopped": 1.0},
        )
        linked.add_row(
            f"{name}: today",
            mine.astype(np.float64),
            {started: -1.0, stopped: 1.0},
            lower=float(replicas),
            upper=float(replicas),
        )
    if prices.cost_per_move > 0 or prices.most_moved is not None:
        add_moves(linked)


def add_moves(linked: Linked) -> dict[int, float]:
    """Add a column for each service by counts that can be moved; return 1 for each of them."""
    columns, table = linked.columns, linked.columns.table
    prices, today = table.spec.optimizer.transition, Today.of(table)
    moves = np.append(today.moves, False)[columns.candidate] & columns.counted[columns.owner]
    known = {name: z for z, name in enumerate(linked.names)}
    found = {}
    for owner in np.unique(columns.owner[moves]).tolist():
        name = f"{table.spec.services[owner].name}: moved"
        if name in known:
            found[known[name]] = 1.0
            continue
        moved = linked.add_column(
            name,
            change=prices.cost_per_move / prices.horizon_h,
            upper=1.0,
            uses={"services_moved": 1.0},
        )
        for column in np.flatnonzero(moves & (columns.owner == owner)).tolist():
            one = np.zeros(len(moves))
            one[column] = 1.0
            most = float(max(table.replicas[columns.candidate[column]], 1))
            linked.add_row(name, one, {moved: -most}, upper=0.0)
        found[moved] = 1.0
    return found


def prices_change(table: CandidateTable) -> bool:
    """Whether the fleet's options price or limit changes from today's plan."""
    options = table.spec.optimizer
    return options.transition != type(options.transition)()
