"""The operator's looks, one by one: what they do, what they tell, and what they leave alone."""

from __future__ import annotations

from contextlib import closing

import pytest

from optimizer.control.operator.resources import (
    ANNOTATION_APPROVE,
    ANNOTATION_INVOKE,
    ANNOTATION_PAUSED,
)
from tests.optimizer.control.kubernetes.clusters import Cluster, eventually
from tests.optimizer.control.kubernetes.fake_prometheus import FakePrometheus
from tests.optimizer.control.kubernetes.fleet_objects import (
    API,
    SPECS,
    change,
    condition,
    install,
    put,
    roles,
    status,
)
from tests.optimizer.control.kubernetes.operators import Operator, total

# As KEDA defines them, as far as who is scaled goes.
SCALED_OBJECTS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "scaledobjects.keda.sh"},
    "spec": {
        "group": "keda.sh",
        "scope": "Namespaced",
        "names": {
            "kind": "ScaledObject",
            "listKind": "ScaledObjectList",
            "plural": "scaledobjects",
            "singular": "scaledobject",
        },
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                },
            }
        ],
    },
}


def test_objects_become_replicas_and_all_is_told(operator: Operator, cluster: Cluster) -> None:
    """A look plans, scales, and says so: conditions, generation, figures, events."""
    look = operator.look()
    assert look.cycle is not None
    wanted = total(cluster)
    assert wanted > 0
    operator.look()
    server = status(cluster, "Server", "chat")
    assert (server["wanted"], server["target"], server["ready"]) == (wanted, wanted, 0)
    assert server["observedGeneration"] == 1
    assert condition(cluster, "Server", "chat", "Ready")["status"] == "True"
    fleet = status(cluster, "Optimizer", "fleet")
    conditions = {c["type"]: c["status"] for c in fleet["conditions"]}
    assert conditions["Ready"] == conditions["Planned"] == conditions["MetricsAvailable"] == "True"
    assert conditions["Conflict"] == conditions["Paused"] == conditions["Degraded"] == "False"
    assert fleet["costPerHour"] > 0
    for kind, name in (("Accelerator", "h100"), ("Model", "m"), ("ServiceClass", "standard")):
        assert condition(cluster, kind, name, "Ready")["reason"] == "Valid"
    events = cluster.admin.items(cluster.path("v1", "events"))
    assert "Scaled" in {event["reason"] for event in events}
    assert all(r.code < 400 or r.code == 404 for r in cluster.requests("operator")), [
        r for r in cluster.requests("operator") if r.code >= 400
    ]


def test_where_nothing_changes_nothing_is_written(operator: Operator, cluster: Cluster) -> None:
    """Ten looks at a steady fleet write its state once a plan, the Lease, and nothing else."""
    operator.look(12)
    assert eventually(lambda: bool(cluster.writes("operator")))
    before = len(cluster.writes("operator"))
    operator.look(10)
    written = {(w.resource, w.subresource) for w in cluster.writes("operator")[before:]}
    assert written <= {("configmaps", ""), ("leases", ""), ("optimizers", "status")}


def test_all_faults_are_told_together_and_the_good_plan_is_held(
    operator: Operator, cluster: Cluster
) -> None:
    """Two wrong objects: each says all that is wrong with it, the Optimizer says both."""
    operator.look(2)
    before = total(cluster)
    spec = dict(SPECS["Server", "chat"])
    change(
        cluster,
        "Server",
        "chat",
        spec={**spec, "model": "absent", "replicas": {"min": 5, "max": 2}},
    )
    slos = [{"targets": [{"metric": "ttft_ms", "bound": n} for n in (1, 2)]}]
    change(cluster, "ServiceClass", "standard", spec={"slos": slos})
    operator.look(2)
    told = condition(cluster, "Server", "chat", "Ready")
    assert (told["status"], told["reason"], told["observedGeneration"]) == ("False", "Invalid", 2)
    assert "spec.model = 'absent'" in told["message"]
    assert "spec.replicas.min = 5" in told["message"]
    assert "bounded twice" in condition(cluster, "ServiceClass", "standard", "Ready")["message"]
    whole = condition(cluster, "Optimizer", "fleet", "ConfigurationValid")
    assert whole["status"] == "False"
    assert "Server chat: " in whole["message"]
    assert "ServiceClass standard: " in whole["message"]
    assert condition(cluster, "Optimizer", "fleet", "LastGoodPlanHeld")["status"] == "True"
    assert total(cluster) == before
    change(cluster, "Server", "chat", spec={"model": "m", "replicas": None})
    change(cluster, "ServiceClass", "standard", spec=SPECS["ServiceClass", "standard"])
    operator.look(2)
    assert condition(cluster, "Optimizer", "fleet", "Ready")["status"] == "True"


def test_a_wrong_server_stops_no_other(operator: Operator, cluster: Cluster) -> None:
    """A new Server of a model that is not there is left out; the others are served."""
    put(cluster, "Server", "broken", {**SPECS["Server", "chat"], "model": "x", "deployments": []})
    operator.look(2)
    assert total(cluster) > 0
    assert condition(cluster, "Server", "broken", "Ready")["reason"] == "Invalid"
    assert condition(cluster, "Server", "chat", "Ready")["status"] == "True"


def test_a_deployment_of_nothing_is_told_at_its_server(
    operator: Operator, cluster: Cluster
) -> None:
    """An entry for an accelerator without performance data names what there is."""
    entries = [*SPECS["Server", "chat"]["deployments"]]
    entries.append({"deployment": "chat-x", "accelerator": "h100", "configuration": "TP8"})
    change(cluster, "Server", "chat", spec={"deployments": entries})
    operator.look(2)
    words = condition(cluster, "Server", "chat", "Ready")["message"]
    assert "deployment chat-x stands for chat on h100 TP8, which the fleet does not have" in words
    assert total(cluster) > 0


def test_what_an_autoscaler_owns_is_a_conflict(operator: Operator, cluster: Cluster) -> None:
    """No act, a condition at the Server and the Optimizer; the free Deployment serves."""
    for name in ("h100", "a100"):
        cluster.autoscaler(f"of-{name}", f"chat-{name}")
    operator.look(3)
    assert total(cluster) == 0
    for kind, name in (("Server", "chat"), ("Optimizer", "fleet")):
        told = condition(cluster, kind, name, "Conflict")
        assert told["status"] == "True"
        assert "HorizontalPodAutoscaler of-h100 scales chat on h100" in told["message"]
    assert not [w for w in cluster.writes("operator") if w.resource == "deployments"]
    cluster.delete(cluster.path("autoscaling/v1", "horizontalpodautoscalers", "of-a100"))
    operator.look(3)
    assert (cluster.replicas("chat-h100"), cluster.replicas("chat-a100") > 0) == (0, True)


def test_what_keda_scales_is_a_conflict(operator: Operator, cluster: Cluster) -> None:
    """A ScaledObject owns the Deployment that it names, with or without its kind, and no other."""
    install(cluster, SCALED_OBJECTS)
    targets = {
        "plain": {"name": "chat-h100"},
        "stateful": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "chat-a100"},
    }
    for name, target in targets.items():
        body = {
            "kind": "ScaledObject",
            "metadata": {"name": name},
            "spec": {"scaleTargetRef": target, "triggers": []},
        }
        cluster.create("keda.sh/v1alpha1", "scaledobjects", body)
    operator.look(3)
    assert cluster.replicas("chat-h100") == 0
    assert cluster.replicas("chat-a100") > 0
    for kind, name in (("Server", "chat"), ("Optimizer", "fleet")):
        told = condition(cluster, kind, name, "Conflict")
        assert told["status"] == "True"
        assert "ScaledObject plain scales chat on h100" in told["message"]
        assert "a100" not in told["message"]
    written = [w.name for w in cluster.writes("operator") if w.resource == "deployments"]
    assert set(written) == {"chat-a100"}
    cluster.delete(cluster.path("keda.sh/v1alpha1", "scaledobjects", "plain"))
    operator.look(2)
    assert condition(cluster, "Server", "chat", "Conflict")["status"] == "False"


def test_the_annotation_pauses_all_or_one(operator: Operator, cluster: Cluster) -> None:
    """Looked at, planned, told, and not changed, until the annotation goes."""
    for kind, name in (("Optimizer", "fleet"), ("Server", "chat")):
        change(cluster, kind, name, metadata={"annotations": {ANNOTATION_PAUSED: "true"}})
        operator.look(2)
        assert total(cluster) == 0
        assert condition(cluster, kind, name, "Paused")["status"] == "True"
        change(cluster, kind, name, metadata={"annotations": {ANNOTATION_PAUSED: None}})
        if kind == "Optimizer":
            change(cluster, "Server", "chat", metadata={"annotations": {ANNOTATION_PAUSED: "true"}})
    operator.look(2)
    assert total(cluster) > 0
    assert condition(cluster, "Server", "chat", "Paused")["status"] == "False"


def test_observing_changes_nothing(operator: Operator, cluster: Cluster) -> None:
    """With actuation observe the plan is told and no scale is written."""
    change(cluster, "Optimizer", "fleet", spec={"actuation": "observe"})
    operator.look(2)
    assert total(cluster) == 0
    assert not [w for w in cluster.writes("operator") if w.resource == "deployments"]
    assert condition(cluster, "Optimizer", "fleet", "Planned")["status"] == "True"


@pytest.mark.slow
def test_a_large_change_waits_for_the_annotation(
    operator: Operator, cluster: Cluster, prometheus: FakePrometheus
) -> None:
    """The breaker's digest stands in the status; the annotation with it lets pass, another not."""
    limits = {"breaker": {"most_stopped_share": 0.2, "free_replicas": 1, "within_s": 600}}
    fast = {"down_window_s": 0, "cooldown_down_s": 0, "least_step": 20}
    change(cluster, "Optimizer", "fleet", spec={"control": {**limits, "stabilization": fast}})
    prometheus.rates["chat"] = 200.0
    operator.look(6)
    prometheus.rates["chat"] = 1.0
    for _ in range(100):
        if _awaiting(cluster):
            break
        operator.look()
    before = total(cluster)
    assert _awaiting(cluster)
    assert condition(cluster, "Optimizer", "fleet", "Approved")["status"] == "False"
    for digest, passes in (("0123456789ab", False), (_awaiting(cluster), True)):
        note = {"annotations": {ANNOTATION_APPROVE: digest}}
        change(cluster, "Optimizer", "fleet", metadata=note)
        operator.look(2)
        assert (total(cluster) < before) is passes


def test_a_plan_is_made_when_somebody_asks(operator: Operator, cluster: Cluster) -> None:
    """Once for every new value of the annotation, whatever the period."""
    change(cluster, "Optimizer", "fleet", spec={"control": {"period_s": 3600}})
    operator.look(3)

    def trigger() -> str:
        return str(operator.look().cycle.decision.trigger)

    assert trigger() == "watch"
    for value in ("one", "two"):
        note = {"annotations": {ANNOTATION_INVOKE: value}}
        change(cluster, "Optimizer", "fleet", metadata=note)
        assert trigger() == "event: invoke"
        assert trigger() == "watch"


def _awaiting(cluster: Cluster) -> str:
    return str(status(cluster, "Optimizer", "fleet").get("awaitingApproval", ""))


def test_a_restart_goes_on(
    operator: Operator, cluster: Cluster, prometheus: FakePrometheus
) -> None:
    """Another process takes the Lease up and the state with it: the same replicas, no new write."""
    operator.look(3)
    before, digest = total(cluster), status(cluster, "Optimizer", "fleet")["planDigest"]
    operator.lease.release()
    scales = len([w for w in cluster.writes("operator") if w.subresource == "scale"])
    with closing(Operator(cluster, prometheus, "two")) as second:
        second.now_s = operator.now_s
        second.look(3)
        assert not operator.look().holds_lease
    assert total(cluster) == before
    assert status(cluster, "Optimizer", "fleet")["planDigest"] == digest
    assert len([w for w in cluster.writes("operator") if w.subresource == "scale"]) == scales


def test_who_lost_the_lease_writes_nothing(
    operator: Operator, cluster: Cluster, prometheus: FakePrometheus
) -> None:
    """Its state meets a conflict even where it believes that the Lease is still its own."""
    operator.look(2)
    path = cluster.path("coordination.k8s.io/v1", "leases", "fleetopt-operator")
    lease = cluster.admin.get(path)
    lease["spec"] |= {"holderIdentity": "two", "leaseDurationSeconds": 600}
    cluster.admin.replace(path, lease)
    state = cluster.path("v1", "configmaps", "fleetopt-state")
    cluster.admin.merge(state, {"metadata": {"annotations": {"written-by": "two"}}})
    before = total(cluster)
    prometheus.rates["chat"] = 150.0
    operator.look()  # still within what it trusts its own renewal for
    told = condition(cluster, "Optimizer", "fleet", "Actuated")
    assert total(cluster) == before
    assert told["reason"] == "JournalFailed"
    assert not operator.lease.hold()
    assert not operator.look().holds_lease


def test_a_second_optimizer_stands_back(operator: Operator, cluster: Cluster) -> None:
    """One acts in a namespace; the other says which."""
    put(cluster, "Optimizer", "zz-other", {})
    operator.look(2)
    told = condition(cluster, "Optimizer", "zz-other", "Ready")
    assert (told["reason"], told["message"]) == (
        "AnotherOptimizer",
        "Optimizer fleet acts in this namespace",
    )


@pytest.mark.slow
def test_missing_figures_take_nothing_away(
    operator: Operator, cluster: Cluster, prometheus: FakePrometheus
) -> None:
    """An empty answer is not an idle fleet: hours later the replicas are still there."""
    operator.look(2)
    before = total(cluster)
    prometheus.empty = True
    for _ in range(3):
        operator.now_s += 3600.0
        operator.look(3)
    assert total(cluster) == before
    assert condition(cluster, "Optimizer", "fleet", "MetricsAvailable")["status"] == "False"


def test_a_server_that_goes_leaves_its_deployments(operator: Operator, cluster: Cluster) -> None:
    """What is no longer described is no longer ours to change."""
    operator.look(2)
    before = total(cluster)
    put(cluster, "Server", "other", {**SPECS["Server", "chat"], "deployments": []})
    cluster.delete(cluster.path(API, "servers", "chat"))
    operator.look(3)
    assert total(cluster) == before > 0


def test_without_an_optimizer_nothing_is_done(operator: Operator, cluster: Cluster) -> None:
    """Neither planned nor written."""
    cluster.delete(cluster.path(API, "optimizers", "fleet"))
    look = operator.look(2)
    assert (look.holds_lease, look.cycle) == (True, None)
    assert total(cluster) == 0


def _with_templates(cluster: Cluster, actuation: str) -> None:
    """Engines that run with 8 requests at a time, and where that stands."""
    container = {"name": "engine", "image": "engine", "args": ["--max-num-seqs=8"]}
    for name in ("chat-h100", "chat-a100"):
        template = {"spec": {"containers": [container]}}
        strategy = {"type": "Recreate", "rollingUpdate": None}
        cluster.admin.merge(
            cluster.path("apps/v1", "deployments", name),
            {"spec": {"template": template, "strategy": strategy}},
            strategic=True,
        )
    places = {"container": "engine", "arguments": {"max_batch": "--max-num-seqs"}}
    entries = [
        {**entry, "max_batch": 8, "template": places}
        for entry in SPECS["Server", "chat"]["deployments"]
    ]
    change(cluster, "Server", "chat", spec={"deployments": entries})
    change(cluster, "Optimizer", "fleet", spec={"actuation": actuation})


def _arguments(cluster: Cluster, name: str) -> list[str]:
    found = cluster.admin.get(cluster.path("apps/v1", "deployments", name))
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return list(container["args"])


def test_settings_are_pinned_unless_templates_may_change(
    operator: Operator, cluster: Cluster
) -> None:
    """With actuation scale the plan is made with the batch that runs, and no template changes."""
    _with_templates(cluster, "scale")
    operator.look(3)
    (one, *_) = status(cluster, "Server", "chat")["variants"]
    assert one["maxBatch"] == 8
    assert _arguments(cluster, "chat-h100") == ["--max-num-seqs=8"]


def test_settings_follow_the_plan_with_the_role_for_it(
    operator: Operator, cluster: Cluster
) -> None:
    """Without the second role the server refuses, and an event says so; with it they change."""
    _with_templates(cluster, "template")
    operator.look(3)
    assert _arguments(cluster, "chat-h100") == ["--max-num-seqs=8"]
    events = cluster.admin.items(cluster.path("v1", "events"))
    refused = [e["message"] for e in events if e["reason"] == "SettingsRefused"]
    assert refused
    assert "403 Forbidden" in refused[0]
    cluster.grant("operator", roles("template"), "template")
    (one, *_) = status(cluster, "Server", "chat")["variants"]
    wanted = [f"--max-num-seqs={one['maxBatch']}"]
    running = next(n for n in ("chat-h100", "chat-a100") if cluster.replicas(n))
    for number in range(cluster.replicas(running)):
        cluster.pod(running, number, ready=True)
    assert eventually(lambda: bool(operator.look() and _arguments(cluster, running) == wanted))
    assert one["maxBatch"] > 8
