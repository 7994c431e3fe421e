"""What runs and is in no plan holds cards: it counts, and is told, across restarts too."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from optimizer.control.operator.resources import LABEL_ACCELERATOR
from tests.optimizer.control.kubernetes.clusters import Cluster
from tests.optimizer.control.kubernetes.fake_prometheus import FakePrometheus
from tests.optimizer.control.kubernetes.fleet_objects import (
    API,
    SPECS,
    change,
    condition,
    put,
)
from tests.optimizer.control.kubernetes.operators import Operator, total

# More than all cards of a type carry.
MUCH_RPS = 2000.0


def unplanned(cluster: Cluster) -> str:
    told = condition(cluster, "Optimizer", "fleet", "Unplanned")
    return str(told["message"]) if told["status"] == "True" else ""


def held_by_chat(cluster: Cluster) -> int:
    return cluster.replicas("chat-h100")


def limited(count: object) -> dict[str, Any]:
    """A pod template whose engine is given so many cards."""
    limits = {"nvidia.com/gpu": str(count), "cpu": "900"}
    engine = {"name": "engine", "image": "engine", "resources": {"limits": limits}}
    helper = {"name": "router", "image": "router"}
    return {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [engine, helper]}}


def running(cluster: Cluster, name: str, replicas: int, cards: int) -> None:
    selector = {"matchLabels": {"app": "x"}}
    cluster.deployment(name, replicas, template=limited(cards), selector=selector)


def other_server(name: str = "other-h100", **changes: Any) -> dict[str, Any]:
    entries = [{"deployment": name, "accelerator": "h100"}]
    return {**SPECS["Server", "chat"], "deployments": entries, **changes}


def test_a_server_that_never_was_valid_counts(
    operator: Operator, cluster: Cluster, prometheus: FakePrometheus
) -> None:
    """Its pods' limits times its replicas are not granted to others, at any look."""
    prometheus.rates["chat"] = MUCH_RPS
    running(cluster, "wrong-h100", 4, 2)
    put(cluster, "Server", "wrong", other_server("wrong-h100", model="absent"))
    for _ in range(4):
        operator.look()
        assert held_by_chat(cluster) <= 12 - 8
    assert held_by_chat(cluster) == 4
    assert unplanned(cluster) == "Deployment wrong-h100 of wrong: 4 x 2 h100"
    path = cluster.path("apps/v1", "deployments", "wrong-h100", "scale")
    cluster.admin.merge(path, {"spec": {"replicas": 1}})
    operator.look(3)
    assert held_by_chat(cluster) == 10
    events = cluster.admin.items(cluster.path("v1", "events"))
    assert "CardsHeld" in {event["reason"] for event in events}


@pytest.mark.parametrize("restarted", [False, True])
def test_a_server_that_is_deleted_counts(
    operator: Operator, cluster: Cluster, prometheus: FakePrometheus, restarted: bool
) -> None:
    """Its replicas run on and hold what they held, also where it went while nobody looked."""
    cluster.deployment("other-h100", 7)
    put(cluster, "Server", "other", other_server())
    operator.look(2)
    assert unplanned(cluster) == ""
    held = cluster.replicas("other-h100")
    prometheus.rates["chat"] = MUCH_RPS
    cluster.delete(cluster.path(API, "servers", "other"))
    if restarted:
        operator.lease.release()
    with closing(Operator(cluster, prometheus, "two")) as second:
        acting = second if restarted else operator
        acting.now_s = operator.now_s
        for _ in range(4):
            acting.look()
            assert held_by_chat(cluster) + cluster.replicas("other-h100") <= 12
    assert cluster.replicas("other-h100") == held > 0
    assert unplanned(cluster) == f"Deployment other-h100 of other: {held} x 1 h100"
    assert held_by_chat(cluster) == 12 - held


def test_what_was_valid_last_outlives_a_restart(
    operator: Operator, cluster: Cluster, prometheus: FakePrometheus
) -> None:
    """A Server that is invalid when the operator begins is served as it last could be."""
    operator.look(2)
    change(cluster, "Server", "chat", spec={"model": "absent"})
    operator.lease.release()
    before = total(cluster)
    prometheus.rates["chat"] *= 3
    with closing(Operator(cluster, prometheus, "two")) as second:
        second.now_s = operator.now_s
        look = second.look(2)
    assert [one.service for one in look.cycle.decision.services] == ["chat"]
    assert total(cluster) > before
    assert condition(cluster, "Server", "chat", "Ready")["reason"] == "Invalid"
    assert unplanned(cluster) == ""


def test_a_label_makes_a_deployment_of_nobody_count(
    operator: Operator, cluster: Cluster, prometheus: FakePrometheus
) -> None:
    """By the accelerator that it names; without limits a replica takes the machine's cards."""
    prometheus.rates["chat"] = MUCH_RPS
    cluster.deployment("batch", 5)
    cluster.deployment("web", 50)
    note = {"metadata": {"labels": {LABEL_ACCELERATOR: "h100"}}}
    cluster.admin.merge(cluster.path("apps/v1", "deployments", "batch"), note)
    operator.look(3)
    assert held_by_chat(cluster) == 7
    assert unplanned(cluster) == "Deployment batch: 5 x 1 h100"


def test_pods_of_a_deleted_deployment_count_until_they_are_gone(
    operator: Operator, cluster: Cluster, prometheus: FakePrometheus
) -> None:
    """Of a Deployment with the label, of one that a Server names, and then of neither."""
    prometheus.rates["chat"] = MUCH_RPS
    cluster.deployment("batch", 5)
    note = {"metadata": {"labels": {LABEL_ACCELERATOR: "h100"}}}
    cluster.admin.merge(cluster.path("apps/v1", "deployments", "batch"), note)
    for number in range(5):
        cluster.pod("batch", number, ready=True)
    operator.look(2)
    assert held_by_chat(cluster) == 7
    cluster.delete(cluster.path("apps/v1", "deployments", "batch"))
    operator.look(2)
    assert held_by_chat(cluster) == 7
    assert unplanned(cluster) == "Deployment batch: 5 x 1 h100"
    for number in range(5):
        cluster.delete(cluster.path("v1", "pods", f"batch-5d9-{number}"))
    operator.look(3)
    assert held_by_chat(cluster) == 12
    assert unplanned(cluster) == ""
