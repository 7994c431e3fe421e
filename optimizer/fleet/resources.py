"""The shared rows of the problem: one per stated capacity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.spec.options import CapacityMode

__all__ = ["ResourceRow", "resource_rows"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ResourceRow:
    """Cards of one type, in one pool or in all.

    Parameters
    ----------
    name
        Unique, as in `H100` or `H100@us-east`.
    type, pool
        What is counted; pool None: every pool.
    capacity
        Cards available; `inf` where capacities do not bind.
    usage
        (candidates,), cards each candidate takes.
    """

    name: str
    type: str
    pool: str | None
    capacity: float
    usage: FloatArray


def resource_rows(table: CandidateTable) -> tuple[ResourceRow, ...]:
    """Return a row for every stated capacity and, without a limit, for every other (type, pool)."""
    spec, inventory = table.spec, table.inventory
    limited = spec.optimizer.capacity is CapacityMode.LIMITED
    stated = {(entry.type, entry.pool): float(entry.cards) for entry in spec.capacities}
    kinds = list(stated)
    for kind in zip(inventory.types, inventory.pools, strict=True):
        if kind not in stated and (kind[0], None) not in stated and kind not in kinds:
            kinds.append(kind)
    return tuple(
        ResourceRow(
            name=type_ if pool is None else f"{type_}@{pool}",
            type=type_,
            pool=pool,
            capacity=stated.get((type_, pool), np.inf) if limited else np.inf,
            usage=_usage(table, type_, pool),
        )
        for type_, pool in kinds
    )


def _usage(table: CandidateTable, type_: str, pool: str | None) -> FloatArray:
    counted = np.array(
        [
            own_type == type_ and pool in (None, own_pool)
            for own_type, own_pool in zip(table.inventory.types, table.inventory.pools, strict=True)
        ],
        dtype=np.bool_,
    )
    placed = table.accelerator >= 0
    return np.where(placed & counted[table.accelerator], table.cards, 0).astype(np.float64)
