"""When a plan is made, and what becomes of one that fails: the last good one is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from optimizer.control.conditions import Conditions
from optimizer.control.expected_load import ExpectedLoad
from optimizer.control.memory import Remembering
from optimizer.control.move_pace import MovePace
from optimizer.control.planned_load import PlannedLoad
from optimizer.control.planner import Planner
from optimizer.control.proposal import Proposal
from optimizer.control.scarcity import Scarcity
from optimizer.control.spec import ConditionType, ControlSpec, ReplicaCounts, Variant
from optimizer.control.triggers import Triggers
from optimizer.errors import FleetError
from queue_models import QueueModelError
from solvers import SolverError

__all__ = ["PLANNING_FAILURES", "Planning"]

PLANNING_FAILURES = (
    *(FleetError, SolverError, QueueModelError),
    *(ArithmeticError, MemoryError, ValueError, RuntimeError),
)
"""What an optimisation can fail with."""


class Planning:
    """Has plans made when they are due, and counts those that fail.

    Parameters
    ----------
    spec
        How often, and how often services may change place.
    conditions
        Who tells of it.
    cards_of
        Type of card of a variant, and cards in one replica.
    """

    def __init__(
        self,
        spec: ControlSpec,
        conditions: Conditions,
        cards_of: Callable[[Variant], tuple[str, int]],
    ) -> None:
        self._triggers = Triggers(spec.period_s)
        self._pace = MovePace(spec.stabilization)
        self._scarcity = Scarcity(spec.stabilization.pending_timeout_s, cards_of)
        self._conditions = conditions
        self.failures = 0
        """Failures in a row."""

    @property
    def parts(self) -> dict[str, Remembering]:
        """What must be written down."""
        return {"triggers": self._triggers, "pace": self._pace, "scarcity": self._scarcity}

    def notify(self, event: str) -> None:
        """Make a plan due."""
        self._triggers.notify(event)

    def due(
        self,
        now_s: float,
        loads: Mapping[str, PlannedLoad],
        counts: ReplicaCounts,
        cards: Mapping[str, int],
        proposal: Proposal | None,
        planner: Planner,
    ) -> str:
        """Return what makes a plan due; "" where none is.

        Parameters
        ----------
        counts
            As seen: replicas that do not come up show which cards are not there.
        cards
            Cards that can be used, of types of which others know that there are fewer.
        """
        left = dict(self._scarcity.update(now_s, counts.counts))
        for kind, there in cards.items():
            left[kind] = min(there, left.get(kind, there))
        self._triggers.notice_cards(left)
        return self._triggers.due(now_s, loads, proposal, planner)

    def plan(
        self,
        now_s: float,
        loads: Mapping[str, PlannedLoad],
        counts: ReplicaCounts,
        planner: Planner,
        *,
        first: bool,
    ) -> Proposal | None:
        """Return a new proposal; None where that fails, which is told."""
        moves = self._pace.moves(now_s, first=first)
        wanted: dict[str, ExpectedLoad] = {
            name: planned.load for name, planned in loads.items() if planned.load is not None
        }
        lasting = {
            name: planned.lasting or wanted[name]
            for name, planned in loads.items()
            if name in wanted
        }
        try:
            proposal = planner.plan(
                wanted,
                counts.wanted(),
                moves=moves,
                cards=self._triggers.cards or None,
                lasting=lasting,
            )
        except PLANNING_FAILURES as error:
            self.failures += 1
            words = f"{type(error).__name__}: {error}"
            self._conditions.tell(
                now_s, ConditionType.OPTIMIZATION_READY, False, "OptimizationFailed", words
            )
            return None
        self._pace.made(now_s, moves, proposal)
        self.failures = 0
        self._conditions.tell(
            now_s, ConditionType.OPTIMIZATION_READY, True, "Optimized", proposal.solver
        )
        unseen = {name for name, planned in loads.items() if planned.load is None}
        return proposal.without(unseen, counts.wanted()) if unseen else proposal
