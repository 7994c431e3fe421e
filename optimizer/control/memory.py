"""All that a controller remembers, in one state: what its journal holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from optimizer.control.errors import JournalError
from optimizer.control.journal import Journal
from optimizer.control.proposal import Proposal

__all__ = ["Memory", "Remembering"]


class Remembering(Protocol):
    """A part of the controller whose state is written down."""

    def state(self) -> Any:
        """Return what to write down."""

    def restore(self, state: Any) -> None:
        """Go on from what was written down."""


class Memory:
    """The controller's own few words and the states of its parts.

    Parameters
    ----------
    journal
        Where they are written down.
    parts
        By the names under which their states stand there.
    """

    def __init__(self, journal: Journal, parts: Mapping[str, Remembering]) -> None:
        self._journal, self._parts = journal, parts
        self.cycle = 0
        self.success_s: float | None = None
        """When a plan was last made from good data [s]."""
        self.proposal: Proposal | None = None
        """The last good one."""
        self.unwritten = False
        """Whether a plan was made since all was last written down, or could not be."""

    def write(self, fleet: str) -> None:
        """Write everything down.

        Raises
        ------
        JournalError
            If that fails: then nothing may be changed.
        """
        self._journal.write(
            {
                "fleet": fleet,
                "cycle": self.cycle,
                "success_s": self.success_s,
                "proposal": None if self.proposal is None else self.proposal.state(),
                **{name: part.state() for name, part in self._parts.items()},
            }
        )
        self.unwritten = False

    def restore(self, fleet: str) -> None:
        """Go on from what was written down, if anything was.

        Raises
        ------
        JournalError
            If it cannot be read, or is of another fleet.
        """
        state = self._journal.read()
        if state is None:
            return
        try:
            if state["fleet"] != fleet:
                raise ValueError(f"it is of fleet '{state['fleet']}', not '{fleet}'")
            self.cycle, self.success_s = int(state["cycle"]), state["success_s"]
            if state["proposal"] is not None:
                self.proposal = Proposal.of_state(state["proposal"])
            for name, part in self._parts.items():
                part.restore(state[name])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise JournalError(
                f"the state written down cannot be gone on with: {error}; "
                "move it away to begin anew"
            ) from error
