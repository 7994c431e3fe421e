"""A small inferno system that tests change at will."""

from __future__ import annotations

import copy
from typing import Any

_SYSTEM: dict[str, Any] = {
    "acceleratorData": {
        "accelerators": [
            {
                "name": "A100",
                "type": "A100",
                "multiplicity": 1,
                "memSize": 80,
                "memBW": 2000,
                "power": {"idle": 150, "full": 400, "midPower": 320, "midUtil": 0.6},
                "cost": 40,
            },
            {
                "name": "4xA100",
                "type": "A100",
                "multiplicity": 4,
                "memSize": 320,
                "memBW": 8000,
                "power": {"idle": 600, "full": 1600, "midPower": 1280, "midUtil": 0.6},
                "cost": 160.5,
            },
        ]
    },
    "capacityData": {"count": [{"type": "A100", "count": 64}]},
    "modelData": {
        "models": [
            {
                "name": "granite",
                "acc": "A100",
                "accCount": 2,
                "maxBatchSize": 64,
                "atTokens": 512,
                "decodeParms": {"alpha": 20.58, "beta": 0.41},
                "prefillParms": {"gamma": 5.2, "delta": 0.1},
            },
            {
                "name": "granite",
                "acc": "4xA100",
                "accCount": 1,
                "maxBatchSize": 128,
                "atTokens": 512,
                "decodeParms": {"alpha": 10, "beta": 0.2},
                "prefillParms": {"gamma": 2.6, "delta": 0.05},
            },
        ]
    },
    "serviceClassData": {
        "serviceClasses": [
            {
                "name": "Premium",
                "priority": 1,
                "modelTargets": [{"model": "granite", "slo-itl": 40, "slo-ttft": 500}],
            }
        ]
    },
    "serverData": {
        "servers": [
            {
                "name": "premium-granite",
                "class": "Premium",
                "model": "granite",
                "keepAccelerator": False,
                "minNumReplicas": 1,
                "maxBatchSize": 0,
                "currentAlloc": {
                    "accelerator": "A100",
                    "numReplicas": 3,
                    "maxBatch": 32,
                    "cost": 240,
                    "load": {"arrivalRate": 90, "avgInTokens": 128, "avgOutTokens": 256},
                },
            }
        ]
    },
    "optimizerData": {
        "optimizer": {
            "unlimited": False,
            "delayedBestEffort": False,
            "saturationPolicy": "PriorityExhaustive",
        }
    },
}

ITERATION = {"alpha": 6.5, "beta": 0.02, "gamma": 5e-5}
"""Parameters of the 3-parameter generation."""

_GROUPS = {
    "accelerators": "acceleratorData",
    "count": "capacityData",
    "models": "modelData",
    "serviceClasses": "serviceClassData",
    "servers": "serverData",
    "optimizer": "optimizerData",
}


def small_system() -> dict[str, Any]:
    """A system that imports without faults."""
    return {"system": copy.deepcopy(_SYSTEM)}


def change(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Set what stands at `servers.0.currentAlloc.load.arrivalRate`; ... removes the key."""
    first, *steps = path.split(".")
    here: Any = document["system"][_GROUPS[first]] if first in _GROUPS else document["system"]
    keys: list[str | int] = [int(step) if step.isdigit() else step for step in [first, *steps]]
    for key in keys[:-1]:
        here = here[key]
    if value is ...:
        del here[keys[-1]]
    else:
        here[keys[-1]] = value
    return document


def changed(**changes: object) -> dict[str, Any]:
    """The small system with changes; double underscores in paths stand for points."""
    document = small_system()
    for path, value in changes.items():
        change(document, path.replace("__", "."), value)
    return document


def iteration_only(document: dict[str, Any]) -> dict[str, Any]:
    """The same system in the 3-parameter generation."""
    for row in document["system"]["modelData"]["models"]:
        del row["decodeParms"], row["prefillParms"]
        row["perfParms"] = dict(ITERATION)
    return document
