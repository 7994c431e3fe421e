"""The operator under faults of the API server, and killed between any two of its writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from typing import Any

import pytest

from optimizer.control.errors import ActuationError
from optimizer.control.kubernetes import ApiError, ApiServer
from tests.optimizer.control.kubernetes.clusters import Cluster
from tests.optimizer.control.kubernetes.fake_api_server import FakeApiServer
from tests.optimizer.control.kubernetes.fake_prometheus import FakePrometheus
from tests.optimizer.control.kubernetes.fleet_objects import (
    SPECS,
    change,
    condition,
    put,
    put_fleet,
    roles,
)
from tests.optimizer.control.kubernetes.test_reconciler import Operator, total

FAST = {"stabilization": {"down_window_s": 15, "cooldown_down_s": 0, "tolerance": 0.0}}
MANY = 10**9
# What fails before anything is scaled, or is the scaling itself.
BEFORE_SCALING = ("deployments", "pods", "configmaps", "servers", "optimizers")
# Verb and resource of the requests that fail, the answer (None: done, and the answer is lost), and
# what is due meanwhile.
FAULTS: list[tuple[str, str, int | None, str]] = [
    *(
        ("list", resource, code, "down")
        for resource in ("deployments", "pods", "horizontalpodautoscalers", "scaledobjects")
        for code in (403, 500)
    ),
    *(("list", resource, 503, "up") for resource in ("servers", "optimizers", "deployments")),
    *(
        ("patch", "deployments", code, due)
        for code in (403, 404, 409, 422, 429, 500, None)
        for due in ("up", "down")
    ),
    *(("patch", "configmaps", code, "up") for code in (403, 409, 500)),
    ("patch", "configmaps", None, "steady"),
    *(("update", "leases", code, "up") for code in (409, 500)),
    *(("patch", "servers", code, "steady") for code in (403, 500)),
    ("create", "events", 403, "up"),
]
LOADS = {"up": 200.0, "down": 5.0, "steady": 100.0}


@pytest.fixture
def operator(
    fake_cluster: Cluster, prometheus: FakePrometheus
) -> Iterator[tuple[Operator, FakePrometheus]]:
    put_fleet(fake_cluster)
    change(fake_cluster, "Optimizer", "fleet", spec={"control": FAST})
    fake_cluster.grant("operator", roles("scale"))
    with closing(Operator(fake_cluster, prometheus)) as made:
        prometheus.rates["chat"] = LOADS["steady"]
        _settle(made)
        yield made, prometheus


def _settle(operator: Operator, most: int = 40) -> int:
    """Look until nothing has changed for a while; return the replicas."""
    still, last = 0, -1
    for _ in range(most):
        operator.look()
        now = total(operator.cluster)
        still = still + 1 if now == last else 0
        last = now
        _pods(operator.cluster)
        if still == 3:
            break
    return last


def _pods(cluster: Cluster) -> None:
    """Let pods follow the replicas at once, all ready."""
    assert cluster.fake is not None
    objects = cluster.fake.store.objects
    made = objects.setdefault(("", cluster.namespace, "pods"), {})
    for name in ("chat-h100", "chat-a100"):
        for number in range(40):
            key = f"{name}-5d9-{number}"
            if number < cluster.replicas(name):
                if key not in made:
                    cluster.pod(name, number, ready=True)
            else:
                made.pop(key, None)


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "resource", "code", "due"), FAULTS)
def test_a_fault_loses_nothing_and_passes(
    operator: tuple[Operator, FakePrometheus],
    fake_server: FakeApiServer,
    verb: str,
    resource: str,
    code: int | None,
    due: str,
) -> None:
    """While it lasts replicas go only where they are due; two cycles after, it is forgotten."""
    moved, prometheus = operator
    before = total(moved.cluster)
    prometheus.rates["chat"] = LOADS[due]
    fake_server.failing[verb, resource] = [MANY, code]
    for _ in range(4):
        with suppress(ActuationError):  # nothing was done, and the loop says so
            moved.look()
        during = total(moved.cluster)
        if due != "down":
            assert during >= before
        if code is not None and resource in BEFORE_SCALING:
            assert during == before
    fake_server.failing.clear()
    moved.look(2)
    assert condition(moved.cluster, "Optimizer", "fleet", "Ready")["status"] == "True"
    for _ in range(40):
        after = total(moved.cluster)
        if due == "steady" or (after > before if due == "up" else after < before):
            break
        moved.look()
        _pods(moved.cluster)
    assert (after > before) - (after < before) == {"up": 1, "down": -1, "steady": 0}[due]


class KilledError(BaseException):
    """The process is gone: nothing catches it."""


NEVER = 10**6
DEPLOYMENTS = ("chat-h100", "chat-a100", "tags-h100", "tags-a100")
# Where it ends undisturbed; NEVER proves it.
EXPECTED = (4, 0, 3, 0)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("survived", [*range(9), NEVER])
def test_a_kill_between_any_two_writes_ends_in_the_same_replicas(
    fake_cluster: Cluster,
    prometheus: FakePrometheus,
    monkeypatch: pytest.MonkeyPatch,
    survived: int,
    lost: bool,
) -> None:
    """Killed before or right after its n-th write: the next process ends where one would have."""
    _two_servers(fake_cluster)
    prometheus.rates |= {"chat": 100.0, "tags": 60.0}
    request = ApiServer._request
    writes = 0

    def counted(self: ApiServer, verb: str, *rest: Any, **more: Any) -> Any:
        nonlocal writes
        if verb != "GET" and self is not fake_cluster.admin:
            writes += 1
            if writes == survived + 1:
                if lost:
                    request(self, verb, *rest, **more)
                raise KilledError
        return request(self, verb, *rest, **more)

    with monkeypatch.context() as patched, closing(Operator(fake_cluster, prometheus)) as first:
        patched.setattr(ApiServer, "_request", counted)
        with pytest.raises(KilledError) if survived != NEVER else nullcontext():
            first.look(4)
    _expire(fake_cluster)
    with closing(Operator(fake_cluster, prometheus, "two")) as second:
        second.now_s = first.now_s + 15.0
        second.look(6)
    assert tuple(fake_cluster.replicas(name) for name in DEPLOYMENTS) == EXPECTED


class Clock:
    """Monotonic and wall clock of two processes, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def drive(self, operator: Operator) -> Operator:
        operator.lease._clocks = (lambda: self.now_s,) * 2
        return operator


def _scalings(cluster: Cluster) -> int:
    return len([w for w in cluster.writes("operator") if w.resource == "deployments"])


@pytest.mark.slow
def test_a_process_that_stood_still_in_mid_plan_writes_nothing_more(
    fake_cluster: Cluster, prometheus: FakePrometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two writes for longer than its Lease; who took over ends the plan."""
    _two_servers(fake_cluster)
    prometheus.rates |= {"chat": 100.0, "tags": 60.0}
    clock, request = Clock(), ApiServer._request
    with (
        closing(clock.drive(Operator(fake_cluster, prometheus))) as first,
        closing(clock.drive(Operator(fake_cluster, prometheus, "two"))) as second,
    ):
        assert first.lease.hold()
        assert not second.look().holds_lease

        def stopped(self: ApiServer, verb: str, path: str, *rest: Any, **more: Any) -> Any:
            done = request(self, verb, path, *rest, **more)
            if verb == "PATCH" and path.endswith("/scale"):
                monkeypatch.setattr(ApiServer, "_request", request)
                clock.now_s += 300.0
                second.now_s = first.now_s + 300.0
                assert second.look(4).holds_lease
            return done

        monkeypatch.setattr(ApiServer, "_request", stopped)
        first.look()
        assert clock.now_s == 1300.0, "it was never stopped"
        assert _scalings(fake_cluster) == 2
        assert tuple(fake_cluster.replicas(name) for name in DEPLOYMENTS) == EXPECTED
        prometheus.rates["chat"] = 200.0
        assert not first.look(3).holds_lease
        assert _scalings(fake_cluster) == 2


@pytest.mark.slow
def test_of_two_instances_one_acts_and_then_the_other(
    fake_cluster: Cluster, prometheus: FakePrometheus
) -> None:
    """Both look all the time: cards hold at every look, and a Lease given back is taken up."""
    _two_servers(fake_cluster)
    clock = Clock()
    with (
        closing(clock.drive(Operator(fake_cluster, prometheus))) as first,
        closing(clock.drive(Operator(fake_cluster, prometheus, "two"))) as second,
    ):
        held = []
        for number in range(16):
            # More than there are cards of the dear type, by turns.
            prometheus.rates |= {"chat": 400.0 if number % 8 < 4 else 60.0, "tags": 300.0}
            clock.now_s += 5.0
            looks = [operator.look().holds_lease for operator in (first, second)]
            held.append(tuple(looks))
            _pods(fake_cluster)
            for kind in ("h100", "a100"):
                cards = sum(fake_cluster.replicas(f"{name}-{kind}") for name in ("chat", "tags"))
                assert cards <= 12
            if number == 7:
                first.lease.release()
        assert held[0] == (True, False)
        assert held[-1] == (False, True)
        assert (True, True) not in held


def _two_servers(cluster: Cluster) -> None:
    """A plan of two services takes two writes of scales."""
    put_fleet(cluster)
    entries = [{"deployment": f"tags-{name}", "accelerator": name} for name in ("h100", "a100")]
    for entry in entries:
        cluster.deployment(entry["deployment"], 0)
    put(cluster, "Server", "tags", {**SPECS["Server", "chat"], "deployments": entries})
    counters = dict.fromkeys(("chat", "tags"), "gateway_requests_total")
    change(cluster, "Optimizer", "fleet", spec={"metrics": {"offered": counters}})
    cluster.grant("operator", roles("scale"))


def _expire(cluster: Cluster) -> None:
    """Let the Lease of a dead process run out at once."""
    path = cluster.path("coordination.k8s.io/v1", "leases", "fleetopt-operator")
    with suppress(ApiError):
        found = cluster.admin.get(path)
        free = {**found["spec"], "holderIdentity": ""}
        cluster.admin.replace(path, {**found, "spec": free})
