"""What the parts of the control loop say to each other, defined once.

`ControlSpec` is what a user writes; the other documents travel between the parts. All are frozen,
round-trip through JSON with a `schema_version`, and have a JSON Schema.
"""

from __future__ import annotations

from optimizer.control.spec.configuration import (
    ActuatorSpec,
    BreakerSpec,
    CollectorSpec,
    ControlSpec,
    ForecastSpec,
    StabilizationSpec,
    TuningSpec,
)
from optimizer.control.spec.decision import (
    Clamp,
    Decision,
    ServiceDecision,
    VariantTarget,
)
from optimizer.control.spec.document import ControlDocument
from optimizer.control.spec.forecast import LoadForecast, LoadForecasts
from optimizer.control.spec.loading import load_control, load_scenario
from optimizer.control.spec.observation import (
    NOT_ASKED,
    FleetObservation,
    MissingReason,
    Reading,
    ReplicaCount,
    ReplicaCounts,
    ServiceObservation,
)
from optimizer.control.spec.order import Order, OrderKind, OrderOutcome, OrderResult
from optimizer.control.spec.rest import (
    ActuateAnswer,
    ActuateRequest,
    CollectAnswer,
    CycleDocument,
    ErrorAnswer,
    ErrorDetail,
    ErrorKind,
    InvokeRequest,
    OptimizeAnswer,
    OptimizeRequest,
    RequestFault,
    ServiceLoad,
    ServingWindow,
    TuneAnswer,
    TuneRequest,
    VariantReplicas,
)
from optimizer.control.spec.scenario import (
    FaultKind,
    FaultSpec,
    LoadEventSpec,
    LoadPattern,
    ScenarioSpec,
    ServiceTrafficSpec,
    Simulator,
)
from optimizer.control.spec.schema import DOCUMENTS, control_json_schema
from optimizer.control.spec.status import Condition, ConditionType, ControlStatus, ServiceStatus
from optimizer.control.spec.variant import Variant

__all__ = [
    "DOCUMENTS",
    "NOT_ASKED",
    "ActuateAnswer",
    "ActuateRequest",
    "ActuatorSpec",
    "BreakerSpec",
    "Clamp",
    "CollectAnswer",
    "CollectorSpec",
    "Condition",
    "ConditionType",
    "ControlDocument",
    "ControlSpec",
    "ControlStatus",
    "CycleDocument",
    "Decision",
    "ErrorAnswer",
    "ErrorDetail",
    "ErrorKind",
    "FaultKind",
    "FaultSpec",
    "FleetObservation",
    "ForecastSpec",
    "InvokeRequest",
    "LoadEventSpec",
    "LoadForecast",
    "LoadForecasts",
    "LoadPattern",
    "MissingReason",
    "OptimizeAnswer",
    "OptimizeRequest",
    "Order",
    "OrderKind",
    "OrderOutcome",
    "OrderResult",
    "Reading",
    "ReplicaCount",
    "ReplicaCounts",
    "RequestFault",
    "ScenarioSpec",
    "ServiceDecision",
    "ServiceLoad",
    "ServiceObservation",
    "ServiceStatus",
    "ServiceTrafficSpec",
    "ServingWindow",
    "Simulator",
    "StabilizationSpec",
    "TuneAnswer",
    "TuneRequest",
    "TuningSpec",
    "Variant",
    "VariantReplicas",
    "VariantTarget",
    "control_json_schema",
    "load_control",
    "load_scenario",
]
