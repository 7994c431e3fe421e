"""The errors of the product; each message says where, what came, what is wanted, what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "CombinationError",
    "Fault",
    "FleetError",
    "InfeasibleError",
    "ModelError",
    "PlanError",
    "PluginError",
    "SpecError",
]

# Longest rendering of a faulty value in a message.
_VALUE_WIDTH = 80


class FleetError(Exception):
    """Base of every error raised by `optimizer`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a spec.

    Parameters
    ----------
    message
        What is wrong, and what is wanted.
    path
        Where in the document, as in `services[2].load.arrival_rate_rps`; "" for the whole.
    value
        What came, rendered; None where there is nothing to show.
    hint
        What to try; "" when the message says it all.
    source
        Name of the file, or `<stdin>`.
    line
        Line in the file, from 1; None when unknown.
    """

    message: str
    path: str = ""
    value: str | None = None
    hint: str = ""
    source: str = ""
    line: int | None = None

    def __str__(self) -> str:
        """Render as `file:line: path = value: what is wrong: what to try`."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        subject = self.path
        if self.value is not None:
            shown = self.value
            if len(shown) > _VALUE_WIDTH:
                shown = shown[: _VALUE_WIDTH - 3] + "..."
            subject = f"{subject} = {shown}" if subject else shown
        return ": ".join(part for part in (place, subject, self.message, self.hint) if part)


class SpecError(FleetError, ValueError):
    """The description of the fleet is wrong; carries every fault found.

    Parameters
    ----------
    faults
        At least one, in document order.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Fault, ...]]]:
        """Pickle by the faults."""
        return type(self), (self.faults,)


class ModelError(FleetError):
    """No queue model can answer what was asked of it."""


class PlanError(FleetError):
    """A solver's answer failed the independent check, or a plan document cannot be read."""


class CombinationError(PlanError):
    """The fleet describes parts that are not planned together; says which, and what to try."""


class PluginError(FleetError):
    """A registered plug-in cannot be loaded; its name, distribution and reason are said."""


class InfeasibleError(FleetError):
    """Raised only by `FleetPlan.require()`; carries the explanation."""
