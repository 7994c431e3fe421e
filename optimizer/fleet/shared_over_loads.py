"""Common replicas at each of several loads: busy at different times, services share them well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.inventory import Inventory
from optimizer.fleet.replica_pools import SharingSet
from optimizer.fleet.shared_sizing import SharedRows, SharedSearch

if TYPE_CHECKING:
    from optimizer.fleet.sizing import Sizing

__all__ = ["size_shared_over"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def size_shared_over(
    sizing: Sizing,
    inventory: Inventory,
    sets: Sequence[SharingSet],
    rates_rps: FloatArray,
    *,
    everywhere: bool = False,
) -> tuple[SharedRows, IntArray] | None:
    """Size the common replicas of every set for each of several loads; None where none is worth it.

    Parameters
    ----------
    sizing
        Of the services by themselves at the largest load of each, done.
    inventory
        The fleet's accelerators.
    sets
        Which services may share.
    rates_rps
        (loads, services), what is sized for at each load.
    everywhere
        Whether to keep only the candidates that serve every load.

    Returns
    -------
    tuple
        The candidates, with as many replicas as the load that wants most; and (loads, candidates)
        what each load wants, -1 where that is more than the members would need by themselves at
        their largest loads.

    Notes
    -----
    The model is asked about the requests of a set as they come together, load by load: those of
    members that are busy at different times never fill the replicas at once. One batch serves all
    loads, the best one at the load that wants most replicas.
    """
    loads, number = np.unique(rates_rps, axis=0, return_inverse=True)
    comes = np.array([[load[list(one.members)].sum() > 0 for one in sets] for load in loads])
    searches = []
    for load in loads:
        searches.append(SharedSearch(sizing, inventory, sets, load, even=True))
        searches[-1].run()
    size = np.arange(len(searches[0].replicas))
    busiest = np.array([search.replicas for search in searches]).argmax(axis=0)
    batch = np.array([search.batch for search in searches])[busiest, size]
    for search in searches:
        search.keep_to(batch)
    needed = np.array(
        [
            np.where(come[s.set_of_candidate], np.where(s.replicas > 0, s.replicas, -1), s.wanted)
            for s, come in zip(searches, comes, strict=True)
        ]
    )
    found = (batch > 0) & ((needed >= 0).all(axis=0) | (not everywhere))
    if not found.any():
        return None
    any_load = searches[0]
    any_load.replicas, any_load.batch = needed.max(axis=0), batch
    rows = any_load.rows_of(found)
    if len(loads) > 1:
        # None of them is the one that predictions are about: replicas count as full.
        rows.sizing.means["utilization"][:] = 1.0
    return rows, needed[number.ravel()][:, found]
