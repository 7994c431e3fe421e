"""The CustomResourceDefinitions of the five kinds, made of the spec's models."""

from __future__ import annotations

from typing import Any

from optimizer.control.operator.resources import GROUP, KINDS, VERSION, ResourceKind

__all__ = ["definitions"]

Json = dict[str, Any]

_TIME = {"type": "string", "format": "date-time"}
_CONDITION: Json = {
    "type": "object",
    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
    "properties": {
        "type": {"type": "string", "description": "What it is about."},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "reason": {"type": "string", "description": "One word, for programs."},
        "message": {"type": "string", "description": "For people."},
        "lastTransitionTime": {**_TIME, "description": "When the status last changed."},
        "observedGeneration": {"type": "integer", "format": "int64"},
    },
}
_COUNT = {"type": "integer", "format": "int32"}
_STATUS: Json = {
    "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "description": "Generation of the object that the status is of.",
    },
    "conditions": {
        "type": "array",
        "items": _CONDITION,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    },
}
_REPLICAS: Json = {
    "wanted": {**_COUNT, "description": "Replicas asked for."},
    "ready": {**_COUNT, "description": "Replicas that serve."},
    "target": {**_COUNT, "description": "Replicas that the last good plan wants."},
}
_OF_KIND: dict[str, Json] = {
    "Server": {
        **_REPLICAS,
        "variants": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "accelerator": {"type": "string"},
                    "configuration": {"type": "string"},
                    "maxBatch": _COUNT,
                    **_REPLICAS,
                },
            },
            "description": "By variant.",
        },
        "plannedRps": {"type": "number", "description": "Rate planned for [requests/s]."},
        "heldBackBy": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What keeps its replicas from following the plan at once.",
        },
    },
    "Optimizer": {
        "cycle": {"type": "integer", "format": "int64", "description": "Looks at the fleet."},
        "lastSuccessTime": {
            **_TIME,
            "description": "When a plan was last made from good data.",
        },
        "planDigest": {"type": "string", "description": "Of the last good plan."},
        "costPerHour": {"type": "number", "description": "Of the replicas that are wanted."},
        "awaitingApproval": {
            "type": "string",
            "description": "What the annotation fleetopt.dev/approve has to say to let pass what "
            "the circuit breaker holds.",
        },
        "servers": {**_COUNT, "description": "Services of the fleet."},
    },
}


def definitions() -> list[Json]:
    """Return the CustomResourceDefinitions, in the order in which they are told of."""
    return [_definition(kind) for kind in KINDS.values()]


def _definition(kind: ResourceKind) -> Json:
    status = {"type": "object", "properties": {**_STATUS, **_OF_KIND.get(kind.kind, {})}}
    schema = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": kind.describe(),
            "status": status,
        },
    }
    columns = [
        {"name": name, "jsonPath": path, "type": kind_of} for name, path, kind_of in kind.columns
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": [kind.short],
                "categories": ["fleetopt"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                }
            ],
        },
    }
