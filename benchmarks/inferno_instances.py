"""The inferno instances and what the Go core needed for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

INSTANCES = Path(__file__).resolve().parents[2] / "shared" / "data" / "inferno" / "instances"


@dataclass(frozen=True)
class Case:
    """An instance with the CPU seconds of the Go core's whole process on it.

    The Go figures are user plus system time on a two-core machine, 56 solver runs included, of
    which the candidates take more than 99 % (llm-inferno and Workload Variant Autoscaler cores
    built with Go 1.27); they are quoted, not measured in the same run.
    """

    name: str
    queue_model: str
    go_cpu_s: float

    @property
    def path(self) -> Path:
        """Where the instance is, beside the checkout."""
        return INSTANCES / f"{self.name}.json"


CASES = (
    Case("wva-10x9", "inferno-4p", 0.10),
    Case("wva-100x9", "inferno-4p", 1.3),
    Case("light-10x9", "inferno-3p", 0.01),
)


def present() -> tuple[Case, ...]:
    """Cases whose instance is beside this checkout; says which are not."""
    missing = [case.name for case in CASES if not case.path.exists()]
    if missing:
        print(f"skipped, not beside this checkout: {', '.join(missing)}")
    return tuple(case for case in CASES if case.path.exists())
