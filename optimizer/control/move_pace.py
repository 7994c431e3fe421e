"""How often services may change place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optimizer.control.proposal import Moves, Proposal
from optimizer.control.spec import StabilizationSpec

__all__ = ["MovePace"]


class MovePace:
    """Remembers when services could change place last, and when they had to.

    Parameters
    ----------
    spec
        Least time between moves; those that are needed need not wait longer than reductions do.
    """

    def __init__(self, spec: StabilizationSpec) -> None:
        self._spec = spec
        self._moved_s = self._forced_s = -math.inf

    def moves(self, now_s: float, *, first: bool) -> Moves:
        """Say whether services may change place in a plan made now.

        The first one rests on a look at little: what runs stays where that serves everyone.
        """
        if first:
            return Moves.IF_NEEDED
        wait_s = self._spec.move_every_s
        if now_s - self._moved_s >= wait_s:
            return Moves.WORTHWHILE
        if now_s - self._forced_s >= min(wait_s, self._spec.down_window_s):
            return Moves.IF_NEEDED
        return Moves.NEVER

    def made(self, now_s: float, moves: Moves, proposal: Proposal) -> None:
        """Remember a plan that was made."""
        if moves is Moves.WORTHWHILE or self._moved_s == -math.inf:
            self._moved_s = now_s
        if moves is not Moves.NEVER and (proposal.unserved or proposal.moves_allowed):
            self._forced_s = now_s

    def state(self) -> dict[str, float | None]:
        """Return what to write down."""
        times = {"moved_s": self._moved_s, "forced_s": self._forced_s}
        return {name: at if math.isfinite(at) else None for name, at in times.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was written down."""
        moved, forced = state["moved_s"], state["forced_s"]
        self._moved_s = -math.inf if moved is None else float(moved)
        self._forced_s = -math.inf if forced is None else float(forced)
