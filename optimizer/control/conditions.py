"""Conditions: statements about the controller that remember since when they hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optimizer.control.spec import Condition, ConditionType

__all__ = ["Conditions"]


class Conditions:
    """The controller's conditions, one of each type that was ever told."""

    def __init__(self) -> None:
        self._known: dict[ConditionType, Condition] = {}

    def tell(
        self, now_s: float, kind: ConditionType, status: bool, reason: str, message: str = ""
    ) -> None:
        """Say how something is; `since_s` changes with the status alone."""
        before = self._known.get(kind)
        since_s = before.since_s if before is not None and before.status == status else now_s
        self._known[kind] = Condition(
            type=kind, status=status, reason=reason, message=message, since_s=since_s
        )

    def holds(self, kind: ConditionType) -> bool:
        """Whether all is well with something; also where nothing was told."""
        known = self._known.get(kind)
        return known is None or known.status

    def all(self) -> tuple[Condition, ...]:
        """Return them in a fixed order."""
        return tuple(self._known[kind] for kind in ConditionType if kind in self._known)

    def state(self) -> list[dict[str, Any]]:
        """Return what to write down."""
        return [condition.model_dump(mode="json") for condition in self.all()]

    def restore(self, state: Iterable[Any]) -> None:
        """Go on from what was written down."""
        found = [Condition.model_validate(entry) for entry in state]
        self._known = {condition.type: condition for condition in found}
