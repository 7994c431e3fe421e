"""fleetopt: decide which accelerators serve which LLMs, a whole fleet at once, with a proof.

The public names load on first use, so that `import optimizer` and `fleetopt --help` stay light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.capacity import (
        GPU_LIBRARY,
        CapacityError,
        EngineSettings,
        KVCacheDetail,
        ModelArchitecture,
        find_gpu_recommendations,
        find_possible_tp,
        max_context_len,
        memory_budget,
        model_memory_req,
        model_total_params,
    )
    from optimizer.engine import PlanSimulation, VerifiedPlan, simulate, verify
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
        check_plan,
        optimize,
        optimize_uncertain,
    )
    from optimizer.spec import FleetSpec, load, load_inferno, load_melange, loads

__all__ = [
    "GPU_LIBRARY",
    "Allocation",
    "CandidateTable",
    "CapacityError",
    "EngineSettings",
    "Fault",
    "FleetError",
    "FleetPlan",
    "FleetProblem",
    "FleetSpec",
    "InfeasibleError",
    "KVCacheDetail",
    "ModelArchitecture",
    "ModelError",
    "PlanError",
    "PlanSimulation",
    "SpecError",
    "VerifiedPlan",
    "build_candidates",
    "build_problem",
    "check_plan",
    "find_gpu_recommendations",
    "find_possible_tp",
    "load",
    "load_inferno",
    "load_melange",
    "loads",
    "max_context_len",
    "memory_budget",
    "model_memory_req",
    "model_total_params",
    "optimize",
    "optimize_uncertain",
    "simulate",
    "verify",
]

_HOME = {
    **dict.fromkeys(("PlanSimulation", "VerifiedPlan", "simulate", "verify"), "optimizer.engine"),
    **dict.fromkeys(
        (
            "GPU_LIBRARY",
            "CapacityError",
            "EngineSettings",
            "KVCacheDetail",
            "ModelArchitecture",
            "find_gpu_recommendations",
            "find_possible_tp",
            "max_context_len",
            "memory_budget",
            "model_memory_req",
            "model_total_params",
        ),
        "optimizer.capacity",
    ),
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
            "check_plan",
            "optimize",
            "optimize_uncertain",
        ),
        "optimizer.fleet",
    ),
    **dict.fromkeys(
        ("FleetSpec", "load", "load_inferno", "load_melange", "loads"), "optimizer.spec"
    ),
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'optimizer' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
