"""What replicas hold while they exist, whoever they serve: the rows that bind at every instant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.control.spec import ReplicaCount, Variant
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.resources import resource_rows

__all__ = ["QuotaRow", "price_of_one", "quotas_of", "with_former"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# What these rows count is not held by replicas.
_OF_CHANGES = frozenset({"services_moved", "replicas_started", "replicas_stopped"})


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """One resource that replicas hold: what one of each variant takes, and how much there is."""

    name: str
    capacity: float
    per_replica: Mapping[Variant, float]


def quotas_of(table: CandidateTable, row_of: Mapping[Variant, int]) -> tuple[QuotaRow, ...]:
    """Return every limited resource that replicas of these variants hold.

    Parameters
    ----------
    table
        The candidates, with the fleet's capacities and limits.
    row_of
        Row of each variant.
    """
    found = []
    for resource in resource_rows(_one_of_each(table)):
        if resource.requirement.kind.name in _OF_CHANGES or not np.isfinite(resource.capacity):
            continue
        taken = {v: float(resource.usage[row]) for v, row in row_of.items() if resource.usage[row]}
        found.append(QuotaRow(resource.name, float(resource.capacity), taken))
    return tuple(found)


def with_former(
    rows: Sequence[QuotaRow],
    counts: Iterable[ReplicaCount],
    services: Collection[str],
    cards_of: Callable[[Variant], tuple[str, int]],
) -> tuple[QuotaRow, ...]:
    """Return the rows with what replicas hold of variants that services of the fleet had before.

    They take as much for every card as the fleet's own variants on the same accelerator.

    Parameters
    ----------
    rows
        As from `quotas_of`.
    counts
        Replicas that are there.
    services
        Names of the fleet's services; what others hold is taken from the capacities by the plan.
    cards_of
        Type of card of a variant, and cards in one replica.
    """
    known = {variant for row in rows for variant in row.per_replica}
    former = [
        count.variant
        for count in counts
        if count.holding and count.variant.service in services and count.variant not in known
    ]
    if not former:
        return tuple(rows)
    found = []
    for row in rows:
        per_card = {v.accelerator: n / cards_of(v)[1] for v, n in row.per_replica.items()}
        theirs = {
            variant: per_card[variant.accelerator] * cards_of(variant)[1]
            for variant in former
            if variant.accelerator in per_card
        }
        found.append(dataclasses.replace(row, per_replica={**row.per_replica, **theirs}))
    return tuple(found)


def price_of_one(table: CandidateTable) -> FloatArray:
    """Return (candidates,), what one replica of each costs per hour."""
    instances = _instances_of_one(table)
    price = np.where(instances > 0, table.inventory.cost_per_hour[table.accelerator], 0.0)
    return price * instances


def _one_of_each(table: CandidateTable) -> CandidateTable:
    """Return the table with one replica of every candidate."""
    instances = _instances_of_one(table)
    cards = np.where(table.accelerator >= 0, table.inventory.cards[table.accelerator], 0)
    return dataclasses.replace(
        table,
        replicas=np.ones_like(table.replicas),
        instances=instances,
        cards=cards * instances,
        cost_per_hour=price_of_one(table),
    )


def _instances_of_one(table: CandidateTable) -> IntArray:
    per = np.array([p.instances for p in table.spec.performance] or [0], dtype=np.int64)
    return np.where(table.accelerator >= 0, per[table.performance], 0)
