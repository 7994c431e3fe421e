"""A plan as Kubernetes objects: deployments, bounds of autoscalers, KServe's inference services.

Names in a plan are data: they become valid object names and labels, and stand unchanged only in
annotations and quoted arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole
from optimizer.report.kubernetes_names import label_value, object_names
from optimizer.report.quoted_yaml import quoted_yaml

__all__ = ["MANIFESTS", "ManifestSettings", "manifests"]

_PREFIX = "fleetopt.io"
_PORT = 8000


@dataclass(frozen=True, kw_only=True)
class ManifestSettings:
    """What a plan does not know of the cluster it is for.

    Parameters
    ----------
    namespace
        Of every object; None: that of whoever applies them.
    image
        Image of the serving engine, which takes vLLM's arguments.
    card_resource
        Name under which nodes offer cards.
    node_label
        Label of nodes whose value is the accelerator's name.
    headroom
        Autoscalers may go beyond the plan's replicas by this share, >= 0.
    prometheus
        Address that KEDA asks.
    model_ids
        Hub id of each model by its name in the plan; the name itself where there is none.
    """

    namespace: str | None = None
    image: str = "vllm/vllm-openai:latest"
    card_resource: str = "nvidia.com/gpu"
    node_label: str = f"{_PREFIX}/accelerator"
    headroom: float = 0.5
    prometheus: str = "http://prometheus.monitoring.svc:9090"
    model_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Variant:
    """One allocation and the name of its objects."""

    name: str
    allocation: Allocation
    settings: ManifestSettings

    @property
    def cards_per_replica(self) -> int:
        return self.allocation.cards // max(self.allocation.replicas, 1)

    @property
    def model_id(self) -> str:
        return self.settings.model_ids.get(self.allocation.model, self.allocation.model)

    @property
    def labels(self) -> dict[str, str]:
        return {
            "app.kubernetes.io/name": self.name,
            "app.kubernetes.io/managed-by": "fleetopt",
            f"{_PREFIX}/service": label_value(self.allocation.service),
            f"{_PREFIX}/accelerator": label_value(self.allocation.accelerator or ""),
        }

    @property
    def metadata(self) -> dict[str, Any]:
        place = {"namespace": self.settings.namespace} if self.settings.namespace else {}
        allocation = self.allocation
        return {
            "name": self.name,
            **place,
            "labels": self.labels,
            "annotations": {
                f"{_PREFIX}/service": allocation.service,
                f"{_PREFIX}/model": allocation.model,
                f"{_PREFIX}/class": allocation.service_class,
                f"{_PREFIX}/accelerator": allocation.accelerator or "",
                f"{_PREFIX}/share": f"{allocation.share:.9g}",
                **self._shared,
            },
        }

    @property
    def _shared(self) -> dict[str, str]:
        names = ",".join(self.allocation.shared_with)
        return {f"{_PREFIX}/shared-with": names} if names else {}

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and most replicas of an autoscaler."""
        replicas = self.allocation.replicas
        return replicas, max(math.ceil(replicas * (1 + self.settings.headroom) - 1e-9), replicas, 1)

    @property
    def batch_arguments(self) -> list[str]:
        batch = self.allocation.max_batch
        return [] if batch is None else ["--max-num-seqs", f"{batch}"]

    @property
    def resources(self) -> dict[str, Any]:
        return {"limits": {self.settings.card_resource: f"{self.cards_per_replica}"}}

    @property
    def node_selector(self) -> dict[str, str]:
        return {self.settings.node_label: label_value(self.allocation.accelerator or "")}

    @property
    def target(self) -> dict[str, str]:
        return {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name}


def _container(variant: _Variant) -> dict[str, Any]:
    parallel = variant.cards_per_replica
    model = ["--model", variant.model_id, "--served-model-name", variant.allocation.model]
    across = ["--tensor-parallel-size", f"{parallel}"] if parallel > 1 else []
    return {
        "name": "main",
        "image": variant.settings.image,
        "args": [*model, *variant.batch_arguments, *across],
        "ports": [{"name": "http", "containerPort": _PORT}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http"}},
        "resources": variant.resources,
    }


def _deployment(variant: _Variant) -> dict[str, Any]:
    selector = {"app.kubernetes.io/name": variant.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": variant.metadata,
        "spec": {
            "replicas": variant.allocation.replicas,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": variant.labels},
                "spec": {
                    "nodeSelector": variant.node_selector,
                    "containers": [_container(variant)],
                },
            },
        },
    }


def _horizontal_autoscaler(variant: _Variant) -> dict[str, Any]:
    least, most = variant.bounds
    labels = {key: variant.labels[f"{_PREFIX}/{key}"] for key in ("service", "accelerator")}
    metric = {"name": "fleetopt_desired_replicas", "selector": {"matchLabels": labels}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": variant.metadata,
        "spec": {
            "scaleTargetRef": variant.target,
            # An autoscaler of this kind never goes to zero.
            "minReplicas": max(least, 1),
            "maxReplicas": most,
            "metrics": [
                {
                    "type": "External",
                    "external": {
                        "metric": metric,
                        "target": {"type": "AverageValue", "averageValue": "1"},
                    },
                }
            ],
        },
    }


def _keda_object(variant: _Variant) -> dict[str, Any]:
    least, most = variant.bounds
    labels = ", ".join(
        f'{key}="{_promql(variant.labels[f"{_PREFIX}/{key}"])}"'
        for key in ("service", "accelerator")
    )
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": variant.metadata,
        "spec": {
            "scaleTargetRef": variant.target,
            "minReplicaCount": least,
            "maxReplicaCount": most,
            "triggers": [
                {
                    "type": "prometheus",
                    "metadata": {
                        "serverAddress": variant.settings.prometheus,
                        "query": f"max(fleetopt_desired_replicas{{{labels}}})",
                        "threshold": "1",
                    },
                }
            ],
        },
    }


def _promql(text: str) -> str:
    """Escape a text for a quoted label value of PromQL."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _kserve_service(variant: _Variant) -> dict[str, Any]:
    # Its controller gives the model, the parallelism and the port to the engine.
    container = {"name": "main", "args": variant.batch_arguments, "resources": variant.resources}
    parallel = variant.cards_per_replica
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "LLMInferenceService",
        "metadata": variant.metadata,
        "spec": {
            "model": {"uri": f"hf://{variant.model_id}", "name": variant.allocation.model},
            "replicas": variant.allocation.replicas,
            **({"parallelism": {"tensor": parallel}} if parallel > 1 else {}),
            "router": {"gateway": {}, "route": {}, "scheduler": {}},
            "template": {
                "nodeSelector": variant.node_selector,
                "containers": [container],
            },
        },
    }


MANIFESTS: dict[str, Callable[[_Variant], dict[str, Any]]] = {
    "kubernetes": _deployment,
    "hpa": _horizontal_autoscaler,
    "keda": _keda_object,
    "kserve": _kserve_service,
}
"""Kinds of objects by the name of their format, each made of one allocation."""


def manifests(plan: FleetPlan, kind: str, settings: ManifestSettings) -> str:
    """Return one YAML document per allocation that has an accelerator and replicas of its own.

    Parameters
    ----------
    kind
        A key of `MANIFESTS`.

    Notes
    -----
    Every text is quoted.
    """
    documents = (quoted_yaml(MANIFESTS[kind](variant)) for variant in _variants(plan, settings))
    return f"# {_comment(plan)}\n" + "".join(f"---\n{document}" for document in documents)


def _comment(plan: FleetPlan) -> str:
    cost = "-" if plan.total_cost_per_hour is None else f"{plan.total_cost_per_hour:.2f}"
    unserved = len(plan.unserved)
    left = f", {unserved} unserved" if unserved else ""
    words = f"fleet {plan.fleet}: {plan.termination}, {cost} {plan.currency}/h{left}"
    return " ".join(words.split())


def _variants(plan: FleetPlan, settings: ManifestSettings) -> Iterator[_Variant]:
    # Replicas that services share are those of one of them.
    placed = [a for a in plan.allocations if a.accelerator is not None and a.replicas_of is None]
    words = [
        (a.service, a.accelerator or "", *(() if a.role is PoolRole.AGGREGATED else (a.role,)))
        for a in placed
    ]
    # One service may have several maximum batches on one accelerator.
    unique = [
        pair if words.count(pair) == 1 else (*pair, f"b{allocation.max_batch}")
        for pair, allocation in zip(words, placed, strict=True)
    ]
    for name, allocation in zip(object_names(unique), placed, strict=True):
        yield _Variant(name, allocation, settings)
