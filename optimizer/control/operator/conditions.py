"""Conditions as Kubernetes has them: of one object, of one generation, with the time of change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["Told", "as_time", "changed", "conditions_of"]

Json = dict[str, Any]

# Of a condition's message in the API.
_MOST_CHARACTERS = 4096
# Conditions that are bad where they hold; of all others it is good that they do.
_BAD = frozenset({"Conflict", "Paused", "Degraded", "LastGoodPlanHeld", "Unplanned"})


@dataclass(frozen=True, slots=True)
class Told:
    """One statement, before it is known since when it holds.

    Parameters
    ----------
    kind
        Its type.
    holds
        Whether it does.
    reason, message
        One word for programs, and more for people.
    """

    kind: str
    holds: bool
    reason: str
    message: str = ""

    @property
    def well(self) -> bool:
        """Whether it is as it should be."""
        return self.holds is not (self.kind in _BAD)


def conditions_of(
    told: Iterable[Told], before: Sequence[Mapping[str, Any]], generation: int, now_s: float
) -> list[Json]:
    """Return conditions; the time of one changes with its status alone.

    Parameters
    ----------
    told
        Statements.
    before
        Conditions that the object has.
    generation
        Of the object that they are of.
    now_s
        Unix time [s].
    """
    known = {str(condition.get("type")): condition for condition in before}
    found = []
    for one in told:
        status = "True" if one.holds else "False"
        old = known.get(one.kind, {})
        since = old.get("lastTransitionTime") if old.get("status") == status else None
        found.append(
            {
                "type": one.kind,
                "status": status,
                "reason": one.reason,
                # Never empty: some API servers read "" as null.
                "message": (one.message or one.reason)[:_MOST_CHARACTERS],
                "lastTransitionTime": since or as_time(now_s),
                "observedGeneration": generation,
            }
        )
    return found


def changed(told: Iterable[Told], before: Sequence[Mapping[str, Any]]) -> list[Told]:
    """Return the statements whose status is another than before."""
    known = {str(condition.get("type")): condition.get("status") for condition in before}
    return [
        one
        for one in told
        if known.get(one.kind, "True" if one.well is one.holds else "False")
        != ("True" if one.holds else "False")
    ]


def as_time(now_s: float) -> str:
    """Return a Unix time [s] as the API has it."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
