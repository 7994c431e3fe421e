"""The deployments of an operator: changed while its lease holds, and not where told not to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from optimizer.control.actuators.base import outcome
from optimizer.control.actuators.kubernetes import KubernetesActuator
from optimizer.control.errors import ControlError
from optimizer.control.kubernetes import ApiError, ApiServer, path_of
from optimizer.control.kubernetes.deployments import Deployment
from optimizer.control.kubernetes.engine_template import (
    EngineTemplateSpec,
    settings_of,
    template_change,
)
from optimizer.control.operator.resources import Actuation, DeploymentEntrySpec
from optimizer.control.operator.unplanned_deployments import UnplannedDeployments
from optimizer.control.spec import Order, OrderOutcome, OrderResult, ReplicaCounts, Variant
from optimizer.control.variant_cards import VariantCards
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["OperatedDeployments"]

_FORBIDDEN = 403  # as the API server would say, if it knew


class OperatedDeployments(KubernetesActuator):
    """Scales what Servers name and, where an Optimizer says so, keeps the engines' settings.

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
    unplanned
        What is known of deployments that are in no plan.
    """

    name = "operator"
    summary = "deployments that Servers name"

    def __init__(
        self,
        fleet: FleetSpec,
        server: ApiServer,
        namespace: str,
        may_write: Callable[[], bool],
        unplanned: UnplannedDeployments,
    ) -> None:
        super().__init__(fleet, Path(), {"namespace": namespace}, server)
        self._may_write = may_write
        self._fleet = fleet
        self._templates: dict[str, EngineTemplateSpec] = {}
        self._actuation = Actuation.SCALE
        self.paused: frozenset[str] = frozenset()
        """Services that are left as they are."""
        self._unplanned = unplanned
        self.unmatched: Mapping[Variant, str] = {}
        """What is wrong with entries that stand for nothing in the fleet."""

    @property
    def actuation(self) -> Actuation:
        """What may be changed."""
        return self._actuation

    def take(
        self,
        fleet: FleetSpec,
        deployments: Mapping[str, Collection[DeploymentEntrySpec]],
        actuation: Actuation,
        servers: Sequence[Mapping[str, Any]],
    ) -> None:
        """Take the entries of Servers in place of those before; of them all, what they name."""
        self._fleet, self._actuation = fleet, actuation
        follows = actuation is Actuation.TEMPLATE
        self._given, self._templates = {}, {}
        for service, entries in deployments.items():
            for entry in entries:
                variant = Variant(
                    service=service,
                    accelerator=entry.accelerator,
                    configuration=entry.configuration,
                    max_batch=None if follows and entry.template else entry.max_batch,
                )
                self._given[variant] = entry.deployment
                if follows and entry.template is not None:
                    self._templates[entry.deployment] = entry.template
        self._name_of = dict(self._given)
        self._unplanned.take(fleet, self._given, servers)

    def counts(self, now_s: float) -> ReplicaCounts:
        """Look at every deployment, those that are in no plan too."""
        found = super().counts(now_s)
        self._unplanned.look(self._seen, self._name_of.values())
        return found

    def taken(self) -> Mapping[str, int]:
        """Return what the deployments hold that are in no plan."""
        return self._unplanned.taken()

    def begin(self, variants: Sequence[Variant]) -> None:
        """Find the variant of every entry; what is wrong with one stops no other."""
        self.unmatched = self.match(variants)

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Set the scale, unless somebody asked for it to be left alone."""
        service = order.variant.service
        if self._actuation is Actuation.OBSERVE:
            return outcome(order, OrderResult.SHADOWED, "actuation is observe")
        if service in self.paused:
            return outcome(order, OrderResult.REFUSED, f"Server {service} is paused")
        return super().apply(now_s, order)

    def write(self, deployment: str, replicas: int, resource_version: str) -> None:
        """Merge the number into the scale, while the lease holds."""
        self._check_lease()
        super().write(deployment, replicas, resource_version)

    def align(self) -> dict[str, tuple[str, bool]]:
        """Bring one deployment's settings to those of its variant; return what became of which.

        One at a time, and only while nothing of the fleet is starting or stopping: the settings of
        an engine change by a restart of its replicas.

        Returns
        -------
        dict
            By service: what was changed and whether it went well.
        """
        told: dict[str, tuple[str, bool]] = {}
        at_rest = all(found.pending == found.terminating == 0 for found in self._ours())
        cards = VariantCards(self._fleet)
        for variant, name in self._name_of.items():
            found, spec = self._seen.get(name), self._templates.get(name)
            if found is None or found.gone or found.owner:
                continue
            if spec is None or variant.service in self.paused:
                continue
            try:
                change = template_change(
                    found.document, spec, settings_of(self._fleet, variant), cards.of(variant)[1]
                )
                if change is None or (found.replicas > 0 and not at_rest):
                    continue
                self._check_lease()
                self.server.merge(
                    path_of(
                        "apis", "apps", "v1", "namespaces", self.namespace, "deployments", name
                    ),
                    {"metadata": {"resourceVersion": found.resource_version}, "spec": change},
                    strategic=True,
                )
            except (ApiError, ControlError) as error:
                told[variant.service] = (f"Deployment {name}: {error}", False)
                continue
            told[variant.service] = (f"Deployment {name} now runs {variant}", True)
            return told
        return told

    def _ours(self) -> list[Deployment]:
        names = self._name_of.values()
        return [self._seen[name] for name in names if name in self._seen]

    def _check_lease(self) -> None:
        if not self._may_write():
            raise ApiError("the lease is not held any more", _FORBIDDEN)
