"""One line of a sweep's results: the scenario, and what became of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.sweep.mapping import Ending, Outcome
from optimizer.experiments.sweep.scenario import Scenario
from optimizer.experiments.sweep.solved_scenario import Figures

__all__ = ["SweepRow", "row_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRow:
    """What became of a scenario.

    Parameters
    ----------
    key, fleet, labels
        See `Scenario`.
    status
        `optimal`, `feasible`, `infeasible`, ... as the solver ended; `invalid`, where the changes
        together make no valid fleet; `failed`, `timed-out` or `died`, see `Ending`.
    error
        What went wrong, "" where nothing did.
    figures
        What the plan comes to; empty where there is none.
    wall_s, worker
        How long it took, and where; apart from equality, for no two runs agree in them.
    """

    key: str
    fleet: str
    labels: dict[str, str | float | int | bool | None]
    status: str
    error: str = ""
    figures: Figures = field(default_factory=dict)
    wall_s: float = field(default=0.0, compare=False)
    worker: str = field(default="", compare=False)

    @property
    def answered(self) -> bool:
        """Whether the scenario need not be solved again: asked once more it answers the same."""
        return self.status not in (Ending.FAILED, Ending.TIMED_OUT, Ending.DIED)

    @property
    def result(self) -> dict[str, Any]:
        """What equal sweeps agree in, on whatever engine."""
        return {
            "key": self.key,
            "fleet": self.fleet,
            "labels": self.labels,
            "status": self.status,
            "error": self.error,
            **self.figures,
        }

    def to_json(self) -> str:
        """Return the row on one line."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> SweepRow:
        """Read what `to_json` wrote.

        Raises
        ------
        ExperimentError
            If it is no such row; names `where`.
        """
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise ExperimentError(
                f"{where}: not a row of a sweep ({error}); remove the line to solve it again"
            ) from error


def row_of(scenario: Scenario, outcome: Outcome[Figures]) -> SweepRow:
    """Join a scenario and what became of it."""
    figures = dict(outcome.value or {})
    return SweepRow(
        key=scenario.key,
        fleet=scenario.fleet,
        labels=dict(scenario.labels),
        status=figures.pop("status") if outcome.ending is Ending.DONE else str(outcome.ending),
        error=outcome.error,
        figures=figures,
        wall_s=round(outcome.wall_s, 6),
        worker=outcome.worker,
    )
