"""What a service is sized for, and a fleet with such loads and today's replicas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.control.spec import Variant
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.lengths import LengthDistributionSpec, LengthsSpec, mean_length
from optimizer.spec.service import CurrentAllocationSpec, LoadSpec, ServiceSpec

__all__ = ["ExpectedLoad", "fleet_with", "load_with"]


@dataclass(frozen=True, slots=True)
class ExpectedLoad:
    """What one service is sized for.

    Parameters
    ----------
    rate_rps
        Requests per second.
    input_tokens, output_tokens
        Mean lengths; None: as they were.
    """

    rate_rps: float
    input_tokens: float | None = None
    output_tokens: float | None = None


def fleet_with(
    spec: FleetSpec,
    loads: Mapping[str, ExpectedLoad],
    running: Mapping[Variant, int],
    cards: Mapping[str, int] | None,
) -> FleetSpec:
    """Return the fleet with these loads, current allocations and cards per type."""
    current: dict[str, list[CurrentAllocationSpec]] = {}
    for variant, count in running.items():
        if count > 0:
            current.setdefault(variant.service, []).append(
                CurrentAllocationSpec(
                    accelerator=variant.accelerator, replicas=count, max_batch=variant.max_batch
                )
            )
    services = tuple(
        _service_with(service, loads.get(service.name), tuple(current.get(service.name, ())))
        for service in spec.services
    )
    capacities = spec.capacities
    if cards is not None:
        capacities = tuple(
            entry.model_copy(update={"cards": min(entry.cards, cards.get(entry.type, entry.cards))})
            for entry in capacities
        )
    return spec.model_copy(update={"services": services, "capacities": capacities})


def load_with(described: LoadSpec, load: ExpectedLoad) -> LoadSpec:
    """Return a load with another rate and other mean lengths, distributed as before."""
    changes: dict[str, object] = {}
    if load.rate_rps != described.arrival_rate_rps:
        changes["arrival_rate_rps"] = load.rate_rps
    for name, mean in (
        ("input_tokens", load.input_tokens),
        ("output_tokens", None if load.output_tokens is None else max(load.output_tokens, 1.0)),
    ):
        given: LengthsSpec = getattr(described, name)
        if mean is not None and mean != mean_length(given):
            changes[name] = _scaled(given, mean)
    return described.model_copy(update=changes) if changes else described


def _service_with(
    service: ServiceSpec, load: ExpectedLoad | None, current: tuple[CurrentAllocationSpec, ...]
) -> ServiceSpec:
    update: dict[str, object] = {}
    if load is not None:
        changed = load_with(service.load, load)
        if changed is not service.load:
            update["load"] = changed
    if current != service.deployed:
        update["current"] = current or None
    return service.model_copy(update=update) if update else service


def _scaled(lengths: LengthsSpec, mean: float) -> LengthsSpec:
    """Return lengths of the same shape with another mean."""
    if not isinstance(lengths, LengthDistributionSpec):
        return mean
    if lengths.values is None:
        return lengths.model_copy(update={"mean": mean})
    factor = mean / max(mean_length(lengths), 1e-9)
    return lengths.model_copy(update={"values": tuple(v * factor for v in lengths.values)})
