"""Deployments of a Kubernetes cluster, scaled through its API server."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimizer.control.actuators.base import outcome
from optimizer.control.actuators.deployment_scale import DeploymentScaleActuator
from optimizer.control.errors import ControlError
from optimizer.control.kubernetes.api_server import ApiError, ApiServer
from optimizer.control.kubernetes.credentials import find_credentials
from optimizer.control.kubernetes.deployments import Deployment, deployments_of, owners_of
from optimizer.control.kubernetes.lease import LeaseLock, new_identity
from optimizer.control.kubernetes.names import checked_name, path_of
from optimizer.control.spec import Order, OrderOutcome, OrderResult, ReplicaCounts
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["KubernetesActuator"]

_log = logging.getLogger(__name__)

_NOT_FOUND = 404
# Whoever has not looked for so long has lost the lease [s].
_LEASE_S = 60.0


class KubernetesActuator(DeploymentScaleActuator):
    """Scales deployments of one namespace; the role needs nothing but their scale.

    A look lists the deployments, the pods, the HorizontalPodAutoscalers and KEDA's ScaledObjects of
    the namespace: four requests, however many deployments there are. Where one of them is refused,
    nothing is known and nothing is changed.

    Options: those of `DeploymentScaleActuator`; `kubeconfig` and `context`, by default the pod's
    own service account, else as kubectl finds them; `timeout_s` of a request; `dry_run`: the
    server checks every write and throws it away; and `lease`, the name of a Lease in the namespace:
    who holds it writes, others look on. Without one, two controllers that look and write in each
    other's middle may together exceed a quota, though each write names the version it replaces.
    """

    name = "kubernetes"
    summary = "deployments of a Kubernetes cluster, through their scale"

    def __init__(
        self,
        fleet: FleetSpec,
        folder: Path,
        options: Mapping[str, Any],
        server: ApiServer | None = None,
    ) -> None:
        rest = dict(options)
        kubeconfig = _typed(rest, "kubeconfig", str)
        context = _typed(rest, "context", str)
        timeout_s = _typed(rest, "timeout_s", float)
        dry_run = _typed(rest, "dry_run", bool)
        lease = _typed(rest, "lease", str)
        if lease is not None:
            checked_name("actuator 'kubernetes': lease", lease)
        if timeout_s is not None and not 0 < timeout_s <= 600:
            raise ControlError(
                f"actuator 'kubernetes': timeout_s = {timeout_s:g}: must be from 0 to 600"
            )
        if server is None:
            path = None if kubeconfig is None else folder / Path(kubeconfig).expanduser()
            server = ApiServer(
                find_credentials(path, context), timeout_s=timeout_s or 10.0, dry_run=bool(dry_run)
            )
            if lease is None and not dry_run:
                _log.warning(
                    "actuator 'kubernetes': no lease is named; a second controller of the same "
                    "deployments could exceed a quota together with this one"
                )
        self.server = server
        rest.setdefault("namespace", server.namespace)
        super().__init__(fleet, folder, rest)
        self._lease: LeaseLock | None = None
        if lease is not None:
            self._lease = LeaseLock(server, self.namespace, lease, new_identity(), _LEASE_S)
        self._looked_as_holder = False

    def close(self) -> None:
        """Give the lease back, and close the connections to the server."""
        if self._lease is not None:
            self._lease.release()
        self.server.close()

    def counts(self, now_s: float) -> ReplicaCounts:
        """Look at every deployment, as holder of the lease if it can be had."""
        self._looked_as_holder = self._lease is None or self._lease.hold()
        return super().counts(now_s)

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Set the scale, if the lease has been held since the last look."""
        if self._lease is not None and not (self._looked_as_holder and self._lease.valid()):
            words = self._lease.detail or "it was lost since the last look"
            return outcome(order, OrderResult.REFUSED, f"the lease is not held: {words}")
        return super().apply(now_s, order)

    def look(self, now_s: float) -> Mapping[str, Deployment]:
        """List what there is in the namespace."""
        deployments = self.server.items(self._path("apps/v1", "deployments"))
        pods = self.server.items(path_of("api", "v1", "namespaces", self.namespace, "pods"))
        autoscalers = self.server.items(self._path("autoscaling/v1", "horizontalpodautoscalers"))
        scaled_objects = self._scaled_objects()
        try:
            owners = owners_of(autoscalers.items, scaled_objects)
            return deployments_of(deployments, pods, owners, now_s)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ApiError(f"an object cannot be read: {type(error).__name__}: {error}") from error

    def read(self, deployment: str) -> tuple[int, str]:
        """Get the scale."""
        found = self.server.get(self._path("apps/v1", "deployments", deployment, "scale"))
        return int(found["spec"].get("replicas") or 0), str(found["metadata"]["resourceVersion"])

    def write(self, deployment: str, replicas: int, resource_version: str) -> None:
        """Merge the number into the scale."""
        self.server.merge(
            self._path("apps/v1", "deployments", deployment, "scale"),
            {"metadata": {"resourceVersion": resource_version}, "spec": {"replicas": replicas}},
        )

    def _scaled_objects(self) -> tuple[dict[str, Any], ...]:
        """List KEDA's objects; where KEDA is not installed there are none."""
        try:
            return self.server.items(self._path("keda.sh/v1alpha1", "scaledobjects")).items
        except ApiError as error:
            if error.status == _NOT_FOUND:
                return ()
            raise

    def _path(self, group: str, *segments: str) -> str:
        kind, *rest = segments
        return path_of("apis", *group.split("/"), "namespaces", self.namespace, kind, *rest)


def _typed(options: dict[str, Any], name: str, kind: type) -> Any:
    """Take an option out; refuse another kind."""
    value = options.pop(name, None)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if value is not None and not isinstance(value, kind):
        words = {float: "a number", str: "a text", bool: "true or false"}[kind]
        raise ControlError(f"actuator 'kubernetes': {name} = {value!r}: must be {words}")
    return value
