"""Cards that replicas of a variant take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from optimizer.control.spec import ReplicaCount, Variant
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["VariantCards"]


class VariantCards:
    """Type of card and cards in a replica of every variant."""

    def __init__(self, fleet: FleetSpec) -> None:
        self._machines = {a.name: a for a in fleet.accelerators}
        self._capacities = fleet.capacities
        self._model = {s.name: s.model for s in fleet.services}
        self._instances = {
            (p.model, p.accelerator, p.configuration): p.instances for p in fleet.performance
        }

    def of(self, variant: Variant) -> tuple[str, int]:
        """Return both; one card of a type of its own for a variant that is not the fleet's."""
        machine = self._machines.get(variant.accelerator)
        if machine is None:
            return variant.accelerator, 1
        key = (self._model.get(variant.service, ""), machine.name, variant.configuration)
        return machine.type or machine.name, machine.cards * self._instances.get(key, 1)

    def left_by_strangers(
        self, counts: Iterable[ReplicaCount], beside: Mapping[str, int]
    ) -> dict[str, int]:
        """Return the cards left, of the types that replicas of no service of the fleet hold.

        Parameters
        ----------
        beside
            Cards that are held beside the replicas counted, by type.
        """
        taken = dict(beside)
        for count in counts:
            if count.variant.service not in self._model and count.holding:
                kind, cards = self.of(count.variant)
                taken[kind] = taken.get(kind, 0) + cards * count.holding
        return {
            entry.type: max(entry.cards - taken[entry.type], 0)
            for entry in sorted(self._capacities, key=lambda entry: entry.cards)
            if entry.type in taken
        }
