"""fleetopt: decide which accelerators serve which LLMs, a whole fleet at once, with a proof.

The public names load on first use, so that `import optimizer` and `fleetopt --help` stay light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.errors import (
        Fault,
        FleetError,
        InfeasibleError,
        ModelError,
        PlanError,
        SpecError,
    )
    from optimizer.fleet import (
        Allocation,
        CandidateTable,
        FleetPlan,
        FleetProblem,
        build_candidates,
        build_problem,
        optimize,
    )
    from optimizer.spec import FleetSpec, load, load_inferno, loads

__all__ = [
    "Allocation",
    "CandidateTable",
    "Fault",
    "FleetError",
    "FleetPlan",
    "FleetProblem",
    "FleetSpec",
    "InfeasibleError",
    "ModelError",
    "PlanError",
    "SpecError",
    "build_candidates",
    "build_problem",
    "load",
    "load_inferno",
    "loads",
    "optimize",
]

_HOME = {
    **dict.fromkeys(
        ("Fault", "FleetError", "InfeasibleError", "ModelError", "PlanError", "SpecError"),
        "optimizer.errors",
    ),
    **dict.fromkeys(
        (
            "Allocation",
            "CandidateTable",
            "FleetPlan",
            "FleetProblem",
            "build_candidates",
            "build_problem",
            "optimize",
        ),
        "optimizer.fleet",
    ),
    **dict.fromkeys(("FleetSpec", "load", "load_inferno", "loads"), "optimizer.spec"),
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'optimizer' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
