"""Replicas that several services share: who takes a part in them, all take."""

from __future__ import annotations

import numpy as np

from optimizer.fleet.linked import Linked

__all__ = ["add_sharing"]


def add_sharing(linked: Linked) -> None:
    """Tie the columns of every shared candidate: that of the first service and of each other.

    Every service is then served once: by itself, with others, or not at all.
    """
    columns = linked.columns
    table = columns.table
    place = np.full(len(table) + 1, -1, dtype=np.int64)
    place[columns.candidate] = np.arange(len(columns.candidate))
    for rows in table.sharers.values():
        first, *others = (int(place[row]) for row in rows)
        for row, other in zip(rows[1:], others, strict=True):
            lead, member = (table.spec.services[int(table.service[r])].name for r in (rows[0], row))
            one = np.zeros(len(columns.candidate))
            one[first], one[other] = 1.0, -1.0
            linked.add_row(
                f"{member}: with {lead} on {table.place_of(row)}", one, lower=0.0, upper=0.0
            )
