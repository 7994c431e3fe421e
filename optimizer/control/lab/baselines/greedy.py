"""The optimiser without a controller: greedy, for the load seen last, carried out at once.

As inferno's optimiser does every minute: the same sizing, no forecast, no windows.
"""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.control.expected_load import ExpectedLoad
from optimizer.control.lab.baselines.base import Baseline, Surroundings
from optimizer.control.planner import Moves, Planner
from optimizer.control.spec import FleetObservation, ReplicaCounts, Variant

__all__ = ["GreedyBaseline"]


class GreedyBaseline(Baseline):
    """Greedy plans of the load seen last."""

    name = "greedy"
    interval_s = 60.0

    def __init__(self, surroundings: Surroundings) -> None:
        control = surroundings.scenario.control.model_copy(update={"solver": "greedy"})
        self._planner = Planner(surroundings.fleet, control)

    def begin_with(self, now: Mapping[Variant, int]) -> Mapping[Variant, int]:
        """Return what suits the beginning."""
        return now

    def decide(
        self, now_s: float, seen: FleetObservation, counts: ReplicaCounts
    ) -> Mapping[Variant, int]:
        """Return the plan, with none of what it leaves out."""
        del now_s
        loads = {
            service.service: ExpectedLoad(
                service.arrival_rate_rps.value,
                service.input_tokens.value,
                service.output_tokens.value,
            )
            for service in seen.services
            if service.arrival_rate_rps.value is not None
        }
        if not loads:
            return {}
        wanted = counts.wanted()
        proposal = self._planner.plan(loads, wanted, moves=Moves.ALLOWED)
        known = {v for v in wanted if v.service in loads}
        return {**dict.fromkeys(known, 0), **proposal.replicas}
