"""The document of part 2: the device for a ratio, and every alternative."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from optimizer.kv.device_selection import (
    DeviceAssessment,
    KvDemand,
    SelectionPolicy,
    select_device,
)
from optimizer.kv.devices import StorageDevice
from optimizer.kv.topology import StorageTopology

__all__ = ["DeviceRow", "DeviceStudy", "device_row", "study_devices"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DeviceRow(_Part):
    """One candidate; delays are null where it cannot be reached."""

    device: str
    scope: str
    bandwidth_gb_s: float = Field(description="Of the path to it, where there is a topology.")
    latency_ms: float
    feasible: bool
    obstacles: list[str]
    qualifies: bool
    load_ms: float | None
    recompute_ms: float
    total_ms: float | None
    recompute_hidden: bool
    loading_hidden: bool
    within_budget: bool
    storage_usd: float
    transfer_usd: float
    request_usd: float
    total_usd: float
    usd_per_hour: float
    reliability: float | None
    availability: float | None
    crossover_ratio: float | None = Field(
        description="Uncapped; null: not reached, or every ratio is hidden."
    )
    optimal_ratio: float | None
    optimal_total_ms: float | None


class DeviceStudy(_Part):
    """Part 2: where to keep a KV cache."""

    schema_version: Literal[1] = 1
    context_tokens: float
    kv_bytes_per_token: float
    kv_bytes: float
    prefill_ms: float
    ratio: float
    prefer: str
    hiding: str = Field(description="What no extra delay means.")
    overlap: str
    duration_h: float
    ttft_budget_ms: float
    chosen: str | None = Field(description="Null: no device is feasible.")
    is_fallback: bool
    reason: str
    devices: list[DeviceRow] = Field(description="Best first.")


def study_devices(
    demand: KvDemand,
    devices: Sequence[StorageDevice],
    *,
    policy: SelectionPolicy,
    topology: StorageTopology | None = None,
    compute: str = "",
) -> DeviceStudy:
    """Select a device and write down all there is to know of every candidate."""
    selection = select_device(demand, devices, policy=policy, topology=topology, compute=compute)
    return DeviceStudy(
        context_tokens=demand.tokens,
        kv_bytes_per_token=float(demand.shape.bytes_per_token),
        kv_bytes=demand.size_bytes,
        prefill_ms=float(demand.prefill.ms),
        ratio=policy.ratio,
        prefer=policy.prefer,
        hiding=policy.hiding,
        overlap=policy.ratios.overlap,
        duration_h=policy.use.duration_h,
        ttft_budget_ms=selection.ttft_budget_ms,
        chosen=None if selection.chosen is None else selection.chosen.device.name,
        is_fallback=selection.is_fallback,
        reason=selection.reason,
        devices=[device_row(one) for one in selection.ranking],
    )


def device_row(one: DeviceAssessment) -> DeviceRow:
    """Write down one candidate."""
    return DeviceRow(
        device=one.device.name,
        scope=one.device.scope,
        bandwidth_gb_s=one.device.bandwidth_gb_s / one.device.sharers,
        latency_ms=one.device.latency_ms,
        feasible=one.feasible,
        obstacles=list(one.obstacles),
        qualifies=one.qualifies,
        load_ms=one.load_ms,
        recompute_ms=one.recompute_ms,
        total_ms=one.total_ms,
        recompute_hidden=one.recompute_hidden,
        loading_hidden=one.loading_hidden,
        within_budget=one.within_budget,
        storage_usd=one.cost.storage_usd,
        transfer_usd=one.cost.transfer_usd,
        request_usd=one.cost.request_usd,
        total_usd=one.cost.total_usd,
        usd_per_hour=one.cost.usd_per_hour,
        reliability=one.device.reliability,
        availability=one.device.availability,
        crossover_ratio=one.crossover_ratio if isfinite(one.crossover_ratio or 0.0) else None,
        optimal_ratio=one.optimal_ratio,
        optimal_total_ms=one.optimal_total_ms,
    )
