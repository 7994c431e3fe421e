"""What runs of a scenario gave."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from optimizer.control.lab.scoring import Score
from optimizer.control.spec.document import ControlDocument
from optimizer.spec.base import SpecModel

__all__ = ["LabProgress", "LabResult", "PolicyRun", "Series"]


class Series(SpecModel):
    """One run over time, for plots."""

    time_s: tuple[float, ...] = Field(strict=False)
    rate_rps: tuple[float, ...] = Field(strict=False, description="Of all services.")
    cards: tuple[int, ...] = Field(strict=False, description="Held.")
    kept: tuple[float, ...] = Field(strict=False, description="Share of requests kept.")


LabProgress = Callable[[str, float, Series], None]
"""Called with the name of a run, the share of it that is done, and what it was until then."""


class PolicyRun(SpecModel):
    """What one way to scale made of the scenario."""

    policy: str
    settings: str = Field(default="", description="What it was set to.")
    score: Score
    series: Series


class LabResult(ControlDocument):
    """A scenario's runs; the controller's is the first."""

    scenario: str
    fleet: str
    simulator: str = Field(
        default="fluid",
        description="fluid: by the queue model's own curves; engine: every request and iteration.",
    )
    duration_s: float
    runs: tuple[PolicyRun, ...] = Field(strict=False)

    @property
    def own(self) -> PolicyRun:
        """The controller's run."""
        return self.runs[0]

    def run(self, policy: str) -> PolicyRun:
        """Return a run by its policy.

        Raises
        ------
        KeyError
            If there is none.
        """
        for run in self.runs:
            if run.policy == policy:
                return run
        raise KeyError(policy)
