"""What services that split add to the array problem of a horizon: shares beside their counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.horizon.link_rows import LinkRows
from optimizer.fleet.horizon.replica_choices import ReplicaChoices

__all__ = ["SplitColumns", "add_split"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SplitColumns:
    """Columns of z for the ways of services that split.

    Parameters
    ----------
    way
        (s,), their ways.
    share
        (periods, s): part of the service's load that goes to a way in a period.
    used
        (periods, s): whether any does, 0 or 1.
    size
        How many there are in all.
    """

    way: IntArray
    share: IntArray
    used: IntArray
    size: int

    @classmethod
    def of(cls, choices: ReplicaChoices, first: int) -> Self:
        """Return the columns, numbered from `first` on."""
        way = np.flatnonzero(choices.splits[choices.service])
        periods = len(choices.needed)
        share = np.arange(periods * len(way)).reshape(periods, len(way)) + first
        return cls(way, share, share + share.size, 2 * share.size)


def add_split(
    rows: LinkRows,
    choices: ReplicaChoices,
    columns: SplitColumns,
    served: IntArray,
    serving: IntArray,
) -> None:
    """Add that the replicas that serve carry the load of services that split.

    Parameters
    ----------
    served
        (periods, services), columns of x: the service is served; -1 where it chooses.
    serving
        (periods, ways), columns of z.

    Notes
    -----
    With R the rate of a replica, y the shares, u whether there are any, and spares w, the rows are

        sum of y = x                            what is served is served whole
        load y <= R (n - w u)                   by replicas beside the spares
        y <= u                                  no share without use
        sum of u <= different configurations    where that is limited
        least x <= sum of n <= most             replicas of all ways
    """
    services = choices.spec.services
    spares = np.array([service.spares for service in services])[choices.service[columns.way]]
    rate = choices.table.rate_per_replica_rps[choices.row[columns.way]]
    for t in range(len(serving)):
        load = choices.rates_rps[t, choices.service[columns.way]]
        at = rows.add(len(columns.way), 0.0)
        rows.z(at, serving[t, columns.way], rate)
        rows.z(at, columns.share[t], -load)
        rows.z(at, columns.used[t], -rate * np.where(load > 0, spares, 0))
        at = rows.add(len(columns.way), 0.0)
        rows.z(at, columns.used[t], 1.0)
        rows.z(at, columns.share[t], -1.0)
        for owner in np.unique(choices.service[columns.way]).tolist():
            mine = np.flatnonzero(choices.service[columns.way] == owner)
            at = rows.add(1, 0.0, 0.0)
            rows.z(np.repeat(at, len(mine)), columns.share[t, mine], 1.0)
            rows.x(at, served[t, [owner]], -1.0)
            limit = services[owner].max_different or choices.spec.optimizer.max_different
            if limit is not None:
                at = np.repeat(rows.add(1, -np.inf, limit), len(mine))
                rows.z(at, columns.used[t, mine], 1.0)
            allowed = services[owner].replicas
            counted = serving[t, columns.way[mine]]
            if allowed.min:
                at = rows.add(1, 0.0)
                rows.z(np.repeat(at, len(mine)), counted, 1.0)
                rows.x(at, served[t, [owner]], -allowed.min)
            if allowed.max is not None:
                rows.z(np.repeat(rows.add(1, -np.inf, allowed.max), len(mine)), counted, 1.0)
