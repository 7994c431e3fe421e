"""Deployments of a Kubernetes cluster, scaled through its API server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimizer.control.actuators.deployment_scale import DeploymentScaleActuator
from optimizer.control.errors import ControlError
from optimizer.control.kubernetes.api_server import ApiError, ApiServer
from optimizer.control.kubernetes.credentials import find_credentials
from optimizer.control.kubernetes.deployments import Deployment, deployments_of, owners_of
from optimizer.control.kubernetes.names import path_of
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["KubernetesActuator"]

_NOT_FOUND = 404


class KubernetesActuator(DeploymentScaleActuator):
    """Scales deployments of one namespace; the role needs nothing but their scale.

    A look lists the deployments, the pods, the HorizontalPodAutoscalers and KEDA's ScaledObjects of
    the namespace: four requests, however many deployments there are. Where one of them is refused,
    nothing is known and nothing is changed.

    Options: those of `DeploymentScaleActuator`; `kubeconfig` and `context`, by default the pod's
    own service account, else as kubectl finds them; `timeout_s` of a request; and `dry_run`:
    the server checks every write and throws it away.
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
        if timeout_s is not None and not 0 < timeout_s <= 600:
            raise ControlError(
                f"actuator 'kubernetes': timeout_s = {timeout_s:g}: must be from 0 to 600"
            )
        if server is None:
            path = None if kubeconfig is None else folder / Path(kubeconfig).expanduser()
            server = ApiServer(
                find_credentials(path, context), timeout_s=timeout_s or 10.0, dry_run=bool(dry_run)
            )
        self.server = server
        rest.setdefault("namespace", server.namespace)
        super().__init__(fleet, folder, rest)

    def close(self) -> None:
        """Close the connections to the server."""
        self.server.close()

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
