"""Documents of the commands that list, check, learn and control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from optimizer.errors import Fault
from optimizer.performance.tuner.replay import RejectedRow, Residuals
from optimizer.plugin_registry import PluginInfo
from optimizer.spec import PerformanceSpec
from queue_models.description import ModelDescription
from queue_models.registry import PluginInfo as QueueModelInfo
from solvers.description import SolverDescription
from solvers.registry import PluginInfo as SolverInfo

__all__ = [
    "DashboardDocument",
    "DefinitionsDocument",
    "PluginsDocument",
    "QueueModelDocument",
    "QueueModelsDocument",
    "SolverDocument",
    "SolversDocument",
    "TuningDocument",
    "ValidationDocument",
]


@dataclass(frozen=True, kw_only=True)
class PluginsDocument:
    """Of `fleetopt plugins`: by kind."""

    schema_version: int
    plugins: dict[str, list[SolverInfo | QueueModelInfo | PluginInfo]]


@dataclass(frozen=True, kw_only=True)
class SolversDocument:
    """Of `fleetopt solvers`."""

    schema_version: int
    solvers: list[SolverInfo]


@dataclass(frozen=True, kw_only=True)
class SolverDocument:
    """Of `fleetopt solvers --describe`."""

    schema_version: int
    solver: SolverDescription


@dataclass(frozen=True, kw_only=True)
class QueueModelsDocument:
    """Of `fleetopt queue-models`."""

    schema_version: int
    queue_models: list[QueueModelInfo]


@dataclass(frozen=True, kw_only=True)
class QueueModelDocument:
    """Of `fleetopt queue-models --describe`."""

    schema_version: int
    queue_model: ModelDescription


@dataclass(frozen=True, kw_only=True)
class ValidatedFleet:
    """A file, and what is wrong with it."""

    fleet: str
    valid: bool
    faults: list[Fault]


@dataclass(frozen=True, kw_only=True)
class ValidationDocument:
    """Of `fleetopt validate`."""

    schema_version: int
    fleets: list[ValidatedFleet]


@dataclass(frozen=True, kw_only=True)
class LearntParameter:
    """A parameter with its interval of 95 %."""

    value: float
    low: float
    high: float
    log_sd: float


@dataclass(frozen=True, kw_only=True)
class TunedReplicaAccount:
    """What was learnt of one kind of replica; the last five only where anything was."""

    model: str
    accelerator: str
    tuner: str
    queue_model: str
    law: str
    max_batch: int
    rows: int
    accepted: int
    rejected: list[RejectedRow]
    residuals: dict[str, Residuals]
    parameters: dict[str, LearntParameter] | None = None
    noise_log_sd: dict[str, float] | None = None
    prediction_log_sd: float | None = None
    confidence: float | None = None
    changes: int | None = None


@dataclass(frozen=True, kw_only=True)
class TuningDocument:
    """Of `fleetopt tune`."""

    schema_version: int
    source: str
    ignored_columns: list[str]
    replicas: list[TunedReplicaAccount]
    performance: list[PerformanceSpec]


@dataclass(frozen=True, kw_only=True)
class DashboardDocument:
    """Of `fleetopt dashboard`: where it listens."""

    schema_version: int
    url: str


@dataclass(frozen=True, kw_only=True)
class DefinitionsDocument:
    """Of `fleetopt operator crds`: Kubernetes' own format, versioned by `apiVersion`."""

    apiVersion: Literal["v1"]  # noqa: N815
    kind: Literal["List"]
    items: list[dict[str, Any]]
