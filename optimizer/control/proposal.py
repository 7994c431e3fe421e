"""What the optimiser proposes."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from optimizer.control.spec import Variant

__all__ = ["Moves", "Proposal"]


class Moves(StrEnum):
    """Whether services may go to variants that they do not run on."""

    NEVER = "never"
    IF_NEEDED = "if-needed"  # where otherwise fewer are served whole or less load, or most is new
    WORTHWHILE = "worthwhile"  # and where they pay, and there is room beside what runs
    ALLOWED = "allowed"  # wherever it is cheapest


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the optimiser wants.

    Parameters
    ----------
    replicas
        By variant; variants that are not there get none.
    needed
        Replicas that would serve each service whole, on the variants proposed.
    unserved
        Services that do not get all they need.
    moves_allowed
        Whether services could change place.
    solver
        What solved it.
    """

    replicas: Mapping[Variant, int]
    needed: Mapping[str, int]
    unserved: tuple[str, ...]
    moves_allowed: bool
    solver: str = field(compare=False)

    @property
    def digest(self) -> str:
        """A short name of the replicas proposed."""
        words = sorted(f"{variant}={count}" for variant, count in self.replicas.items())
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]

    def without(self, unseen: Collection[str], wanted: Mapping[Variant, int]) -> Proposal:
        """Return it with services of which nothing was seen kept as they are."""
        kept = {v: n for v, n in self.replicas.items() if v.service not in unseen}
        kept.update({v: n for v, n in wanted.items() if v.service in unseen})
        unserved = tuple(name for name in self.unserved if name not in unseen)
        return dataclasses.replace(self, replicas=kept, unserved=unserved)

    def state(self) -> dict[str, Any]:
        """Return what to write down."""
        return {
            "replicas": [[v.model_dump(mode="json"), n] for v, n in self.replicas.items()],
            "needed": dict(self.needed),
            "unserved": list(self.unserved),
            "moves_allowed": self.moves_allowed,
            "solver": self.solver,
        }

    @classmethod
    def of_state(cls, state: Mapping[str, Any]) -> Proposal:
        """Read back what was written down."""
        return cls(
            replicas={Variant.model_validate(v): int(n) for v, n in state["replicas"]},
            needed={str(name): int(n) for name, n in state["needed"].items()},
            unserved=tuple(state["unserved"]),
            moves_allowed=bool(state["moves_allowed"]),
            solver=str(state["solver"]),
        )
