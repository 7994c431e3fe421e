"""The protocol beside the numbers: settings, solvers in order, environments, dates."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from optimizer.experiments.environment import describe_environment, environment_id
from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.settings import Settings

__all__ = ["Protocol", "now"]

_SCHEMA_VERSION = 1
_KIND = "fleetopt.comparison"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How the rows of a comparison were measured.

    Parameters
    ----------
    settings
        The same for all rows.
    solvers
        In the order first asked for; the first is the reference of time ratios.
    environments
        By the short name that rows carry; see `describe_environment`, with the date of first use.
    jobs
        Largest number of runs that were made at a time.
    """

    settings: Settings
    solvers: tuple[str, ...] = ()
    environments: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    jobs: int = 1

    def extended(self, solvers: tuple[str, ...], jobs: int) -> tuple[Protocol, str]:
        """Return the protocol with these solvers and this environment, and its short name."""
        here = describe_environment()
        name = environment_id(here)
        environments = dict(self.environments)
        environments.setdefault(name, {"since": now(), **here})
        return (
            dataclasses.replace(
                self,
                solvers=tuple(dict.fromkeys((*self.solvers, *solvers))),
                environments=environments,
                jobs=max(self.jobs, jobs),
            ),
            name,
        )

    def to_document(self) -> dict[str, Any]:
        """Return the protocol as JSON has it."""
        return {
            "kind": _KIND,
            "schema_version": _SCHEMA_VERSION,
            "settings": dataclasses.asdict(self.settings),
            "kill_after_s": self.settings.kill_after_s,
            "jobs": self.jobs,
            "solvers": list(self.solvers),
            "environments": self.environments,
        }

    @classmethod
    def from_json(cls, text: str, where: str) -> Protocol:
        """Read the document.

        Raises
        ------
        ExperimentError
            If it is something else, or of another version.
        """
        try:
            document = json.loads(text)
            if document["kind"] != _KIND or document["schema_version"] != _SCHEMA_VERSION:
                raise ValueError(f"kind {_KIND}, schema_version {_SCHEMA_VERSION} are wanted")
            return cls(
                settings=Settings(**document["settings"]),
                solvers=tuple(document["solvers"]),
                environments=document["environments"],
                jobs=document["jobs"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ExperimentError(f"{where}: not the protocol of a comparison: {error}") from error


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
