"""One deployment per variant, changed through its scale: what clients of Kubernetes fill in.

`DeploymentScaleActuator` knows which deployment stands for which variant, what a look at them means
and what an answer means; a subclass brings the client: three calls to the API server.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optimizer.control.actuators.base import Actuator, outcome
from optimizer.control.actuators.variant_entries import read_entries, variants_meant
from optimizer.control.errors import ControlError
from optimizer.control.kubernetes.api_server import ApiError
from optimizer.control.kubernetes.deployments import Deployment
from optimizer.control.kubernetes.names import checked_name
from optimizer.control.spec import (
    Order,
    OrderOutcome,
    OrderResult,
    ReplicaCount,
    ReplicaCounts,
    Variant,
)
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["DeploymentScaleActuator"]

_RESULTS = {
    403: OrderResult.REFUSED,
    404: OrderResult.REFUSED,
    409: OrderResult.CONFLICT,
    422: OrderResult.REFUSED,
}
_CONFLICT = 409
# A deployment's version moves with every pod: so often a write is tried against a newer one whose
# replicas are still as they were.
_MOST_TRIES = 4


class DeploymentScaleActuator(Actuator):
    """Moves shift replicas between deployments; what a deployment runs is never changed.

    Options: `namespace`, and `deployments`: a list of entries with the keys of a variant and
    `deployment`, its name. An entry without `max_batch` stands for the batch that the plan gives
    its variant. Variants without a deployment are not available to the plans, and neither are those
    whose deployment is not there, or is scaled by somebody else.
    """

    name = "deployment-scale"
    summary = "deployments of Kubernetes, through their scale"

    def __init__(self, fleet: FleetSpec, folder: Path, options: Mapping[str, Any]) -> None:
        rest = dict(options)
        self.namespace = checked_name(
            f"actuator '{self.name}': namespace", rest.pop("namespace", "default")
        )
        entries = rest.pop("deployments", [])
        super().__init__(fleet, folder, rest)
        where = f"actuator '{self.name}': deployments"
        self._given = read_entries(where, entries, "deployment")
        for place, deployment in enumerate(self._given.values()):
            checked_name(f"{where}[{place}]", deployment)
        self._name_of = dict(self._given)
        self._seen: Mapping[str, Deployment] = {}

    def begin(self, variants: Sequence[Variant]) -> None:
        """Find the variant of every entry; refuse deployments of what the fleet does not have."""
        found, unmatched = variants_meant("deployment", self._given, variants)
        for words in unmatched.values():
            raise ControlError(f"actuator '{self.name}': {words}")
        self._name_of = found

    def match(self, variants: Sequence[Variant]) -> dict[Variant, str]:
        """Find the variant of every entry; return what is wrong with those that have none."""
        self._name_of, unmatched = variants_meant("deployment", self._given, variants)
        return unmatched

    def deployable(self) -> frozenset[Variant]:
        """Return the variants that have a deployment, less those seen not to be ours to scale."""
        return frozenset(
            variant
            for variant, name in self._name_of.items()
            if not self._seen or (self._there(name) and not self._seen[name].owner)
        )

    def owners(self) -> dict[Variant, str]:
        """Return who else scales a variant's deployment, as last seen."""
        found = ((v, self._seen.get(name)) for v, name in self._name_of.items())
        return {v: seen.owner for v, seen in found if seen is not None and seen.owner}

    def missing(self) -> dict[Variant, str]:
        """Return the names of deployments that were not there when last looked for."""
        return {v: name for v, name in self._name_of.items() if not self._there(name)}

    def _there(self, name: str) -> bool:
        """Whether a deployment was there when last looked for."""
        return name in self._seen and not self._seen[name].gone

    @abstractmethod
    def look(self, now_s: float) -> Mapping[str, Deployment]:
        """Return the deployments of the namespace, by name, at least ours that are there.

        Raises
        ------
        ApiError
            If the API server refuses or does not answer.
        """

    @abstractmethod
    def read(self, deployment: str) -> tuple[int, str]:
        """Return the replicas of a deployment's scale, and of which version it is.

        Raises
        ------
        ApiError
            If the API server refuses or does not answer.
        """

    @abstractmethod
    def write(self, deployment: str, replicas: int, resource_version: str) -> None:
        """Set the replicas of a deployment's scale, if it is still of that version.

        Raises
        ------
        ApiError
            If the API server refuses or does not answer; 409 if it is of another version.
        """

    def counts(self, now_s: float) -> ReplicaCounts:
        """Look at every deployment; one that is not there has what is left of its pods."""
        self._seen = self.look(now_s)
        counts = []
        for variant, name in self._name_of.items():
            found = self._seen.get(name)
            if found is None:
                continue
            counts.append(
                ReplicaCount(
                    variant=variant,
                    wanted=found.replicas,
                    ready=found.ready,
                    pending=found.pending,
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
        if not self._there(name):
            return outcome(order, OrderResult.REFUSED, f"there is no deployment {name}")
        found = self._seen[name]
        if found.owner:
            return outcome(order, OrderResult.CONFLICT, f"{found.owner} scales {name} too")
        try:
            return self._set(order, name, found)
        except ApiError as error:
            result = _RESULTS.get(error.status or 0, OrderResult.FAILED)
            return outcome(order, result, str(error))

    def _set(self, order: Order, name: str, found: Deployment) -> OrderOutcome:
        """Write against the version that was looked at, or a newer one with the same replicas."""
        replicas, version = found.replicas, found.resource_version
        for tried in range(_MOST_TRIES):
            if replicas == order.replicas:
                return outcome(order, OrderResult.UNCHANGED)
            if replicas != found.replicas:
                words = f"{name} was set to {replicas} by somebody else since it was looked at"
                return outcome(order, OrderResult.CONFLICT, words)
            try:
                self.write(name, order.replicas, version)
            except ApiError as error:
                if error.status != _CONFLICT or tried == _MOST_TRIES - 1:
                    raise
            else:
                return outcome(order, OrderResult.APPLIED)
            replicas, version = self.read(name)
        raise AssertionError("the last try returns or raises")
