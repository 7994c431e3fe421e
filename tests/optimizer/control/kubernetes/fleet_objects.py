"""A small fleet as custom resources, with its Deployments."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from optimizer.control.kubernetes import ApiError, path_of
from optimizer.control.operator import GROUP, KINDS, VERSION, definitions
from tests.conftest import REPOSITORY
from tests.optimizer.control.kubernetes.clusters import Cluster, eventually

Json = dict[str, Any]
API = f"{GROUP}/{VERSION}"
DEPLOY = REPOSITORY / "deploy"
TIMINGS = {
    "h100": {"base_ms": 8, "decode_ms_per_token": 0.05, "prefill_ms_per_token": 0.03},
    "a100": {"base_ms": 12, "decode_ms_per_token": 0.12, "prefill_ms_per_token": 0.10},
}
SPECS: dict[tuple[str, str], Json] = {
    ("Accelerator", "h100"): {"cost_per_hour": 4.5, "memory_gb": 80},
    ("Accelerator", "a100"): {"cost_per_hour": 3.67, "memory_gb": 80},
    ("Model", "m"): {
        "weights_gb": 16,
        "performance": [
            {"accelerator": name, "instances": 1, "max_batch": 64, "start_up_s": 60, "iteration": t}
            for name, t in TIMINGS.items()
        ],
    },
    ("ServiceClass", "standard"): {
        "priority": 1,
        "slos": [
            {"targets": [{"metric": "ttft_ms", "bound": 500}, {"metric": "itl_ms", "bound": 30}]}
        ],
    },
    ("Server", "chat"): {
        "model": "m",
        "class": "standard",
        "load": {"arrival_rate_rps": 20, "input_tokens": 500, "output_tokens": 100},
        "deployments": [
            {"deployment": "chat-h100", "accelerator": "h100"},
            {"deployment": "chat-a100", "accelerator": "a100"},
        ],
    },
    ("Optimizer", "fleet"): {
        "capacities": [{"type": "h100", "cards": 12}, {"type": "a100", "cards": 12}],
        "metrics": {"service_label": "service", "offered": {"chat": "gateway_requests_total"}},
        "control": {"observe_s": 1, "period_s": 5, "forecast": {"step_s": 5}},
    },
}


def yaml_documents(path: Path) -> list[Json]:
    return [document for document in YAML(typ="safe", pure=True).load_all(path) if document]


def install_definitions(cluster: Cluster) -> None:
    """Create the fleet's own definitions; see `install`."""
    install(cluster, *definitions())


def install(cluster: Cluster, *given: Json) -> None:
    """Create definitions, unless an earlier test has, and wait until they are served."""
    for definition in given:
        try:
            cluster.admin.create(
                path_of("apis", "apiextensions.k8s.io", "v1", "customresourcedefinitions"),
                definition,
            )
        except ApiError as error:
            if error.status != 409:
                raise

    def served() -> bool:
        try:
            for definition in given:
                spec = definition["spec"]
                version = f"{spec['group']}/{spec['versions'][0]['name']}"
                cluster.admin.items(cluster.path(version, spec["names"]["plural"]))
        except ApiError:
            return False
        return True

    assert eventually(served)


def put(cluster: Cluster, kind: str, name: str, spec: Json | None = None, **metadata: Any) -> Json:
    """Create one object."""
    body = {
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": copy.deepcopy(SPECS[kind, name] if spec is None else spec),
    }
    return cluster.create(API, KINDS[kind].plural, body)


def put_fleet(cluster: Cluster, **replicas: int) -> None:
    """Create definitions, objects and Deployments."""
    install_definitions(cluster)
    for kind, name in SPECS:
        put(cluster, kind, name)
    for name in ("h100", "a100"):
        cluster.deployment(f"chat-{name}", replicas.get(name, 0))


def change(cluster: Cluster, kind: str, name: str, **parts: Any) -> Json:
    return cluster.admin.merge(cluster.path(API, KINDS[kind].plural, name), parts)


def status(cluster: Cluster, kind: str, name: str) -> Json:
    return dict(cluster.admin.get(cluster.path(API, KINDS[kind].plural, name)).get("status") or {})


def condition(cluster: Cluster, kind: str, name: str, of: str) -> Json:
    found = status(cluster, kind, name).get("conditions") or ()
    return next((c for c in found if c["type"] == of), {})


def roles(*names: str) -> list[Json]:
    """The rules of shipped roles."""
    return [
        rule
        for name in names
        for document in yaml_documents(DEPLOY / "kubernetes" / f"role-{name}.yaml")
        for rule in document["rules"]
    ]
