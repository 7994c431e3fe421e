"""The deployments of an operator: scaled while its lease holds, and not where told not to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from optimizer.control.actuators.base import outcome
from optimizer.control.actuators.kubernetes import KubernetesActuator
from optimizer.control.kubernetes import ApiError, ApiServer
from optimizer.control.operator.resources import Actuation, DeploymentEntrySpec
from optimizer.control.spec import Order, OrderOutcome, OrderResult, Variant
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["OperatedDeployments"]

_FORBIDDEN = 403  # as the API server would say, if it knew


class OperatedDeployments(KubernetesActuator):
    """Scales what Servers name.

    Parameters
    ----------
    fleet
        The fleet.
    server
        The API server.
    namespace
        Of the Deployments.
    may_write
        Whether the lease holds, asked before every write.
    """

    name = "operator"
    summary = "deployments that Servers name"

    def __init__(
        self, fleet: FleetSpec, server: ApiServer, namespace: str, may_write: Callable[[], bool]
    ) -> None:
        super().__init__(fleet, Path(), {"namespace": namespace}, server)
        self._may_write = may_write
        self.paused: frozenset[str] = frozenset()
        """Services that are left as they are."""
        self.actuation = Actuation.SCALE
        self.unmatched: Mapping[Variant, str] = {}
        """What is wrong with entries that stand for nothing in the fleet."""

    def take(self, deployments: Mapping[str, Collection[DeploymentEntrySpec]]) -> None:
        """Take the entries of Servers in place of those before."""
        self._given = {
            Variant(
                service=service,
                accelerator=entry.accelerator,
                configuration=entry.configuration,
                max_batch=entry.max_batch,
            ): entry.deployment
            for service, entries in deployments.items()
            for entry in entries
        }
        self._name_of = dict(self._given)

    def begin(self, variants: Sequence[Variant]) -> None:
        """Find the variant of every entry; what is wrong with one stops no other."""
        self.unmatched = self.match(variants)

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Set the scale, unless the lease is lost or somebody asked for it to be left alone."""
        service = order.variant.service
        if self.actuation is Actuation.OBSERVE:
            return outcome(order, OrderResult.SHADOWED, "actuation is observe")
        if service in self.paused:
            return outcome(order, OrderResult.REFUSED, f"Server {service} is paused")
        return super().apply(now_s, order)

    def write(self, deployment: str, replicas: int, resource_version: str) -> None:
        """Merge the number into the scale, while the lease holds."""
        if not self._may_write():
            raise ApiError("the lease is not held any more", _FORBIDDEN)
        super().write(deployment, replicas, resource_version)
