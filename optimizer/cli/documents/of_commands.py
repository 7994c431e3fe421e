"""Which document each command prints, and the JSON Schema of them all."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["DOCUMENTS", "documents_json_schema"]

_HERE = "optimizer.cli.documents"

# Types by command, as `module:name`; several where an option or the fleet decides which it is.
DOCUMENTS: dict[str, tuple[str, ...]] = {
    "capacity fit": (f"{_HERE}.capacity:FitDocument",),
    "capacity kv": (f"{_HERE}.capacity:KVDocument",),
    "capacity memory": (f"{_HERE}.capacity:MemoryDocument",),
    "capacity model": (f"{_HERE}.capacity:ModelDocument",),
    "capacity recommend": (f"{_HERE}.capacity:RecommendationDocument",),
    **{
        f"capacity sheet {sheet}": (f"{_HERE}.capacity:SheetDocument",)
        for sheet in (
            "batch", "break-even", "concurrency", "cost", "kv", "memory", "plan", "roofline",
            "scaling",
        )
    },
    "compare": (f"{_HERE}.experiments:ComparisonDocument",),
    "control lab": ("optimizer.control.lab:LabResult",),
    "control run": ("optimizer.control.spec:CycleDocument",),
    "dashboard": (f"{_HERE}.listings:DashboardDocument",),
    "diff": ("optimizer.fleet:PlanDifference",),
    "explain": (
        f"{_HERE}.fleets:ExplanationDocument",
        f"{_HERE}.fleets:RepairDocument",
        f"{_HERE}.fleets:PricesDocument",
    ),
    "horizon": ("optimizer.fleet:HorizonPlan",),
    "import inferno": ("optimizer.spec:FleetSpec",),
    "import melange": ("optimizer.spec:FleetSpec",),
    "kv device": ("optimizer.kv.device_study:DeviceStudy",),
    "kv plan": (
        "optimizer.kv.mode_study:SequentialStudy",
        "optimizer.kv.mode_study:JointStudy",
        "optimizer.kv.mode_study:AdaptationStudy",
    ),
    "kv profiles show": ("optimizer.kv.profiles.listing:ProfileListing",),
    "kv ratio": ("optimizer.kv.ratio_study:RatioStudy",),
    "kv restore": ("optimizer.kv.restoration_study:RestorationStudy",),
    "kv reuse": ("optimizer.kv.reuse:ReuseStudy",),
    "kv study": ("optimizer.experiments.kv_study:KvStudy",),
    "operator crds": (f"{_HERE}.listings:DefinitionsDocument",),
    "pareto": (f"{_HERE}.fleets:ParetoDocument",),
    "queue-models": (
        f"{_HERE}.listings:QueueModelsDocument", f"{_HERE}.listings:QueueModelDocument",
    ),
    "simulate": ("optimizer.engine:PlanSimulation",),
    "size": ("optimizer.fleet.replica:ReplicaStudy",),
    "solve": ("optimizer.fleet:FleetPlan", "optimizer.fleet:UncertainPlan"),
    "plugins": (f"{_HERE}.listings:PluginsDocument",),
    "solvers": (f"{_HERE}.listings:SolversDocument", f"{_HERE}.listings:SolverDocument"),
    "sweep": (f"{_HERE}.experiments:SweepDocument",),
    "tune": (f"{_HERE}.listings:TuningDocument",),
    "validate": (f"{_HERE}.listings:ValidationDocument",),
    "whatif": (f"{_HERE}.fleets:WhatIfDocument",),
}  # fmt: skip


def documents_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of all documents: under `commands` by command, sharing `$defs`.

    A document that a command prints is valid against `{"$ref": "#/commands/<command>"}`.
    """
    from pydantic import TypeAdapter

    adapters = {name: TypeAdapter(_type(name)) for names in DOCUMENTS.values() for name in names}
    schemas, shared = TypeAdapter.json_schemas(
        [(name, "serialization", adapter) for name, adapter in adapters.items()]
    )
    commands = {
        command: {"anyOf": [schemas[name, "serialization"] for name in names]}
        for command, names in sorted(DOCUMENTS.items())
    }
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What fleetopt prints with --json",
        "commands": commands,
        "$defs": shared["$defs"],
    }
    _close(whole)
    return whole


def _type(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def _close(schema: Any) -> None:
    """Let no object with named members have others: what is not declared is a fault of ours."""
    if isinstance(schema, list):
        for entry in schema:
            _close(entry)
    elif isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            schema.setdefault("additionalProperties", False)
        for entry in schema.values():
            _close(entry)
