"""A namespace of an API server, fake or real, as the tests see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx

from optimizer.control.kubernetes import ApiServer, Credentials, path_of
from tests.optimizer.control.kubernetes.fake_api_server import FakeApiServer, Request
from tests.optimizer.control.kubernetes.real_api_server import RealApiServer

Json = dict[str, Any]
TOKENS = {"admintok": "admin", "operatortok": "operator", "othertok": "other"}
RBAC = "rbac.authorization.k8s.io"


class Cluster:
    """One namespace."""

    def __init__(self, server: FakeApiServer | RealApiServer, namespace: str) -> None:
        self.server, self.namespace = server, namespace
        self._ends = ExitStack()
        self.admin = self.client("admintok")
        self.admin.create(
            path_of("api", "v1", "namespaces"),
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        )

    @property
    def fake(self) -> FakeApiServer | None:
        """The fake, whose answers can be made to fail; None where the server is real."""
        return self.server if isinstance(self.server, FakeApiServer) else None

    def client(self, token: str, **options: Any) -> ApiServer:
        given = Credentials(
            server=self.server.url, namespace=self.namespace, token=token, verify=False
        )
        return self._ends.enter_context(closing(ApiServer(given, **options)))

    def close(self) -> None:
        """Close every client that was made."""
        self._ends.close()

    def kubeconfig(self, folder: Path, token: str) -> Path:
        path = folder / f"{token}.yaml"
        path.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n"
            f"clusters: [{{name: c, cluster: {{server: '{self.server.url}', "
            "insecure-skip-tls-verify: true}}]\n"
            f"users: [{{name: u, user: {{token: {token}}}}}]\n"
            f"contexts: [{{name: test, context: {{cluster: c, user: u, "
            f"namespace: {self.namespace}}}}}]\n",
            encoding="utf-8",
        )
        return path

    def path(self, group_version: str, *rest: str) -> str:
        head = ("api", "v1") if group_version == "v1" else ("apis", *group_version.split("/"))
        return path_of(*head, "namespaces", self.namespace, *rest)

    def create(self, group_version: str, plural: str, body: Json) -> Json:
        return self.admin.create(
            self.path(group_version, plural), {"apiVersion": group_version, **body}
        )

    def delete(self, path: str) -> None:
        """As an administrator; the product itself never deletes."""
        with httpx.Client(verify=False, timeout=10, trust_env=False) as client:
            headers = {"Authorization": "Bearer admintok"}
            client.delete(self.server.url + path, headers=headers).raise_for_status()

    def deployment(self, name: str, replicas: int, **spec: Any) -> Json:
        labels = {"app": name}
        pod = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "engine", "image": "engine"}]},
        }
        body = {
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": pod,
                **spec,
            },
        }
        return self.create("apps/v1", "deployments", body)

    def pod(self, deployment: str, number: int, *, ready: bool) -> None:
        """A pod as the deployment's controller and the kubelet would have made it."""
        body = {
            "kind": "Pod",
            "metadata": {
                "name": f"{deployment}-5d9-{number}",
                "labels": {"app": deployment, "pod-template-hash": "5d9"},
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "kind": "ReplicaSet",
                        "name": f"{deployment}-5d9",
                        "uid": "0b2c",
                        "controller": True,
                    }
                ],
            },
            "spec": {"containers": [{"name": "engine", "image": "engine"}]},
        }
        made = self.create("v1", "pods", body)
        status = {"type": "Ready", "status": "True" if ready else "False"}
        self.admin.merge(
            self.path("v1", "pods", made["metadata"]["name"], "status"),
            {"status": {"phase": "Running", "conditions": [status]}},
        )

    def autoscaler(self, name: str, deployment: str) -> None:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment}
        body = {
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name},
            "spec": {"scaleTargetRef": target, "maxReplicas": 5},
        }
        self.create("autoscaling/v1", "horizontalpodautoscalers", body)

    def replicas(self, deployment: str) -> int:
        found = self.admin.get(self.path("apps/v1", "deployments", deployment))
        return int(found["spec"]["replicas"])

    def grant(self, user: str, rules: Sequence[Json], name: str = "all") -> None:
        """Bind a role of these rules to a user, and wait until it holds."""
        role = {"kind": "Role", "metadata": {"name": f"{user}-{name}"}, "rules": list(rules)}
        binding = {
            "kind": "RoleBinding",
            "metadata": {"name": f"{user}-{name}"},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": f"{user}-{name}"},
        }
        self.create(f"{RBAC}/v1", "roles", role)
        self.create(f"{RBAC}/v1", "rolebindings", binding)

    def requests(self, user: str) -> list[Request]:
        """What a user asked in this namespace, in order."""
        if isinstance(self.server, FakeApiServer):
            found = list(self.server.log)
        else:
            found = self.server.requests()
        return [r for r in found if r.user == user and r.namespace == self.namespace]

    def writes(self, user: str) -> list[Request]:
        reading = ("get", "list", "watch")
        return [r for r in self.requests(user) if r.verb not in reading and r.code < 300]


def eventually(what: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Whether something comes true in time; asks again and again."""
    until_s = time.monotonic() + within_s
    while not what():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.05)
    return True
