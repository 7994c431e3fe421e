"""What one step of the controller saw, decided and did, in the words of the spec."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from optimizer.control.planned_load import PlannedLoad
from optimizer.control.proposal import Proposal
from optimizer.control.spec import (
    Clamp,
    ControlStatus,
    CycleDocument,
    Decision,
    FleetObservation,
    LoadForecast,
    OrderOutcome,
    ReplicaCounts,
    ServiceDecision,
    ServiceStatus,
    Variant,
    VariantTarget,
)
from optimizer.control.stabilizer import Settled

__all__ = ["Cycle", "service_decisions", "service_statuses"]


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one step saw, decided and did.

    Parameters
    ----------
    status
        The controller after it.
    decision
        What was decided.
    outcomes
        What became of the orders given.
    observation
        What was seen; None where the replicas could not be counted.
    """

    status: ControlStatus
    decision: Decision
    outcomes: tuple[OrderOutcome, ...]
    observation: FleetObservation | None

    def document(self) -> CycleDocument:
        """Return what is told of it."""
        return CycleDocument(decision=self.decision, orders=self.outcomes, status=self.status)


def service_decisions(
    *,
    observation: FleetObservation,
    forecasts: Mapping[str, LoadForecast],
    loads: Mapping[str, PlannedLoad],
    before: Mapping[Variant, int],
    targets: Mapping[Variant, int],
    settled: Mapping[str, Settled],
    proposal: Proposal | None,
    waiting: Collection[str],
    held: Clamp | None,
) -> tuple[ServiceDecision, ...]:
    """Say of every service what was seen, expected, proposed and wanted, and what held it back.

    Parameters
    ----------
    waiting
        Services of which replicas wait for cards.
    held
        What holds every change.
    """
    seen = {service.service: service for service in observation.services}
    services = []
    for name, one in settled.items():
        clamps = one.clamps
        if held is not None and any(one.target[v] != before.get(v, 0) for v in one.target):
            clamps = (*clamps, held)
        if name in waiting:
            clamps = (*clamps, Clamp.QUOTA)
        expected, planned = forecasts.get(name), loads[name].load
        services.append(
            ServiceDecision(
                service=name,
                observed_rps=seen[name].arrival_rate_rps.value if name in seen else None,
                forecast_rps=None if expected is None else expected.upper_rate_rps,
                planned_rps=0.0 if planned is None else planned.rate_rps,
                variants=tuple(
                    VariantTarget(
                        variant=variant,
                        before=before.get(variant, 0),
                        proposed=0 if proposal is None else proposal.replicas.get(variant, 0),
                        target=targets.get(variant, 0),
                    )
                    for variant in one.target
                ),
                clamps=clamps,
                served=proposal is not None and name not in proposal.unserved,
            )
        )
    return tuple(services)


def service_statuses(
    counts: ReplicaCounts, targets: Mapping[Variant, int]
) -> tuple[ServiceStatus, ...]:
    """Say of every variant where it stands."""
    there = {count.variant: count for count in counts.counts}
    return tuple(
        ServiceStatus(
            variant=variant,
            wanted=there[variant].wanted if variant in there else 0,
            ready=there[variant].ready if variant in there else 0,
            # Where nothing is decided nothing is to change: no target is not a target of zero.
            target=targets.get(variant, there[variant].wanted if variant in there else 0),
        )
        for variant in dict.fromkeys((*there, *targets))
    )
