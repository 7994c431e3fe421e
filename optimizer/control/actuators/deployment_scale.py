"""One deployment per variant, changed through its scale: what clients of Kubernetes fill in.

`DeploymentScaleActuator` knows which deployment stands for which variant, what a read of it means
and what an answer means; a subclass brings the client: two calls to the API server.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.control.actuators.base import Actuator, outcome
from optimizer.control.errors import ActuationError, ControlError
from optimizer.control.spec import (
    Order,
    OrderOutcome,
    OrderResult,
    ReplicaCount,
    ReplicaCounts,
    Variant,
)
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Deployment", "DeploymentScaleActuator", "ScaleError"]

# As in RFC 1123: what names of deployments and namespaces may be.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_RESULTS = {
    403: OrderResult.REFUSED,
    404: OrderResult.REFUSED,
    409: OrderResult.CONFLICT,
    422: OrderResult.REFUSED,
}


class ScaleError(ActuationError):
    """The API server refused, or did not answer.

    Parameters
    ----------
    message
        For people.
    status
        Of HTTP; None where nothing came back.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment as the API server tells of it.

    Parameters
    ----------
    replicas
        `spec.replicas`.
    ready
        `status.readyReplicas`.
    existing
        Pods of it that are not on their way out.
    terminating
        Pods of it that are.
    resource_version
        Of its scale: a write against an older one is a conflict.
    pending_for_s
        Age of its oldest pod that is not ready [s].
    owner
        Who else scales it, as an autoscaler's name; "" where nobody does.
    """

    replicas: int
    ready: int
    existing: int
    terminating: int
    resource_version: str
    pending_for_s: float = 0.0
    owner: str = ""


class DeploymentScaleActuator(Actuator):
    """Moves shift replicas between deployments; what a deployment runs is never changed.

    Options: `namespace`, and `deployments`: a list of entries with the keys of a variant and
    `deployment`, its name. Variants without a deployment are not available to the plans.
    """

    name = "deployment-scale"
    summary = "deployments of Kubernetes, through their scale"

    def __init__(self, fleet: FleetSpec, folder: Path, options: Mapping[str, Any]) -> None:
        rest = dict(options)
        self.namespace = _checked_name("namespace", rest.pop("namespace", "default"))
        entries = rest.pop("deployments", [])
        super().__init__(fleet, folder, rest)
        self._name_of: dict[Variant, str] = {}
        for place, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            if not isinstance(entry, dict) or "deployment" not in entry:
                raise ControlError(
                    f"actuator '{self.name}': deployments[{place}]: must have the keys service, "
                    "accelerator and deployment"
                )
            given = dict(entry)
            deployment = _checked_name(f"deployments[{place}]", given.pop("deployment"))
            try:
                self._name_of[Variant.model_validate(given)] = deployment
            except ValueError as error:
                raise ControlError(
                    f"actuator '{self.name}': deployments[{place}]: {error}"
                ) from error
        self._versions: dict[Variant, str] = {}

    def begin(self, variants: Sequence[Variant]) -> None:
        """Refuse deployments of what the fleet does not have."""
        known = set(variants)
        for variant, deployment in self._name_of.items():
            if variant not in known:
                near = [str(v) for v in variants if v.service == variant.service]
                raise ControlError(
                    f"actuator '{self.name}': deployment {deployment} stands for {variant}, which "
                    f"the fleet does not have; of this service: {'; '.join(near) or 'none'}"
                )

    def deployable(self) -> frozenset[Variant]:
        """Return the variants that have a deployment."""
        return frozenset(self._name_of)

    @abstractmethod
    def read(self, namespace: str, deployment: str) -> Deployment:
        """Return a deployment as it is.

        Raises
        ------
        ScaleError
            If the API server refuses or does not answer.
        """

    @abstractmethod
    def write(self, namespace: str, deployment: str, replicas: int, resource_version: str) -> None:
        """Set the replicas of a deployment's scale, if it is still of that version.

        Raises
        ------
        ScaleError
            If the API server refuses or does not answer.
        """

    def counts(self, now_s: float) -> ReplicaCounts:
        """Read every deployment; nothing is known where one of them cannot be read."""
        counts = []
        for variant, name in self._name_of.items():
            found = self.read(self.namespace, name)
            self._versions[variant] = found.resource_version
            counts.append(
                ReplicaCount(
                    variant=variant,
                    wanted=found.replicas,
                    ready=found.ready,
                    pending=max(found.existing - found.ready, 0),
                    stopping=found.terminating,
                    pending_for_s=found.pending_for_s,
                )
            )
        return ReplicaCounts(at_s=now_s, counts=tuple(counts))

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Set the scale, unless somebody else owns it or has changed it meanwhile."""
        del now_s
        name = self._name_of.get(order.variant)
        if name is None:
            return outcome(order, OrderResult.REFUSED, "no deployment stands for this variant")
        try:
            found = self.read(self.namespace, name)
            if found.owner:
                return outcome(order, OrderResult.CONFLICT, f"{found.owner} scales {name} too")
            if found.replicas == order.replicas:
                return outcome(order, OrderResult.UNCHANGED)
            if found.resource_version != self._versions.get(order.variant):
                words = f"{name} was changed by somebody else since it was looked at"
                return outcome(order, OrderResult.CONFLICT, words)
            self.write(self.namespace, name, order.replicas, found.resource_version)
        except ScaleError as error:
            result = _RESULTS.get(error.status or 0, OrderResult.FAILED)
            return outcome(order, result, str(error))
        return outcome(order, OrderResult.APPLIED)


def _checked_name(where: str, name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ControlError(
            f"actuator 'deployment-scale': {where}: {name!r}: must be a name as Kubernetes has it: "
            "lower-case letters, digits and -"
        )
    return name
