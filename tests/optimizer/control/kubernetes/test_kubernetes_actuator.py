"""The actuator against an API server: what it reads, what it writes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optimizer.control.actuators.kubernetes import KubernetesActuator
from optimizer.control.errors import ActuationError, ControlError
from optimizer.control.kubernetes import ApiError
from optimizer.control.spec import Order, OrderKind, OrderResult, Variant
from optimizer.spec import FleetSpec
from tests.optimizer.control.fleets import variant
from tests.optimizer.control.kubernetes.clusters import Cluster, eventually
from tests.optimizer.control.kubernetes.fake_api_server import FakeApiServer

H, A = variant("chat"), variant("chat", "A100")
OPTIONS = {
    "deployments": [
        {"service": "chat", "accelerator": "H100", "deployment": "chat-h100"},
        {"service": "chat", "accelerator": "A100", "max_batch": 64, "deployment": "chat-a100"},
    ]
}
READING = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]},
    {
        "apiGroups": ["autoscaling"],
        "resources": ["horizontalpodautoscalers"],
        "verbs": ["list"],
    },
    {"apiGroups": ["keda.sh"], "resources": ["scaledobjects"], "verbs": ["list"]},
]
SCALING = {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]}


def order(before: int, after: int, of: Variant = H) -> Order:
    kind = OrderKind.GRANT if after > before else OrderKind.RELEASE
    return Order(variant=of, kind=kind, expected=before, replicas=after, cycle=1)


def actuator_of(
    fleet: FleetSpec, cluster: Cluster, token: str = "admintok", **options: Any
) -> KubernetesActuator:
    made = KubernetesActuator(fleet, Path(), OPTIONS, cluster.client(token, **options))
    made.begin((H, A))
    return made


def test_replicas_are_counted_and_moved(fleet: FleetSpec, cluster: Cluster) -> None:
    """Ready, starting and absent ones are told apart; a move writes two scales and nothing else."""
    cluster.deployment("chat-h100", 2)
    cluster.deployment("chat-a100", 0)
    cluster.pod("chat-h100", 1, ready=True)
    cluster.pod("chat-h100", 2, ready=False)
    cluster.grant("operator", [*READING, SCALING])
    actuator = actuator_of(fleet, cluster, "operatortok")
    assert eventually(lambda: allowed(actuator))
    counts = {count.variant: count for count in actuator.counts(4e9).counts}
    assert (counts[H].wanted, counts[H].ready, counts[H].pending) == (2, 1, 1)
    assert counts[H].pending_for_s > 0
    assert (counts[A].wanted, counts[A].holding) == (0, 0)
    assert actuator.apply(0.0, order(2, 1)).result is OrderResult.APPLIED
    assert actuator.apply(0.0, order(0, 3, A)).result is OrderResult.APPLIED
    assert (cluster.replicas("chat-h100"), cluster.replicas("chat-a100")) == (1, 3)
    assert [(w.verb, w.resource, w.subresource) for w in cluster.writes("operator")] == [
        ("patch", "deployments", "scale")
    ] * 2


def test_pods_of_a_deleted_deployment_hold_cards(fleet: FleetSpec, cluster: Cluster) -> None:
    """Until they are gone; nothing is written to what is not there, and no plan counts on it."""
    cluster.deployment("chat-a100", 0)
    cluster.pod("chat-h100", 1, ready=True)
    cluster.pod("chat-h100", 2, ready=False)
    actuator = actuator_of(fleet, cluster)
    counts = {count.variant: count for count in actuator.counts(0.0).counts}
    assert (counts[H].wanted, counts[H].ready, counts[H].stopping, counts[H].holding) == (
        0,
        0,
        2,
        2,
    )
    assert actuator.deployable() == {A}
    assert actuator.missing() == {H: "chat-h100"}
    assert actuator.apply(0.0, order(0, 1)).result is OrderResult.REFUSED
    cluster.delete(cluster.path("v1", "pods", "chat-h100-5d9-1"))
    cluster.delete(cluster.path("v1", "pods", "chat-h100-5d9-2"))
    assert {c.variant for c in actuator.counts(0.0).counts} == {A}


def allowed(actuator: KubernetesActuator) -> bool:
    """Whether the role holds by now."""
    try:
        actuator.counts(0.0)
    except ActuationError:
        return False
    return True


def test_a_newer_version_with_the_same_replicas_is_no_conflict(
    fleet: FleetSpec, cluster: Cluster
) -> None:
    """Deployments change with every pod; what counts is that nobody changed the replicas."""
    cluster.deployment("chat-h100", 2)
    actuator = actuator_of(fleet, cluster)
    actuator.counts(0.0)
    path = cluster.path("apps/v1", "deployments", "chat-h100")
    cluster.admin.merge(path, {"metadata": {"labels": {"seen": "yes"}}})
    assert actuator.apply(0.0, order(2, 3)).result is OrderResult.APPLIED
    assert cluster.replicas("chat-h100") == 3


def test_what_somebody_else_set_is_not_overwritten(fleet: FleetSpec, cluster: Cluster) -> None:
    """A person sets 5 between the look and the write: 409, then a conflict, and 5 it stays."""
    cluster.deployment("chat-h100", 2)
    actuator = actuator_of(fleet, cluster)
    actuator.counts(0.0)
    path = cluster.path("apps/v1", "deployments", "chat-h100", "scale")
    cluster.admin.merge(path, {"spec": {"replicas": 5}})
    result = actuator.apply(0.0, order(2, 3))
    assert result.result is OrderResult.CONFLICT
    assert "was set to 5 by somebody else" in result.detail
    assert cluster.replicas("chat-h100") == 5


def test_a_stale_version_is_refused_by_the_server(cluster: Cluster) -> None:
    """409 Conflict: the fake and the real one alike."""
    made = cluster.deployment("chat-h100", 2)
    path = cluster.path("apps/v1", "deployments", "chat-h100", "scale")
    cluster.admin.merge(path, {"spec": {"replicas": 3}})
    old = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    with pytest.raises(ApiError, match="Conflict") as caught:
        cluster.admin.merge(path, {**old, "spec": {"replicas": 4}})
    assert (caught.value.status, cluster.replicas("chat-h100")) == (409, 3)


def test_a_deployment_that_an_autoscaler_owns_is_left_alone(
    fleet: FleetSpec, cluster: Cluster
) -> None:
    """It is neither written nor offered to the plan; who owns it is said."""
    cluster.deployment("chat-h100", 2)
    cluster.deployment("chat-a100", 0)
    cluster.autoscaler("chat", "chat-h100")
    actuator = actuator_of(fleet, cluster)
    assert actuator.counts(0.0).wanted() == {H: 2, A: 0}
    assert actuator.deployable() == {A}
    assert actuator.owners() == {H: "HorizontalPodAutoscaler chat"}
    result = actuator.apply(0.0, order(2, 3))
    assert (result.result, result.detail) == (
        OrderResult.CONFLICT,
        "HorizontalPodAutoscaler chat scales chat-h100 too",
    )
    assert cluster.replicas("chat-h100") == 2


def test_a_dry_run_is_checked_and_thrown_away(fleet: FleetSpec, cluster: Cluster) -> None:
    """The server answers as if it had been done; nothing changes, and its log says dryRun."""
    cluster.deployment("chat-h100", 2)
    actuator = actuator_of(fleet, cluster, dry_run=True)
    actuator.counts(0.0)
    assert actuator.apply(0.0, order(2, 3)).result is OrderResult.APPLIED
    assert cluster.replicas("chat-h100") == 2
    assert eventually(
        lambda: [r.dry_run for r in cluster.requests("admin") if r.verb == "patch"] == [True]
    )


def test_a_deployment_that_is_not_there_stops_nobody_else(
    fleet: FleetSpec, cluster: Cluster
) -> None:
    """The others are counted and changed; orders for it are refused in words."""
    cluster.deployment("chat-h100", 2)
    actuator = actuator_of(fleet, cluster)
    assert actuator.counts(0.0).wanted() == {H: 2}
    assert actuator.missing() == {A: "chat-a100"}
    assert actuator.deployable() == {H}
    result = actuator.apply(0.0, order(0, 1, A))
    assert (result.result, result.detail) == (
        OrderResult.REFUSED,
        "there is no deployment chat-a100",
    )
    assert actuator.apply(0.0, order(2, 1)).done


@pytest.mark.parametrize("missing", range(len(READING)))
def test_nothing_is_known_where_one_look_is_forbidden(
    fleet: FleetSpec, cluster: Cluster, missing: int
) -> None:
    """Without one of the four lists there are no counts: unknown is never none."""
    cluster.deployment("chat-h100", 2)
    rules = [rule for place, rule in enumerate(READING) if place != missing]
    cluster.grant("operator", [*rules, SCALING])
    actuator = actuator_of(fleet, cluster, "operatortok")
    with pytest.raises(ActuationError, match="HTTP 403 Forbidden"):
        actuator.counts(0.0)
    assert cluster.writes("operator") == []


def test_a_scale_that_may_not_be_written_is_refused(fleet: FleetSpec, cluster: Cluster) -> None:
    """403 is an outcome; nothing changed."""
    cluster.deployment("chat-h100", 2)
    cluster.grant("operator", READING)
    actuator = actuator_of(fleet, cluster, "operatortok")
    assert eventually(lambda: allowed(actuator))
    result = actuator.apply(0.0, order(2, 3))
    assert result.result is OrderResult.REFUSED
    assert "HTTP 403 Forbidden" in result.detail
    assert cluster.replicas("chat-h100") == 2


@pytest.mark.parametrize(
    "entry",
    [
        {"service": "chat", "accelerator": "H100", "deployment": "../secrets/x"},
        {"service": "chat", "accelerator": "H100", "deployment": "Chat"},
        {"service": "chat", "accelerator": "H100"},
        {"service": "chat", "deployment": "chat"},
        "chat",
    ],
)
def test_names_that_are_none_are_refused(
    fleet: FleetSpec, fake_cluster: Cluster, entry: object
) -> None:
    """No path of a request is ever made of them."""
    with pytest.raises(ControlError, match=r"actuator 'kubernetes': deployments\[0\]"):
        KubernetesActuator(fleet, Path(), {"deployments": [entry]}, fake_cluster.admin)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout_s": -1}, "must be from 0 to 600"),
        ({"timeout_s": True}, "must be a number"),
        ({"dry_run": "yes"}, "must be true or false"),
        ({"kubeconfig": 5}, "must be a text"),
        ({"namespce": "x"}, "has no option namespce"),
        ({"namespace": "a/b"}, "must be a name as Kubernetes has it"),
    ],
)
def test_wrong_options_are_told(
    fleet: FleetSpec, fake_cluster: Cluster, options: dict[str, object], words: str
) -> None:
    """By their name and value."""
    with pytest.raises(ControlError, match=words):
        KubernetesActuator(fleet, Path(), options, fake_cluster.admin)


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (409, OrderResult.CONFLICT),
        (422, OrderResult.REFUSED),
        (429, OrderResult.FAILED),
        (500, OrderResult.FAILED),
        (503, OrderResult.FAILED),
    ],
)
def test_what_the_server_answers_is_an_outcome(
    fleet: FleetSpec,
    fake_server: FakeApiServer,
    fake_cluster: Cluster,
    code: int,
    result: OrderResult,
) -> None:
    """Orders do not raise, and a conflict that stays is tried four times and no more."""
    cluster = fake_cluster
    cluster.deployment("chat-h100", 2)
    actuator = actuator_of(fleet, cluster)
    actuator.counts(0.0)
    fake_server.failing["patch", "deployments"] = [100, code]
    assert actuator.apply(0.0, order(2, 3)).result is result
    tried = [r for r in cluster.requests("admin") if r.verb == "patch"]
    assert len(tried) == (4 if code == 409 else 1)
    assert cluster.replicas("chat-h100") == 2


def test_of_two_controllers_the_holder_of_the_lease_writes(
    fleet: FleetSpec, cluster: Cluster
) -> None:
    """The other looks on, is told who holds it, and takes over where it was given back."""
    cluster.deployment("chat-h100", 2)
    options = {**OPTIONS, "lease": "control"}
    one, two = (
        KubernetesActuator(fleet, Path(), options, cluster.client("admintok")) for _ in range(2)
    )
    for actuator in (one, two):
        actuator.begin((H, A))
        assert actuator.counts(0.0).wanted() == {H: 2}
    refused = two.apply(0.0, order(2, 4))
    assert refused.result is OrderResult.REFUSED
    assert "the lease is not held: held by" in refused.detail
    assert one.apply(0.0, order(2, 3)).result is OrderResult.APPLIED
    one.close()
    assert two.apply(0.0, order(3, 4)).result is OrderResult.REFUSED  # looked before it was free
    two.counts(0.0)
    assert two.apply(0.0, order(3, 4)).result is OrderResult.APPLIED
    two.close()
    assert cluster.replicas("chat-h100") == 4


def test_without_a_lease_a_warning_is_given(
    fleet: FleetSpec, tmp_path: Path, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Two controllers could exceed a quota together; nobody is to learn that afterwards."""
    given = {**OPTIONS, "kubeconfig": str(cluster.kubeconfig(tmp_path, "admintok"))}
    for more in ({}, {"lease": "control"}, {"dry_run": True}):
        KubernetesActuator(fleet, tmp_path, {**given, **more}).close()
    assert caplog.text.count("no lease is named") == 1
    with pytest.raises(ControlError, match="lease: 'Not a name': must be a name"):
        KubernetesActuator(fleet, tmp_path, {**given, "lease": "Not a name"})
