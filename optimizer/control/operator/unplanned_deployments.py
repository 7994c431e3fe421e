"""Deployments that are in no plan: what their replicas hold is not there for those that are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optimizer.control.kubernetes.deployments import Deployment
from optimizer.control.operator.resources import LABEL_ACCELERATOR
from optimizer.control.spec import Variant
from optimizer.control.variant_cards import VariantCards
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Holding", "UnplannedDeployments"]

Json = Mapping[str, Any]

# Resources of device plug-ins whose count is cards.
_CARDS = (
    *("nvidia.com/gpu", "amd.com/gpu", "gpu.intel.com/i915", "gpu.intel.com/xe"),
    *("habana.ai/gaudi", "google.com/tpu", "aws.amazon.com/neuron"),
)


@dataclass(frozen=True, slots=True)
class Holding:
    """What one replica of a Deployment takes.

    Parameters
    ----------
    service
        That it is, or was, of; "" where nobody says.
    kind
        Type of card.
    cards
        How many.
    """

    service: str
    kind: str
    cards: int


class UnplannedDeployments:
    """Deployments of Servers that are gone or were never valid, and those with the label.

    What a Deployment's replica takes is known from when its Server was last valid; else from the
    limits of its pods and the accelerator that the Server's entry, or the label, names.
    """

    def __init__(self) -> None:
        self._known: dict[str, Holding] = {}
        self._claims: dict[str, tuple[str, str]] = {}
        self._machines: dict[str, tuple[str, int]] = {}
        self.found: dict[str, tuple[Holding, int]] = {}
        """By Deployment, what one replica takes, and how many there are; as last seen."""

    def take(self, fleet: FleetSpec, given: Mapping[Variant, str], servers: Iterable[Json]) -> None:
        """Learn what replicas take.

        Parameters
        ----------
        given
            Deployments of the fleet's variants.
        servers
            All Servers, valid or not.
        """
        cards = VariantCards(fleet)
        self._machines = {a.name: (a.type or a.name, a.cards) for a in fleet.accelerators}
        for variant, name in given.items():
            self._known[name] = Holding(variant.service, *cards.of(variant))
        self._claims = {
            name: (server["metadata"]["name"], accelerator)
            for server in servers
            for name, accelerator in _entries(server)
        }

    def look(self, seen: Mapping[str, Deployment], planned: Collection[str]) -> None:
        """Find those that hold cards among the Deployments seen."""
        there = seen.keys() | set(planned)
        self._known = {name: one for name, one in self._known.items() if name in there}
        before, self.found = self.found, {}
        for name in sorted(seen.keys() - set(planned)):
            holding = self._known.get(name) or self._read(name, seen[name].document)
            if holding is None and seen[name].gone and name in before:
                holding = before[name][0]  # its label went with it, its pods are still there
            if holding is not None and seen[name].holding > 0:
                self.found[name] = (holding, seen[name].holding)

    def taken(self) -> dict[str, int]:
        """Return the cards that they hold, by type."""
        cards: dict[str, int] = {}
        for one, replicas in self.found.values():
            cards[one.kind] = cards.get(one.kind, 0) + one.cards * replicas
        return cards

    def words(self) -> str:
        """Return who holds what, for people."""
        return "; ".join(
            f"Deployment {name}{f' of {one.service}' if one.service else ''}: {replicas} x "
            f"{one.cards} {one.kind}"
            for name, (one, replicas) in self.found.items()
        )

    def state(self) -> dict[str, list[Any]]:
        """Return what to write down."""
        return {name: [one.service, one.kind, one.cards] for name, one in self._known.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was written down."""
        for name, (service, kind, cards) in state.items():
            self._known[str(name)] = Holding(str(service), str(kind), int(cards))

    def _read(self, name: str, document: Json) -> Holding | None:
        """Return what its own template and whoever names it say; None where nobody does."""
        labels = document.get("metadata", {}).get("labels") or {}
        service, accelerator = self._claims.get(name, ("", labels.get(LABEL_ACCELERATOR, "")))
        if not accelerator:
            return None
        kind, cards = self._machines.get(accelerator, (accelerator, 1))
        return Holding(service, kind, _limits(document) or cards)


def _entries(server: Json) -> Iterator[tuple[str, str]]:
    """Yield Deployment and accelerator of each entry that names both."""
    entries = (server.get("spec") or {}).get("deployments")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and entry.get("deployment") and entry.get("accelerator"):
            yield str(entry["deployment"]), str(entry["accelerator"])


def _limits(document: Json) -> int:
    """Return the cards that one pod is given."""
    pod = document.get("spec", {}).get("template", {}).get("spec", {})
    limits = [(c.get("resources") or {}).get("limits") or {} for c in pod.get("containers") or ()]
    return sum(
        int(str(count))
        for one in limits
        for resource, count in one.items()
        if resource in _CARDS and str(count).isdigit()
    )
