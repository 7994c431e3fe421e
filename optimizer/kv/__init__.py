"""The KV loading controller: what to load, what to recompute, from which device, what to keep."""

from __future__ import annotations

from optimizer.kv.adaptation import (
    Adaptation,
    AdaptationRules,
    AdaptiveController,
    BandwidthSample,
    DeviceLost,
    DeviceRestored,
    MinimumRatioChanged,
    Rerun,
)
from optimizer.kv.architecture_limits import architecture_limits
from optimizer.kv.chunk_levels import (
    ChunkChoice,
    ChunkPlan,
    CompressionLevel,
    ContextChunk,
    plan_chunks,
)
from optimizer.kv.crossover import find_crossover
from optimizer.kv.delays import (
    LoadDelay,
    LoadOverheads,
    RecomputeDelay,
    effective_bandwidth_gb_s,
    load_delay,
    recompute_delay,
)
from optimizer.kv.device_grid import DeviceGrid, evaluate_grid
from optimizer.kv.device_selection import (
    DeviceAssessment,
    DevicePreference,
    DeviceSelection,
    KvDemand,
    SelectionPolicy,
    select_device,
)
from optimizer.kv.devices import DeviceScope, StorageDevice
from optimizer.kv.kv_shape import BYTES_PER_ELEMENT, KvShape
from optimizer.kv.layer_bins import LayerGroup, binned_compression
from optimizer.kv.overlap import HidingRule, Overlap, hidden, pipeline, total_delay
from optimizer.kv.parallel_mode import JointOption, JointOutcome, JointPrices, optimize_jointly
from optimizer.kv.prefill import PrefillLaw, QuadraticPrefill, SharedPrefill
from optimizer.kv.quality import QualityModel, SaturatingQuality, fit_quality
from optimizer.kv.recompute_ratio import MINIMUM_RATIO, RatioChoice, RatioPolicy, choose_ratio
from optimizer.kv.restoration import RestorationPlan, RestorationTask, plan_restoration
from optimizer.kv.retention import Retention, break_even_bandwidth_gb_s, evaluate_retention
from optimizer.kv.sequential_mode import SequentialOutcome, run_sequentially
from optimizer.kv.storage_cost import LocalCost, StorageCost, StorageUse, storage_cost
from optimizer.kv.striping import StripingPlan, plan_striping
from optimizer.kv.times import LayerTime, WholeModelTime
from optimizer.kv.topology import StoragePath, StorageTopology

__all__ = [
    "BYTES_PER_ELEMENT",
    "MINIMUM_RATIO",
    "Adaptation",
    "AdaptationRules",
    "AdaptiveController",
    "BandwidthSample",
    "ChunkChoice",
    "ChunkPlan",
    "CompressionLevel",
    "ContextChunk",
    "DeviceAssessment",
    "DeviceGrid",
    "DeviceLost",
    "DevicePreference",
    "DeviceRestored",
    "DeviceScope",
    "DeviceSelection",
    "HidingRule",
    "JointOption",
    "JointOutcome",
    "JointPrices",
    "KvDemand",
    "KvShape",
    "LayerGroup",
    "LayerTime",
    "LoadDelay",
    "LoadOverheads",
    "LocalCost",
    "MinimumRatioChanged",
    "Overlap",
    "PrefillLaw",
    "QuadraticPrefill",
    "QualityModel",
    "RatioChoice",
    "RatioPolicy",
    "RecomputeDelay",
    "Rerun",
    "RestorationPlan",
    "RestorationTask",
    "Retention",
    "SaturatingQuality",
    "SelectionPolicy",
    "SequentialOutcome",
    "SharedPrefill",
    "StorageCost",
    "StorageDevice",
    "StoragePath",
    "StorageTopology",
    "StorageUse",
    "StripingPlan",
    "WholeModelTime",
    "architecture_limits",
    "binned_compression",
    "break_even_bandwidth_gb_s",
    "choose_ratio",
    "effective_bandwidth_gb_s",
    "evaluate_grid",
    "evaluate_retention",
    "find_crossover",
    "fit_quality",
    "hidden",
    "load_delay",
    "optimize_jointly",
    "pipeline",
    "plan_chunks",
    "plan_restoration",
    "plan_striping",
    "recompute_delay",
    "run_sequentially",
    "select_device",
    "storage_cost",
    "total_delay",
]
