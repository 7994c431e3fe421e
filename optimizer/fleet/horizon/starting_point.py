"""What there is before the first period: anything, or what runs today."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.horizon.replica_choices import ReplicaChoices
from optimizer.spec.horizon import HorizonSpec, HorizonStart
from optimizer.spec.service import CurrentAllocationSpec

__all__ = ["StartingPoint"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class StartingPoint:
    """Today's replicas, and the ways to serve that can go on with them.

    Parameters
    ----------
    known
        Whether the horizon begins at them; the rest is empty where it does not.
    service, entry
        Of each entry of `services[].current`, the service by index, and the entry.
    pair_entry, pair_way
        (pairs,), which entries which ways can go on with: on the same accelerator, and with the
        same maximum batch where the entry states one.
    moved
        (k,), whether taking a way first is a move: its service runs today, and not so.
    """

    known: bool
    service: tuple[int, ...]
    entry: tuple[CurrentAllocationSpec, ...]
    pair_entry: IntArray
    pair_way: IntArray
    moved: NDArray[np.bool_]

    @classmethod
    def of(cls, choices: ReplicaChoices, horizon: HorizonSpec) -> StartingPoint:
        """Match what runs today with the ways to serve."""
        known = horizon.starts_from is HorizonStart.CURRENT
        found = [
            (place, entry)
            for place, service in enumerate(choices.spec.services)
            for entry in service.deployed
            if known and entry.replicas > 0
        ]
        batch = choices.table.max_batch[choices.row]
        names = choices.table.inventory.names
        goes_on = [
            (number, way)
            for number, (place, entry) in enumerate(found)
            for way in np.flatnonzero(choices.service == place).tolist()
            if names[int(choices.accelerator[way])] == entry.accelerator
            and entry.max_batch in (None, int(batch[way]))
        ]
        moved = np.isin(choices.service, [place for place, _ in found])
        moved[[way for _, way in goes_on]] = False
        # Shared replicas stand with the first service: others' ways have none to go on with.
        pairs = [(number, way) for number, way in goes_on if choices.instances[way] > 0]
        pair_entry, pair_way = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return cls(
            known=known,
            service=tuple(place for place, _ in found),
            entry=tuple(entry for _, entry in found),
            pair_entry=pair_entry,
            pair_way=pair_way,
            moved=moved,
        )

    @property
    def replicas(self) -> IntArray:
        """Return (entries,), how many there are."""
        return np.array([entry.replicas for entry in self.entry], dtype=np.int64)

    @property
    def lost(self) -> IntArray:
        """Return the entries that no way goes on with."""
        return np.setdiff1d(np.arange(len(self.entry)), self.pair_entry)
