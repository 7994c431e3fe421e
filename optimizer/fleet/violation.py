"""What the fleet-level checker finds."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.errors import PlanError
from optimizer.fleet.plan import ResourceUse

__all__ = ["PlanCheck", "Violation"]

# Violations that a message lists one by one.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a plan breaks, or one word of it that is not true.

    Parameters
    ----------
    kind
        `plan` (names and counts), `service` (what it may be given), `load`, `slo`, `resource` or
        `total`.
    where
        Name of the service, resource or total.
    message
        What is said or used, and what is wanted.
    """

    kind: str
    where: str
    message: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.kind}: {self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class PlanCheck:
    """What was recomputed from a fleet's description and a plan's words.

    Parameters
    ----------
    violations
        Every broken rule; empty for a plan that holds.
    total_cost_per_hour
        Cost of everything allocated, recomputed.
    resources
        Use of every resource, recomputed.
    """

    violations: tuple[Violation, ...]
    total_cost_per_hour: float
    resources: tuple[ResourceUse, ...]

    @property
    def ok(self) -> bool:
        """Whether the plan holds."""
        return not self.violations

    def require(self) -> PlanCheck:
        """Return the check itself, or raise where the plan does not hold.

        Raises
        ------
        PlanError
            Listing the first violations.
        """
        if self.violations:
            shown = "; ".join(map(str, self.violations[:_SHOWN]))
            more = len(self.violations) - _SHOWN
            raise PlanError(
                f"the plan fails the fleet's check: {shown}"
                + (f"; and {more} more" if more > 0 else "")
            )
        return self
