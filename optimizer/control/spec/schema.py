"""The JSON Schema of everything that the parts of the control loop read and write."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from optimizer.control.spec.configuration import ControlSpec
from optimizer.control.spec.decision import Decision
from optimizer.control.spec.forecast import LoadForecasts
from optimizer.control.spec.observation import FleetObservation, ReplicaCounts
from optimizer.control.spec.order import Order, OrderOutcome
from optimizer.control.spec.rest import (
    ActuateAnswer,
    ActuateRequest,
    CollectAnswer,
    CycleDocument,
    ErrorAnswer,
    InvokeRequest,
    OptimizeAnswer,
    OptimizeRequest,
    TuneAnswer,
    TuneRequest,
)
from optimizer.control.spec.scenario import ScenarioSpec
from optimizer.control.spec.status import ControlStatus
from optimizer.spec.base import SpecModel

__all__ = ["DOCUMENTS", "control_json_schema"]

DOCUMENTS: Mapping[str, type[SpecModel]] = MappingProxyType(
    {
        model.__name__: model
        for model in (
            ControlSpec,
            ScenarioSpec,
            FleetObservation,
            ReplicaCounts,
            LoadForecasts,
            Decision,
            Order,
            OrderOutcome,
            ControlStatus,
            CycleDocument,
            CollectAnswer,
            OptimizeRequest,
            OptimizeAnswer,
            TuneRequest,
            TuneAnswer,
            ActuateRequest,
            ActuateAnswer,
            InvokeRequest,
            ErrorAnswer,
        )
    }
)
"""Every document of the control loop, by name."""


def control_json_schema() -> dict[str, Any]:
    """Describe all documents as one JSON Schema, draft 2020-12, with each under `$defs`."""
    _, described = models_json_schema(
        [(model, "validation") for model in DOCUMENTS.values()], by_alias=True
    )
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "Documents of fleetopt's control loop",
        "$defs": described["$defs"],
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in DOCUMENTS],
    }
