"""What the API server tells of deployments: replicas, pods, and who else scales them.

Pure readers of the objects. Pods belong to a deployment by the name of their replica set, which
the deployment controller makes of the deployment's name and the pods' `pod-template-hash`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["Deployment", "deployments_of", "owners_of"]

Json = Mapping[str, Any]

_ENDED = ("Failed", "Succeeded")


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment as the API server tells of it.

    Parameters
    ----------
    replicas
        `spec.replicas`.
    ready
        Pods of it that are ready and stay.
    existing
        Pods of it that are not on their way out.
    terminating
        Pods of it that are.
    resource_version
        A write against an older one is a conflict.
    pending_for_s
        For how long the oldest of its pods has not been ready, or none could be made [s].
    owner
        Who else scales it, as an autoscaler's name; "" where nobody does.
    gone
        Whether it was deleted and only pods of it are left, all of them terminating or soon to be.
    document
        The object itself.
    """

    replicas: int
    ready: int
    existing: int
    terminating: int
    resource_version: str
    pending_for_s: float = 0.0
    owner: str = ""
    gone: bool = False
    document: Json = field(default_factory=dict, compare=False, repr=False)

    @property
    def pending(self) -> int:
        """Replicas that are starting, or have still to be made."""
        return max(max(self.existing, self.replicas) - self.ready, 0)

    @property
    def holding(self) -> int:
        """Replicas that hold cards, or may at any moment."""
        return max(self.existing, self.replicas) + self.terminating


@dataclass(slots=True)
class _Pods:
    """Pods of one deployment."""

    ready: int = 0
    existing: int = 0
    terminating: int = 0
    pending_for_s: float = 0.0


def deployments_of(
    documents: Iterable[Json], pods: Iterable[Json], owners: Mapping[str, str], now_s: float
) -> dict[str, Deployment]:
    """Return deployments by their names, those too of which only pods are left.

    Parameters
    ----------
    documents
        Deployments of one namespace.
    pods
        All pods of that namespace.
    owners
        As from `owners_of`.
    now_s
        Unix time [s].
    """
    of_name = _pods_of(pods, now_s)
    found = {}
    for document in documents:
        name = str(document["metadata"]["name"])
        own = of_name.get(name, _Pods())
        replicas = document.get("spec", {}).get("replicas")
        refused_s = _refused_for_s(document, now_s)
        found[name] = Deployment(
            replicas=1 if replicas is None else int(replicas),
            ready=own.ready,
            existing=own.existing,
            terminating=own.terminating,
            resource_version=str(document["metadata"].get("resourceVersion", "")),
            pending_for_s=max(own.pending_for_s, refused_s),
            owner=owners.get(name, ""),
            document=document,
        )
    for name in of_name.keys() - found.keys():
        left = of_name[name].existing + of_name[name].terminating
        found[name] = Deployment(0, 0, 0, left, resource_version="", gone=True)
    return found


def owners_of(autoscalers: Sequence[Json], scaled_objects: Sequence[Json]) -> dict[str, str]:
    """Return who scales each deployment, by the deployments' names.

    Parameters
    ----------
    autoscalers
        HorizontalPodAutoscalers.
    scaled_objects
        KEDA's ScaledObjects, whose target is a deployment where they do not say.
    """
    owners: dict[str, str] = {}
    for kind, objects in (
        ("ScaledObject", scaled_objects),
        ("HorizontalPodAutoscaler", autoscalers),
    ):
        for found in objects:
            target = found.get("spec", {}).get("scaleTargetRef") or {}
            if target.get("kind", "Deployment") == "Deployment" and "name" in target:
                owners[str(target["name"])] = f"{kind} {found['metadata']['name']}"
    return owners


def _pods_of(pods: Iterable[Json], now_s: float) -> dict[str, _Pods]:
    """Count pods by the deployment that they are of."""
    found: dict[str, _Pods] = {}
    for pod in pods:
        name = _deployment_of(pod["metadata"])
        status = pod.get("status", {})
        if name is None or status.get("phase") in _ENDED:
            continue
        own = found.setdefault(name, _Pods())
        if pod["metadata"].get("deletionTimestamp"):
            own.terminating += 1
            continue
        own.existing += 1
        conditions = {c.get("type"): c for c in status.get("conditions") or ()}
        ready = conditions.get("Ready", {})
        if ready.get("status") == "True":
            own.ready += 1
        else:
            since = ready.get("lastTransitionTime") or pod["metadata"].get("creationTimestamp")
            own.pending_for_s = max(own.pending_for_s, _age_s(since, now_s))
    return found


def _deployment_of(metadata: Json) -> str | None:
    """Return the name of the deployment that a pod is of."""
    suffix = "-" + str((metadata.get("labels") or {}).get("pod-template-hash", ""))
    for owner in metadata.get("ownerReferences") or ():
        name = str(owner.get("name", ""))
        if owner.get("kind") == "ReplicaSet" and len(suffix) > 1 and name.endswith(suffix):
            return name.removesuffix(suffix)
    return None


def _refused_for_s(document: Json, now_s: float) -> float:
    """Return for how long the deployment's pods could not be made, as by a quota [s]."""
    for condition in document.get("status", {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return _age_s(condition.get("lastTransitionTime"), now_s)
    return 0.0


def _age_s(since: object, now_s: float) -> float:
    """Return the age of a time of the API server; 0 for none, and for times to come."""
    if not isinstance(since, str):
        return 0.0
    return max(now_s - datetime.fromisoformat(since).timestamp(), 0.0)
