"""Plans as Kubernetes objects: valid names, faithful annotations, the plan's own figures."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from optimizer.fleet import FleetPlan, optimize
from optimizer.report.kubernetes_names import label_value, object_names
from optimizer.report.manifests import MANIFESTS, ManifestSettings, manifests
from tests.optimizer.fleet.fleets import CONSTANT, fleet, service

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
HOSTILE = 'a"} or vector(9) # \\ {{ $(rm) }}'


def plan(*names: str) -> FleetPlan:
    return optimize(fleet(services=[service(name) for name in names]))


def documents(text: str, version: tuple[int, int] = (1, 2)) -> list[dict[str, Any]]:
    reader = YAML(typ="safe", pure=True)
    reader.version = version
    return [d for d in reader.load_all(StringIO(text)) if d]


def test_a_deployment_runs_what_the_plan_says() -> None:
    """Four cards of B per replica, batch 32, the hub id of the model."""
    base = fleet(
        services=[service("chat", replicas={"min": 3})],
        accelerators=[{"name": "B", "cost_per_hour": 5.0}],
        capacities=[],
        performance=[
            {"model": "m", "accelerator": "B", "instances": 4, "max_batch": 32,
             "prefill_decode": CONSTANT},
        ],
    )  # fmt: skip
    chosen = ManifestSettings(namespace="llm", model_ids={"m": "org/Model-1"})
    (object_,) = documents(manifests(optimize(base), "kubernetes", chosen))
    assert object_["metadata"]["name"] == "chat-b"
    assert object_["metadata"]["namespace"] == "llm"
    assert object_["spec"]["replicas"] == 3
    pod = object_["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == [
        "--model", "org/Model-1", "--served-model-name", "m", "--max-num-seqs", "32",
        "--tensor-parallel-size", "4",
    ]  # fmt: skip
    assert pod["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "4"}}
    assert pod["nodeSelector"] == {"fleetopt.io/accelerator": "B"}
    (served,) = documents(manifests(optimize(base), "kserve", chosen))
    assert served["spec"]["model"] == {"uri": "hf://org/Model-1", "name": "m"}
    assert served["spec"]["parallelism"] == {"tensor": 4}
    assert served["spec"]["replicas"] == 3


def test_autoscalers_stay_within_the_plan_and_its_headroom() -> None:
    """Three replicas and half as many again: 3 to 5."""
    three = optimize(fleet(services=[service("chat", replicas={"min": 3})]))
    chosen = ManifestSettings(headroom=0.5)
    (hpa,) = documents(manifests(three, "hpa", chosen))
    assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (3, 5)
    (keda,) = documents(manifests(three, "keda", chosen))
    assert (keda["spec"]["minReplicaCount"], keda["spec"]["maxReplicaCount"]) == (3, 5)
    assert hpa["spec"]["scaleTargetRef"] == keda["spec"]["scaleTargetRef"]
    (deployment,) = documents(manifests(three, "kubernetes", chosen))
    assert deployment["metadata"]["name"] == keda["spec"]["scaleTargetRef"]["name"]


@pytest.mark.parametrize("kind", sorted(MANIFESTS))
def test_names_are_data(kind: str) -> None:
    """Whatever services are called, objects stay valid, distinct, and keep the name in words."""
    names = ("yes", "1.0", HOSTILE, "Chat", "chat", "ünï", "x" * 70, "-", "null")
    made = plan(*names)
    for version in ((1, 1), (1, 2)):
        read = documents(manifests(made, kind, ManifestSettings()), version)
        assert [d["metadata"]["annotations"]["fleetopt.io/service"] for d in read] == [*names]
        objects = [d["metadata"]["name"] for d in read]
        assert len(set(objects)) == len(names)
        assert all(NAME.fullmatch(name) for name in objects)
        assert all(LABEL.fullmatch(v) for d in read for v in d["metadata"]["labels"].values())


def test_queries_hold_no_foreign_promql() -> None:
    """A service whose name closes the braces is asked for by its label alone."""
    (keda,) = documents(manifests(plan(HOSTILE), "keda", ManifestSettings()))
    query = keda["spec"]["triggers"][0]["metadata"]["query"]
    assert re.fullmatch(
        r'max\(fleetopt_desired_replicas\{service="[\w.-]+", accelerator="B"\}\)', query
    )


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), unique=True, max_size=6))
@settings(derandomize=True, deadline=None)
def test_names_are_valid_and_distinct(words: list[tuple[str, ...]]) -> None:
    """For any texts; and a name does not depend on its neighbours once it carries a hash."""
    names = object_names(words)
    assert len(set(names)) == len(names)
    assert all(NAME.fullmatch(name) for name in names)
    assert all(LABEL.fullmatch(label_value(part)) for pair in words for part in pair)


def test_what_is_scaled_to_zero_has_no_objects() -> None:
    """No load and no replica: nothing to deploy."""
    idle = optimize(fleet(services=[service("x", replicas={"min": 0})]))
    assert documents(manifests(idle, "kubernetes", ManifestSettings())) == []
