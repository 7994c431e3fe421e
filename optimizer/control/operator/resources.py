"""The five custom resources: which part of a fleet each one says, in the words of fleet files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from pydantic import Field

from optimizer.control.collectors.prometheus import PrometheusOptions
from optimizer.control.kubernetes.engine_template import EngineTemplateSpec
from optimizer.control.operator.structural_schema import structural_schema
from optimizer.control.spec import ControlSpec
from optimizer.spec.accelerator import AcceleratorSpec
from optimizer.spec.base import Name, SpecModel
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import ModelSpec, PerformanceSpec
from optimizer.spec.options import OptimizerSpec
from optimizer.spec.service import ServiceSpec
from optimizer.spec.service_class import ServiceClassSpec

__all__ = [
    "ANNOTATION_APPROVE",
    "ANNOTATION_INVOKE",
    "ANNOTATION_PAUSED",
    "GROUP",
    "KINDS",
    "LABEL_ACCELERATOR",
    "VERSION",
    "Actuation",
    "DeploymentEntrySpec",
    "ResourceKind",
]

Json = dict[str, Any]

GROUP = "fleetopt.dev"
VERSION = "v1alpha1"
ANNOTATION_PAUSED = f"{GROUP}/paused"
"""On an Optimizer or a Server: `true` changes no replicas of the fleet, or of the service."""
ANNOTATION_APPROVE = f"{GROUP}/approve"
"""On an Optimizer: the digest of what its circuit breaker holds."""
ANNOTATION_INVOKE = f"{GROUP}/invoke"
"""On an Optimizer: a plan is made now, and again whenever this is set to something else."""
LABEL_ACCELERATOR = f"{GROUP}/accelerator"
"""On a Deployment of no Server: the accelerator whose cards its replicas take."""

# Of the fleet's keys, those that an Optimizer says; the other resources say the rest.
FLEET_KEYS = ("currency", "capacities", "regions", "limits", "optimizer")
# Files, addresses and names of plug-ins are the operator's own, never a resource's.
_NOT_OF_CONTROL = (
    "schema_version",
    "name",
    "fleet",
    "slo",
    "state",
    "solver",
    "paused",
    "collector",
    "actuator",
)
_NOT_OF_METRICS = ("url", "timeout_s", "ca_file", "bearer_file")
_NOT_OF_SERVER = ("current", "length_buckets", "kv_reuse", "replica_pool")


class Actuation(StrEnum):
    """What the operator may change."""

    SCALE = "scale"  # replicas, through deployments/scale
    TEMPLATE = "template"  # the engines' settings too, in the deployments' pod templates
    OBSERVE = "observe"  # nothing: what would be done is told


class DeploymentEntrySpec(SpecModel):
    """One deployment of a service: the variant that it runs."""

    deployment: Name = Field(description="Name of the Deployment, in the same namespace.")
    accelerator: Name = Field(description="Accelerator that its pods run on.")
    configuration: str = Field(
        default="", max_length=200, description="Words of the performance entry, as in plans."
    )
    max_batch: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Maximum batch that its engines run with; by default the plan's.",
    )
    template: EngineTemplateSpec | None = Field(
        default=None,
        description="With actuation template: where the engine's settings stand in its pods.",
    )


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """One kind of custom resource.

    Parameters
    ----------
    kind, plural, short
        Its names.
    describe
        Returns the schema of `spec`.
    columns
        What `kubectl get` shows beside the name: header, path and type.
    """

    kind: str
    plural: str
    short: str
    describe: Callable[[], Json]
    columns: tuple[tuple[str, str, str], ...]

    @property
    def singular(self) -> str:
        """Its name in the singular, in lower case."""
        return self.kind.lower()


def _model() -> Json:
    entry = structural_schema(PerformanceSpec, without=("model",))
    performance = {
        "type": "array",
        "items": entry,
        "description": "How fast it runs on each accelerator.",
    }
    return structural_schema(
        ModelSpec, without=("config",), optional=("name",), within={"performance": performance}
    )


def _server() -> Json:
    deployments = {
        "type": "array",
        "items": structural_schema(DeploymentEntrySpec),
        "description": "Its Deployments, one for each variant; variants without one are not "
        "planned with.",
    }
    return structural_schema(
        ServiceSpec,
        without=_NOT_OF_SERVER,
        optional=("name",),
        within={"deployments": deployments},
    )


def _optimizer() -> Json:
    every = set(FleetSpec.model_fields)
    parts = {
        "optimizer": structural_schema(OptimizerSpec, without=("solver_options",)),
        "control": structural_schema(ControlSpec, without=_NOT_OF_CONTROL),
        "metrics": structural_schema(PrometheusOptions, without=_NOT_OF_METRICS),
        "actuation": {
            "type": "string",
            "enum": [choice.value for choice in Actuation],
            "description": "What may be changed: scale, replicas alone; template, the settings of "
            "engines too; observe, nothing. Default: scale.",
        },
    }
    parts["optimizer"]["description"] = "How to decide."
    parts["control"]["description"] = "How fast the fleet follows, and what waits for approval."
    parts["metrics"]["description"] = (
        "Whose figures in Prometheus are whose; its address is the operator's own."
    )
    return structural_schema(FleetSpec, without=every - set(FLEET_KEYS), within=parts)


_READY = ".status.conditions[?(@.type=='Ready')]"
_AGE = ("Age", ".metadata.creationTimestamp", "date")
_VALID = (("Ready", f"{_READY}.status", "string"), ("Reason", f"{_READY}.reason", "string"), _AGE)

KINDS: Mapping[str, ResourceKind] = MappingProxyType(
    {
        kind.kind: kind
        for kind in (
            ResourceKind(
                "Accelerator",
                "accelerators",
                "accel",
                lambda: structural_schema(AcceleratorSpec, optional=("name",)),
                (("Catalog", ".spec.catalog", "string"), *_VALID),
            ),
            ResourceKind(
                "ServiceClass",
                "serviceclasses",
                "svcclass",
                lambda: structural_schema(ServiceClassSpec, optional=("name",)),
                (("Priority", ".spec.priority", "integer"), *_VALID),
            ),
            ResourceKind(
                "Model", "models", "llm", _model, (("Catalog", ".spec.catalog", "string"), *_VALID)
            ),
            ResourceKind(
                "Server",
                "servers",
                "llmserver",
                _server,
                (
                    ("Model", ".spec.model", "string"),
                    ("Class", ".spec.class", "string"),
                    ("Wanted", ".status.wanted", "integer"),
                    ("Serving", ".status.ready", "integer"),
                    ("Target", ".status.target", "integer"),
                    *_VALID,
                ),
            ),
            ResourceKind(
                "Optimizer",
                "optimizers",
                "fleetopt",
                _optimizer,
                (
                    ("Actuation", ".spec.actuation", "string"),
                    ("Cost", ".status.costPerHour", "number"),
                    ("Awaiting", ".status.awaitingApproval", "string"),
                    *_VALID,
                ),
            ),
        )
    }
)
"""The custom resources, by kind."""
