"""Asking a running solver to stop, from another thread."""

from __future__ import annotations

import threading

__all__ = ["CancelFlag"]


class CancelFlag:
    """A request to stop that one thread sets and solvers in others look at; once set it stays set.

    A solver with `Feature.CANCEL` returns what it has: FEASIBLE or NO_SOLUTION_FOUND with
    `Limit.INTERRUPTED`, or more if it was proven by then.

    Examples
    --------
    >>> from solvers import CancelFlag
    >>> cancel = CancelFlag()
    >>> cancel.set()
    >>> cancel.is_set()
    True
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask to stop."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether someone asked to stop."""
        return self._event.is_set()

    def __repr__(self) -> str:
        """One line."""
        return f"CancelFlag({'set' if self.is_set() else 'not set'})"
