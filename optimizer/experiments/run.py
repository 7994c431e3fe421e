"""One run of a comparison: what is asked, and the row of what came out."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.settings import Settings
from solvers.instances import Instance

__all__ = ["RunKey", "RunRequest", "RunRow", "RunStatus"]

# Same key: same run, not repeated in a directory that has it.
RunKey = tuple[str, str, str, int]


class RunStatus(StrEnum):
    """What became of a run."""

    ANSWERED = "answered"  # the solver returned a result, and the checker agrees with it
    WRONG = "wrong"  # it returned a result that the checker refuses
    ERROR = "error"  # it raised
    KILLED = "killed"  # it did not stop in time
    CRASHED = "crashed"  # its process died


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A solver on an instance with a seed, under the settings of the comparison.

    Parameters
    ----------
    solver
        Name and options as written by the user, such as `milp:backend=CBC`.
    """

    instance: Instance
    solver: str
    seed: int
    settings: Settings

    @property
    def key(self) -> RunKey:
        """Identity among the runs of one comparison."""
        return (self.instance.name, self.instance.fingerprint, self.solver, self.seed)

    def to_json(self) -> str:
        """Return the request on one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RunRequest:
        """Read what `to_json` wrote."""
        document = json.loads(text)
        return cls(
            instance=Instance(**document["instance"]),
            solver=document["solver"],
            seed=document["seed"],
            settings=Settings(**document["settings"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """What came out of a run; None where unknown.

    Parameters
    ----------
    instance, family, source, fingerprint, maximise
        See `solvers.instances.Instance`.
    groups, columns, rows
        Size of the problem.
    solver, seed
        See `RunRequest`.
    status
        See `RunStatus`.
    value, bound
        Best solution and proven bound in the instance's own sense: of profit where `maximise`.
    gap
        Proven relative gap.
    termination, limit, detail
        The solver's own words, see `solvers.Termination`.
    build_s, solve_s
        Wall-clock seconds, as the solver reports them.
    total_s, cpu_s
        Wall-clock and CPU seconds (children included) of the solve, reading and warm-up apart.
    warm_up_cpu_s, process_cpu_s
        CPU seconds of the warm-up and of the whole process, imports and reading included.
    peak_memory_mb
        Largest resident memory of the process, imports and the problem included; 1 MB = 1e6 bytes.
    memory_before_mb
        The same when the solve began.
    solver_version, notes
        As the solver reports them.
    error
        What went wrong, "" where nothing did.
    date
        When the run ended, UTC.
    environment
        Which of the protocol's environments it ran in.
    progress
        (elapsed seconds, value or None, bound or None), as the solver reported them on its way.
    """

    instance: str
    family: str
    source: str
    fingerprint: str
    maximise: bool
    solver: str
    seed: int
    status: RunStatus
    groups: int | None = None
    columns: int | None = None
    rows: int | None = None
    value: float | None = None
    bound: float | None = None
    gap: float | None = None
    termination: str | None = None
    limit: str | None = None
    detail: str = ""
    build_s: float | None = None
    solve_s: float | None = None
    total_s: float | None = None
    cpu_s: float | None = None
    warm_up_cpu_s: float | None = None
    process_cpu_s: float | None = None
    peak_memory_mb: float | None = None
    memory_before_mb: float | None = None
    solver_version: str = ""
    notes: tuple[str, ...] = ()
    error: str = ""
    date: str = ""
    environment: str = ""
    progress: tuple[tuple[float, float | None, float | None], ...] = field(default=())

    @property
    def key(self) -> RunKey:
        """Identity among the runs of one comparison."""
        return (self.instance, self.fingerprint, self.solver, self.seed)

    def to_json(self) -> str:
        """Return the row on one line."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> RunRow:
        """Read what `to_json` wrote.

        Raises
        ------
        ExperimentError
            If it is no such row; names `where`.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            document["status"] = RunStatus(document["status"])
            document["notes"] = tuple(document.get("notes", ()))
            document["progress"] = tuple(tuple(p) for p in document.get("progress", ()))
            return cls(**document)
        except (ValueError, TypeError, KeyError) as error:
            raise ExperimentError(
                f"{where}: not a row of results ({error}); remove the line to run it again"
            ) from error
