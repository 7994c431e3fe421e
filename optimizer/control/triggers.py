"""What makes a plan due: the period, or something that happened."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optimizer.control.planned_load import PlannedLoad
from optimizer.control.planner import Planner
from optimizer.control.proposal import Proposal

__all__ = ["Triggers"]

# A load beyond what the plan carries by less than this is rounding.
_ROUNDING = 1.0001


class Triggers:
    """Remembers what happened since the last plan, and when that was.

    Parameters
    ----------
    period_s
        Time between two plans where nothing happens [s].
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._events: set[str] = set()
        self._planned_s = -math.inf
        self.cards: Mapping[str, int] = {}
        """Cards that can be used, of the types of which there are fewer than described."""

    def notify(self, event: str) -> None:
        """Remember that something happened."""
        self._events.add(event)

    def notice_cards(self, cards: Mapping[str, int]) -> None:
        """Remember what cards there are; other ones than before are an event."""
        if cards != self.cards:
            self.cards = cards
            self._events.add("cards")

    def due(
        self,
        now_s: float,
        loads: Mapping[str, PlannedLoad],
        proposal: Proposal | None,
        planner: Planner,
    ) -> str:
        """Return what makes a plan due now, which counts as made then; "" where none is."""
        trigger = self._due(now_s, loads, proposal, planner)
        if trigger:
            self._planned_s = now_s
        return trigger

    def _due(
        self,
        now_s: float,
        loads: Mapping[str, PlannedLoad],
        proposal: Proposal | None,
        planner: Planner,
    ) -> str:
        if all(load.load is None for load in loads.values()):
            return ""  # nothing was ever seen: there is nothing to plan for
        if proposal is None:
            return "begin"
        for name, planned in loads.items():
            carried = _ROUNDING * _carried_rps(name, proposal, planner)
            beyond = planned.load is not None and planned.load.rate_rps > carried
            if beyond and name not in proposal.unserved:
                self._events.add("load")
                break
        if self._events:
            trigger = "event: " + ", ".join(sorted(self._events))
            self._events.clear()
            return trigger
        return "period" if now_s - self._planned_s >= self._period_s - 1e-6 else ""

    def state(self) -> dict[str, float | None]:
        """Return what to write down."""
        return {"planned_s": self._planned_s if math.isfinite(self._planned_s) else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was written down."""
        planned = state["planned_s"]
        self._planned_s = -math.inf if planned is None else float(planned)


def _carried_rps(service: str, proposal: Proposal, planner: Planner) -> float:
    """Return what the proposed replicas of a service carry [requests/s]."""
    return sum(
        proposal.replicas.get(variant, 0) * planner.rate_rps(variant)
        for variant in planner.variants_of(service)
    )
