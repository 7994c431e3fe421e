"""What every kind of plan says of itself: whether there is anything to deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from pydantic import BaseModel, ValidationError

from optimizer.errors import InfeasibleError, PlanError
from solvers import Reason

__all__ = ["Answer", "read_answer"]

D = TypeVar("D", bound=BaseModel)


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


def read_answer(kind: type[D], text: str | bytes, words: str) -> D:
    """Read a plan of some kind from its JSON.

    Raises
    ------
    PlanError
        If the text is no such document, called by these words.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise PlanError(
            f"not {words}: {place}: {first['msg']} ({error.error_count()} fault(s) in all)"
        ) from error
