"""The operator as a process of its own, with its own token and the shipped role."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

pytest.importorskip("kopf", reason="needs the extra 'operator'")

from optimizer.control.kubernetes import ApiError, ApiServer
from tests.conftest import REPOSITORY
from tests.optimizer.control.kubernetes.clusters import Cluster, eventually
from tests.optimizer.control.kubernetes.fake_api_server import FakeApiServer
from tests.optimizer.control.kubernetes.fake_prometheus import FakePrometheus
from tests.optimizer.control.kubernetes.fake_store import Json
from tests.optimizer.control.kubernetes.fleet_objects import (
    API,
    change,
    condition,
    put,
    put_fleet,
    roles,
    status,
)

pytestmark = pytest.mark.slow  # the solvers are loaded in a fresh process

_COMMAND = "import sys; from optimizer.cli import main; sys.argv[0] = 'fleetopt'; main()"
_WITHIN_S = 120.0


class Process:
    """A running operator and what it says."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.popen, self._log = popen, log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    @property
    def port(self) -> int:
        return int(self.log.partition("metrics on 127.0.0.1:")[2].split()[0])

    def ask(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10, trust_env=False)


@contextmanager
def running(
    cluster: Cluster, prometheus: FakePrometheus, folder: Path, name: str
) -> Iterator[Process]:
    log = folder / f"{name}.log"
    config = cluster.kubeconfig(folder, "operatortok")
    command = [sys.executable, "-c", _COMMAND, "operator", "run", "--kubeconfig", str(config)]
    command += ["--prometheus", prometheus.url, "--listen", "127.0.0.1:0", "--lease-seconds", "4"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "HOSTNAME": name}
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    try:
        yield Process(popen, log)
    finally:
        popen.kill()
        popen.wait(10)


def total(cluster: Cluster) -> int:
    return cluster.replicas("chat-h100") + cluster.replicas("chat-a100")


def _observed(cluster: Cluster) -> int:
    return int(status(cluster, "Optimizer", "fleet").get("observedGeneration", 0))


def test_it_runs_with_the_shipped_role_and_nothing_more(
    cluster: Cluster, prometheus: FakePrometheus, tmp_path: Path
) -> None:
    """It scales, hears of a change at once, ends on request, and was never refused anything."""
    put_fleet(cluster)
    # Looks by the clock are so rare that only the watch can have woken it.
    change(cluster, "Optimizer", "fleet", spec={"control": {"observe_s": 600}})
    cluster.grant("operator", roles("scale"))
    with running(cluster, prometheus, tmp_path, "one") as process:
        assert eventually(lambda: total(cluster) > 0, _WITHIN_S), process.log
        assert eventually(lambda: _observed(cluster) == 2, 30), process.log
        before = total(cluster)
        prometheus.rates["chat"] *= 5  # a plan of its own, kept in the state that is there
        change(cluster, "Optimizer", "fleet", spec={"control": {"period_s": 7}})
        assert eventually(lambda: _observed(cluster) == 3, 30), process.log
        assert eventually(lambda: total(cluster) > before, 30), process.log
        assert process.ask("/healthz").status_code == 200
        assert "fleetopt_operator_holds_lease 1.0" in process.ask("/metrics").text
        assert process.ask("/other").status_code == 404
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(60) == 0, process.log
        assert "Traceback" not in process.log
    lease = cluster.path("coordination.k8s.io/v1", "leases", "fleetopt-operator")
    assert not cluster.admin.get(lease)["spec"].get("holderIdentity")
    asked = cluster.requests("operator")
    assert not [r for r in asked if r.code == 403]
    writes = {(r.verb, r.resource, r.subresource) for r in cluster.writes("operator")}
    kinds = ("accelerators", "models", "optimizers", "servers", "serviceclasses")
    assert writes == {
        ("patch", "deployments", "scale"),
        ("create", "leases", ""),
        ("update", "leases", ""),
        ("create", "configmaps", ""),
        ("patch", "configmaps", ""),
        ("create", "events", ""),
        *(("patch", kind, "status") for kind in kinds),
    }


def test_a_killed_operator_is_followed_by_another(
    cluster: Cluster, prometheus: FakePrometheus, tmp_path: Path
) -> None:
    """SIGKILL in the middle: a second process waits for the Lease, goes on, and changes nothing."""
    put_fleet(cluster)
    cluster.grant("operator", roles("scale"))
    with running(cluster, prometheus, tmp_path, "one") as first:
        assert eventually(lambda: total(cluster) > 0, _WITHIN_S), first.log
        first.popen.kill()
        first.popen.wait(10)
    before = total(cluster)
    change(cluster, "Server", "chat", metadata={"labels": {"seen": "yes"}})
    lease = cluster.path("coordination.k8s.io/v1", "leases", "fleetopt-operator")
    with running(cluster, prometheus, tmp_path, "two") as second:
        assert eventually(
            lambda: cluster.admin.get(lease)["spec"]["holderIdentity"].startswith("two"), _WITHIN_S
        ), second.log
        put(cluster, "Accelerator", "l40s", {"cost_per_hour": 1, "memory_gb": 48})
        assert eventually(
            lambda: condition(cluster, "Accelerator", "l40s", "Ready").get("status") == "True", 60
        ), second.log
    assert cluster.admin.get(lease)["spec"]["leaseTransitions"] == 1
    assert total(cluster) == before


def _dropped(event: Json) -> list[Json]:
    raise ConnectionResetError


def _gone(event: Json) -> list[Json]:
    return [{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}]


def _twice(event: Json) -> list[Json]:
    return [event, event]


def _old_again(event: Json) -> list[Json]:
    """The object as it is, then as it was before."""
    body = copy.deepcopy(event["object"])
    body["metadata"]["generation"] = 1
    return [event, {"type": "MODIFIED", "object": body}]


def _late(event: Json) -> list[Json]:
    time.sleep(5)
    return [event]


WATCHES = {
    "watch dropped": _dropped,
    "410 Gone": _gone,
    "duplicate events": _twice,
    "out-of-order events": _old_again,
    "slow": _late,
}


def test_a_change_is_heard_of_whatever_the_watch_does(
    fake_server: FakeApiServer, fake_cluster: Cluster, prometheus: FakePrometheus, tmp_path: Path
) -> None:
    """A change during the fault and one after it are looked at; nothing is scaled for it."""
    cluster = fake_cluster
    put_fleet(cluster)
    change(cluster, "Optimizer", "fleet", spec={"control": {"observe_s": 600}})
    cluster.grant("operator", roles("scale"))

    def heard_of(period_s: int) -> bool:
        change(cluster, "Optimizer", "fleet", spec={"control": {"period_s": period_s}})
        path = cluster.path(API, "optimizers", "fleet")
        wanted = cluster.admin.get(path)["metadata"]["generation"]
        return bool(eventually(lambda: _observed(cluster) == wanted, 60))

    with running(cluster, prometheus, tmp_path, "one") as process:
        assert eventually(lambda: total(cluster) > 0, _WITHIN_S), process.log
        before = total(cluster)
        scaled = len([w for w in cluster.writes("operator") if w.resource == "deployments"])
        for number, (fault, watched) in enumerate(WATCHES.items()):
            met: list[Json] = []
            fake_server.watched = lambda event, met=met, to=watched: (met.append(event), to(event))[
                1
            ]
            assert heard_of(100 + number), (fault, process.log)
            assert met, fault
            fake_server.watched = None
            assert heard_of(200 + number), (fault, process.log)
        fake_server.failing["watch", "optimizers"] = [3, 500]
        assert heard_of(300), process.log
        assert total(cluster) == before
        again = len([w for w in cluster.writes("operator") if w.resource == "deployments"])
        assert again == scaled
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(60) == 0, process.log


EXTRA = [
    ("patch", "apps/v1", ("deployments", "chat-h100")),
    ("replace", "apps/v1", ("deployments", "chat-h100")),
    ("create", "apps/v1", ("deployments",)),
    ("replace", "apps/v1", ("deployments", "chat-h100", "scale")),
    ("patch", "apps/v1", ("deployments", "chat-h100", "status")),
    ("get", "v1", ("secrets", "x")),
    ("items", "v1", ("secrets",)),
    ("items", "v1", ("configmaps",)),
    ("get", "v1", ("configmaps", "other")),
    ("patch", "v1", ("configmaps", "other")),
    ("get", "coordination.k8s.io/v1", ("leases", "other")),
    ("replace", "coordination.k8s.io/v1", ("leases", "other")),
    ("create", "v1", ("pods",)),
    ("patch", "v1", ("pods", "x")),
    ("patch", API, ("servers", "chat")),
    ("create", API, ("servers",)),
    ("replace", API, ("optimizers", "fleet", "status")),
    ("patch", "autoscaling/v1", ("horizontalpodautoscalers", "x")),
    ("create", "rbac.authorization.k8s.io/v1", ("roles",)),
]


def test_every_other_verb_is_forbidden(cluster: Cluster) -> None:
    """403 for each thing that the role does not name."""
    put_fleet(cluster)
    cluster.grant("operator", roles("scale"))
    client = cluster.client("operatortok")
    assert eventually(lambda: _may(client, cluster))
    for verb, group, place in EXTRA:
        path = cluster.path(group, *place)
        with pytest.raises(ApiError) as caught:
            _ask(client, verb, path)
        assert caught.value.status == 403, (verb, path)


def _ask(client: ApiServer, verb: str, path: str) -> object:
    body = {"apiVersion": "v1", "kind": "x", "metadata": {"name": "x"}, "spec": {}}
    match verb:
        case "get":
            return client.get(path)
        case "items":
            return client.items(path)
        case "create":
            return client.create(path, body)
        case "replace":
            return client.replace(path, body)
        case _:
            return client.merge(path, body)


def _may(client: ApiServer, cluster: Cluster) -> bool:
    try:
        client.items(cluster.path("apps/v1", "deployments"))
    except ApiError:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "8080"], "must be ADDRESS:PORT"),
        (["--lease-seconds", "nan"], "lease-seconds"),
        (["--kubeconfig", "absent.yaml"], "there is no such file"),
        (["--namespace", "A/B", "--kubeconfig", "given"], "must be a name as Kubernetes has it"),
        (["--kubeconfig", "given", "--prometheus", "ftp://x"], "must begin with http"),
    ],
)
def test_wrong_options_end_it_in_words(
    fake_cluster: Cluster, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """One message, no traceback."""
    config = str(fake_cluster.kubeconfig(tmp_path, "operatortok"))
    given = [config if word == "given" else word for word in arguments]
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, "operator", "run", *given],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode in (2, 3)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
