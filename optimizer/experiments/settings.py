"""What is the same for every run of a comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass

from optimizer.experiments.errors import ExperimentError

__all__ = ["Settings"]

# A run is killed at this multiple of its limit plus the grace: late enough that a solver which
# keeps its limit badly is measured, early enough that one which does not keep it costs no night.
_KILL_FACTOR = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits and conditions of every run.

    Parameters
    ----------
    time_limit_s
        Wall-clock limit given to the solver, > 0.
    relative_gap
        Proven gap at which the solver may stop, >= 0.
    threads
        Threads of the solver and of the linear algebra under it, >= 1.
    warm_up
        Whether the solver first solves a tiny instance in the same process, so that its imports and
        compilation are not part of the measured time.
    kill_grace_s
        A run is killed 1.5 `time_limit_s` + this after its solve began, >= 0.

    Raises
    ------
    ExperimentError
        If a value is out of range.
    """

    time_limit_s: float = 60.0
    relative_gap: float = 1e-6
    threads: int = 1
    warm_up: bool = True
    kill_grace_s: float = 10.0

    def __post_init__(self) -> None:
        faults = [
            f"{name} = {value}: {wanted} is wanted"
            for name, value, wanted, good in (
                ("time limit", self.time_limit_s, "a number of seconds > 0",
                 0 < self.time_limit_s < math.inf),
                ("gap", self.relative_gap, "a number >= 0", 0 <= self.relative_gap < math.inf),
                ("threads", self.threads, "a whole number >= 1", self.threads >= 1),
                ("grace", self.kill_grace_s, "a number of seconds >= 0",
                 0 <= self.kill_grace_s < math.inf),
            )
            if not good
        ]  # fmt: skip
        if faults:
            raise ExperimentError("; ".join(faults))

    @property
    def kill_after_s(self) -> float:
        """Seconds after the beginning of its solve at which a run is killed."""
        return _KILL_FACTOR * self.time_limit_s + self.kill_grace_s
