"""The custom resources: what is shipped is what is generated, and a server takes and keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from optimizer.control.kubernetes import ApiError, path_of
from optimizer.control.operator import GROUP, KINDS, definitions
from tests.optimizer.control.kubernetes.clusters import Cluster
from tests.optimizer.control.kubernetes.fleet_objects import (
    API,
    DEPLOY,
    SPECS,
    install_definitions,
    put,
    yaml_documents,
)


def schemas_of(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema within one."""
    yield value
    for child in (value.get("properties") or {}).values():
        yield from schemas_of(child)
    for key in ("items", "additionalProperties"):
        if isinstance(value.get(key), dict):
            yield from schemas_of(value[key])


@pytest.mark.parametrize(
    "path", ["kubernetes/crds.yaml", "helm/fleetopt/crds/crds.yaml"], ids=["plain", "helm"]
)
def test_what_is_shipped_is_what_is_generated(path: str) -> None:
    """After a change of the spec: `make schema`."""
    assert yaml_documents(DEPLOY / path) == definitions()


@pytest.mark.parametrize("definition", definitions(), ids=list(KINDS))
def test_schemas_are_structural(definition: dict[str, Any]) -> None:
    """Every field has one type or takes anything; nothing of JSON Schema that servers refuse."""
    (version,) = definition["spec"]["versions"]
    for schema in schemas_of(version["schema"]["openAPIV3Schema"]):
        assert ("type" in schema) != ("x-kubernetes-preserve-unknown-fields" in schema) or (
            schema["type"] == "object"
        )
        assert not {"$ref", "anyOf", "oneOf", "const", "prefixItems", "title", "default"} & set(
            schema
        )
        assert not ("properties" in schema and "additionalProperties" in schema)
        assert isinstance(schema.get("exclusiveMinimum", True), bool)
    assert version["subresources"] == {"status": {}}
    assert version["additionalPrinterColumns"]


def test_files_and_addresses_are_no_part_of_a_resource() -> None:
    """Who may edit an object must not choose what the operator reads or whom it tells its token."""
    for definition in definitions():
        (version,) = definition["spec"]["versions"]
        for schema in schemas_of(version["schema"]["openAPIV3Schema"]["properties"]["spec"]):
            keys = set(schema.get("properties") or {})
            assert not keys & {"config", "url", "ca_file", "bearer_file", "state", "fleet"}
            assert not keys & {"solver_options", "collector", "actuator"}


def test_a_server_takes_the_definitions(cluster: Cluster) -> None:
    """Established, accepted, and without a complaint about their schemas."""
    install_definitions(cluster)
    for kind in KINDS.values():
        path = path_of(
            "apis",
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            f"{kind.plural}.{GROUP}",
        )
        found = cluster.admin.get(path)
        conditions = {
            c["type"]: c["status"] for c in (found.get("status") or {}).get("conditions", ())
        }
        assert "NonStructuralSchema" not in conditions
        if cluster.fake is None:
            assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize(("kind", "name"), list(SPECS))
def test_a_server_keeps_what_is_written(cluster: Cluster, kind: str, name: str) -> None:
    """Nothing of a valid object is pruned, and nothing is filled in."""
    install_definitions(cluster)
    assert put(cluster, kind, name)["spec"] == SPECS[kind, name]


WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("Accelerator", "h100", {"cost_per_hour": -1}, "cost_per_hour"),
    ("Accelerator", "h100", {"cards": "two"}, "cards"),
    ("Model", "m", {"performance": [{"accelerator": "h100"}]}, "max_batch"),
    ("Model", "m", {"performance": [{"accelerator": "x", "max_batch": 0}]}, "max_batch"),
    ("ServiceClass", "standard", {"priority": 0}, "priority"),
    ("ServiceClass", "standard", {"slos": []}, "priority"),
    ("Server", "chat", {"model": "m", "class": "standard"}, "load"),
    ("Optimizer", "fleet", {"actuation": "everything"}, "actuation"),
    ("Optimizer", "fleet", {"control": {"forecast": {"quantile": 1.0}}}, "quantile"),
    ("Optimizer", "fleet", {"currency": "dollars"}, "currency"),
]


@pytest.mark.parametrize(("kind", "name", "spec", "words"), WRONG)
def test_a_server_refuses_what_is_wrong(
    cluster: Cluster, kind: str, name: str, spec: dict[str, Any], words: str
) -> None:
    """422 with the field in it, before anything is stored."""
    install_definitions(cluster)
    with pytest.raises(ApiError, match=words) as caught:
        put(cluster, kind, name, spec)
    assert caught.value.status == 422
    assert cluster.admin.items(cluster.path(API, KINDS[kind].plural)).items == ()


def test_statuses_are_apart(cluster: Cluster) -> None:
    """A write to the object leaves the status, one to the status the object and its generation."""
    install_definitions(cluster)
    made = put(cluster, "Server", "chat")
    path = cluster.path(API, "servers", "chat")
    told = cluster.admin.merge(
        cluster.path(API, "servers", "chat", "status"),
        {"spec": {"model": "other"}, "status": {"wanted": 3, "observedGeneration": 1}},
    )
    assert told["spec"] == made["spec"]
    assert told["metadata"]["generation"] == 1
    changed = cluster.admin.merge(path, {"spec": {"model": "n"}, "status": {"wanted": 9}})
    assert changed["status"]["wanted"] == 3
    assert changed["metadata"]["generation"] == 2


def test_a_server_takes_the_manifests(cluster: Cluster) -> None:
    """Roles, binding, Deployment and Service, as they are shipped."""
    for name in ("role-scale.yaml", "role-template.yaml", "operator.yaml"):
        for document in yaml_documents(DEPLOY / "kubernetes" / name):
            for subject in document.get("subjects", ()):
                subject["namespace"] = cluster.namespace  # as kustomize does
            plural = document["kind"].lower() + "s"
            made = cluster.create(document["apiVersion"], plural, document)
            assert made["metadata"]["namespace"] == cluster.namespace
