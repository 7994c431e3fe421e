"""The operator, moved by hand."""

from __future__ import annotations

from typing import Any

from optimizer.control.errors import ActuationError
from optimizer.control.kubernetes.lease import LeaseLock
from optimizer.control.operator.reconciler import Reconciler
from tests.optimizer.control.kubernetes.clusters import Cluster
from tests.optimizer.control.kubernetes.fake_prometheus import FakePrometheus

NOW = 1_800_000_000.0


class Operator:
    """One operator, moved by hand."""

    def __init__(self, cluster: Cluster, prometheus: FakePrometheus, name: str = "one") -> None:
        self.cluster = cluster
        server = cluster.client("operatortok")
        self.lease = LeaseLock(server, cluster.namespace, "fleetopt-operator", name)
        self.reconciler = Reconciler(server, cluster.namespace, self.lease, {"url": prometheus.url})
        self.now_s = NOW

    def look(self, times: int = 1) -> Any:
        for _ in range(times):
            self.now_s += 15.0
            found = self.reconciler.step(self.now_s)
        return found

    def close(self) -> None:
        self.reconciler.close()


def may_act(operator: Operator) -> bool:
    """Whether the role holds by now."""
    try:
        return bool(operator.lease.hold())
    except ActuationError:
        return False


def total(cluster: Cluster) -> int:
    return cluster.replicas("chat-h100") + cluster.replicas("chat-a100")
