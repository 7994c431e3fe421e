"""The simulated fleet as deployments behind an API server that fails in its own ways."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from optimizer.control.actuators.deployment_scale import DeploymentScaleActuator
from optimizer.control.kubernetes.api_server import ApiError
from optimizer.control.kubernetes.deployments import Deployment
from optimizer.control.lab.fluid_fleet import FluidFleet
from optimizer.control.spec import Variant


def _name(variant: Variant) -> str:
    return f"{variant.service}-{variant.accelerator}".lower()


class SimulatedDeployments(DeploymentScaleActuator):
    """The real actuator; its three calls go to the simulated fleet.

    Every change of a scale makes a new version; a write against an older one is a conflict.
    """

    def __init__(self, fleet: FluidFleet) -> None:
        entries = [
            {**variant.model_dump(mode="json"), "deployment": _name(variant)}
            for variant in fleet.variants
        ]
        super().__init__(fleet.fleet, Path(), {"deployments": entries})
        self.simulated = fleet
        self.variant_of = {_name(variant): variant for variant in fleet.variants}
        self.versions = dict.fromkeys(self.variant_of, 1)
        self.on_read: Callable[[], None] = lambda: None
        self.on_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None
        self.late: deque[tuple[float, str, int]] = deque()
        self.late_s = 0.0
        self.gone: set[str] = set()
        """Deployments that were deleted."""
        self.behind = 0
        """How many looks the cache is behind."""
        self._cache: dict[str, deque[Deployment]] = {}

    def watch(self) -> None:
        """Let the watch bring what is there now, and the server do what is late."""
        while self.late and self.late[0][0] <= self.simulated.now_s:
            _, name, replicas = self.late.popleft()
            self._scale(name, replicas)
        for name in self.variant_of:
            self._cache.setdefault(name, deque(maxlen=8)).append(self._now(name))

    def look(self, now_s: float) -> Mapping[str, Deployment]:
        self.on_read()
        found = {}
        for name in self.variant_of.keys() - self.gone:
            seen = self._cache.get(name)
            late = seen is not None and self.behind
            found[name] = seen[max(len(seen) - 1 - self.behind, 0)] if late else self._now(name)
        return found

    def read(self, deployment: str) -> tuple[int, str]:
        self.on_read()
        if deployment in self.gone:
            raise ApiError("not found", 404)
        now = self._now(deployment)
        return now.replicas, now.resource_version

    def write(self, deployment: str, replicas: int, resource_version: str) -> None:
        self.on_write()
        if deployment in self.gone:
            raise ApiError("not found", 404)
        if resource_version != str(self.versions[deployment]):
            raise ApiError("the object has been modified", 409)
        if self.late_s:
            self.late.append((self.simulated.now_s + self.late_s, deployment, replicas))
            raise ApiError("timed out")
        self._scale(deployment, replicas)
        self.after_write()

    def _scale(self, name: str, replicas: int) -> None:
        self.simulated.order(self.variant_of[name], replicas)
        self.versions[name] += 1

    def _now(self, name: str) -> Deployment:
        count = self.simulated._replicas[self.variant_of[name]].count(self.simulated.now_s)
        return Deployment(
            replicas=count.wanted,
            ready=count.ready,
            existing=count.ready + count.pending,
            terminating=count.stopping,
            resource_version=str(self.versions[name]),
            pending_for_s=count.pending_for_s,
        )
