"""What a user writes: the description of a fleet, its loading, its schema.

A document (YAML or JSON) becomes a `FleetSpec`, which is valid in itself, or a `SpecError` that
carries every `Fault` found.
"""

from __future__ import annotations

from optimizer.errors import Fault, SpecError
from optimizer.spec.accelerator import AcceleratorSpec, CapacitySpec, PowerSpec, TierSpec
from optimizer.spec.assignment import Assignment, assigned, parse_assignment
from optimizer.spec.dumping import dump
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.inferno import load_inferno, looks_like_inferno
from optimizer.spec.length_buckets import LengthBucketsSpec, MeasuredRatesSpec
from optimizer.spec.lengths import LengthDistribution, LengthDistributionSpec
from optimizer.spec.limits import LimitMeasure, LimitSpec, RegionSpec
from optimizer.spec.loading import from_data, load, loads
from optimizer.spec.melange import load_melange, looks_like_melange
from optimizer.spec.model import (
    IterationTableSpec,
    IterationTimingSpec,
    ModelSpec,
    PerformanceSpec,
    PrefillDecodeTimingSpec,
    SpeculativeDecodingSpec,
    TimingUncertaintySpec,
)
from optimizer.spec.objective import (
    Objective,
    ObjectiveStageSpec,
    ObjectiveWeightsSpec,
    StageMeasure,
    TransitionSpec,
)
from optimizer.spec.options import (
    AllocationMode,
    CapacityMode,
    EstimatesPolicy,
    OptimizerSpec,
    PartialService,
    PriorityMode,
    SaturationPolicy,
    ThroughputTarget,
    UnservedPolicy,
)
from optimizer.spec.overriding import with_options
from optimizer.spec.schema import json_schema, slo_json_schema
from optimizer.spec.service import (
    BatchRangeSpec,
    CurrentAllocationSpec,
    FailureDomain,
    LoadSpec,
    ReplicaRangeSpec,
    RoutingPolicy,
    ServiceSpec,
)
from optimizer.spec.service_class import ServiceClassSpec, SloMetric, SloSpec, TargetSpec
from optimizer.spec.slo_application import with_slo_sheet
from optimizer.spec.slo_loading import load_slo, slo_from_data
from optimizer.spec.slo_sheet import ObjectiveMetric, ObjectiveSpec, SloSheetSpec
from optimizer.spec.value_range import parse_range

__all__ = [
    "AcceleratorSpec",
    "AllocationMode",
    "Assignment",
    "BatchRangeSpec",
    "CapacityMode",
    "CapacitySpec",
    "CurrentAllocationSpec",
    "EstimatesPolicy",
    "FailureDomain",
    "Fault",
    "FleetSpec",
    "IterationTableSpec",
    "IterationTimingSpec",
    "LengthBucketsSpec",
    "LengthDistribution",
    "LengthDistributionSpec",
    "LimitMeasure",
    "LimitSpec",
    "LoadSpec",
    "MeasuredRatesSpec",
    "ModelSpec",
    "Objective",
    "ObjectiveMetric",
    "ObjectiveSpec",
    "ObjectiveStageSpec",
    "ObjectiveWeightsSpec",
    "OptimizerSpec",
    "PartialService",
    "PerformanceSpec",
    "PowerSpec",
    "PrefillDecodeTimingSpec",
    "PriorityMode",
    "RegionSpec",
    "ReplicaRangeSpec",
    "RoutingPolicy",
    "SaturationPolicy",
    "ServiceClassSpec",
    "ServiceSpec",
    "SloMetric",
    "SloSheetSpec",
    "SloSpec",
    "SpecError",
    "SpeculativeDecodingSpec",
    "StageMeasure",
    "TargetSpec",
    "ThroughputTarget",
    "TierSpec",
    "TimingUncertaintySpec",
    "TransitionSpec",
    "UnservedPolicy",
    "assigned",
    "dump",
    "from_data",
    "json_schema",
    "load",
    "load_inferno",
    "load_melange",
    "load_slo",
    "loads",
    "looks_like_inferno",
    "looks_like_melange",
    "parse_assignment",
    "parse_range",
    "slo_from_data",
    "slo_json_schema",
    "with_options",
    "with_slo_sheet",
]
