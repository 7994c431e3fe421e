"""What every kind of plan says of itself: whether there is anything to deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from optimizer.errors import InfeasibleError
from solvers import Reason

__all__ = ["Answer"]


class Answer:
    """The answer of a solve, beside the fields of a plan; a plan inherits it after its model."""

    if TYPE_CHECKING:
        # Fields of the plan, each in its own place in the document.
        termination: Reason
        detail: str

    @property
    def found(self) -> bool:
        """Whether there is anything to deploy."""
        return self.termination in (Reason.OPTIMAL, Reason.FEASIBLE)

    def require(self) -> Self:
        """Return the plan itself, or raise where there is none.

        Raises
        ------
        InfeasibleError
            If the plan is infeasible or none was found; says why.
        """
        if not self.found:
            raise InfeasibleError(f"{self.termination}: {self.detail}")
        return self
