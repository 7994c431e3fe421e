"""A scenario of the control laboratory, made of a few words about a fleet's day."""

from __future__ import annotations

from typing import Any

from optimizer.control.spec import ScenarioSpec
from optimizer.dashboard.bodies import LabBody
from optimizer.spec import FleetSpec

__all__ = ["scenario_of"]

_S_PER_H = 3600.0
_TICK_S = 10.0
# Of the scenario: when a spike comes, how long it lasts, when replicas die.
_SPIKE_AT, _SPIKE_FOR, _LOSS_AT = 0.3, 0.08, 0.75


def scenario_of(asked: LabBody, fleet: FleetSpec) -> ScenarioSpec:
    """Return a scenario for a fleet: every service's load over the hours, a spike, a loss."""
    duration_s = asked.hours * _S_PER_H
    spike = {
        "at_s": _SPIKE_AT * duration_s,
        "for_s": _SPIKE_FOR * duration_s,
        "rate": asked.spike,
        "ramp_s": _TICK_S,
    }
    traffic: list[dict[str, Any]] = [
        {
            "service": service.name,
            "pattern": asked.pattern,
            "season_s": duration_s,
            "trough": asked.trough,
            "events": [spike] if asked.spike != 1.0 else [],
        }
        for service in fleet.services
    ]
    losses = [{"kind": "node-loss", "at_s": _LOSS_AT * duration_s, "share": asked.node_loss}]
    return ScenarioSpec.model_validate(
        {
            "name": f"{asked.hours:g} h, {asked.pattern}",
            "duration_s": duration_s,
            "tick_s": _TICK_S,
            "control": {"fleet": "fleet.yaml"},  # as a controller is where nothing else is said
            "traffic": traffic,
            "faults": losses if asked.node_loss else [],
            "baselines": asked.baselines,
        }
    )
