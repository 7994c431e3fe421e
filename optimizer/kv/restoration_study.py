"""The document of a restoration: the split, its special cases, several devices, economics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from optimizer.kv.devices import StorageDevice, refuse_twins
from optimizer.kv.restoration import RestorationPlan, RestorationTask, plan_restoration
from optimizer.kv.retention import evaluate_retention
from optimizer.kv.striping import plan_striping

__all__ = ["RestorationStudy", "RetentionFigures", "StripingFigures", "study_restoration"]


_BYTES_PER_GB_MS = 1e6


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StripingFigures(_Part):
    """The prefix from several devices at once; the suffix follows."""

    time_ms: float
    computed_tokens: float
    loaded_tokens: dict[str, float]


class RetentionFigures(_Part):
    """Whether keeping pays."""

    saved_ms_per_hit: float
    saved_usd_per_hit: float
    storage_usd_per_hour: float
    break_even_interval_h: float | None = Field(
        description="Keep what is used again within it; null: always or never."
    )
    keep: bool | None = Field(description="Null: the hits per hour were not given.")


class RestorationStudy(_Part):
    """How to restore a stored prefix; times in ms until the suffix is computed."""

    schema_version: Literal[1] = 1
    prefix_tokens: float
    suffix_tokens: float
    kv_bytes_per_token: float
    kv_bytes: float
    device: str
    bandwidth_gb_s: float
    latency_ms: float
    load_ms: float = Field(description="Of the whole prefix.")
    prefix_compute_ms: float = Field(description="f(P).")
    suffix_compute_ms: float = Field(description="s = f(P + S) - f(P).")
    break_even_bandwidth_gb_s: float | None = Field(
        description="Loading the whole prefix takes as long as computing it; null: never."
    )
    computed_tokens: float = Field(description="The split m: computed from the front.")
    loaded_tokens: float
    time_ms: float
    full_recompute_ms: float
    layerwise_preload_ms: float
    load_then_compute_ms: float
    bidirectional_ms: float
    bidirectional_computed_tokens: float
    gain_over_best_single: float = Field(
        description="Share saved against the better of full recompute and layer-wise preload."
    )
    striping: StripingFigures | None
    retention: RetentionFigures | None
    notes: list[str]


def study_restoration(
    task: RestorationTask,
    device: StorageDevice,
    *,
    stripes: Sequence[StorageDevice] = (),
    gpu_usd_per_hour: float | None = None,
    hits_per_hour: float | None = None,
) -> RestorationStudy:
    """Plan a restoration from a device, from several, and weigh keeping against dropping.

    Parameters
    ----------
    task
        Of numbers; its bandwidth and latency are the device's.
    device
        For its name and prices.
    stripes
        Further devices that hold the prefix.
    gpu_usd_per_hour
        Price of the accelerators; None: no economics.
    hits_per_hour
        Expected use.
    """
    refuse_twins([device, *stripes])
    plan = plan_restoration(task)
    size = float(task.shape.total_bytes(task.prefix_tokens))
    time, full = float(plan.time.ms), float(plan.full_recompute.ms)
    single = min(full, float(plan.layerwise_preload.ms))
    return RestorationStudy(
        prefix_tokens=float(np.asarray(task.prefix_tokens)),
        suffix_tokens=float(np.asarray(task.suffix_tokens)),
        kv_bytes_per_token=float(task.shape.bytes_per_token),
        kv_bytes=size,
        device=device.name,
        bandwidth_gb_s=device.bandwidth_gb_s,
        latency_ms=device.latency_ms,
        load_ms=float(task.load(task.prefix_tokens).whole.ms),
        prefix_compute_ms=float(task.prefill.time(task.prefix_tokens).ms),
        suffix_compute_ms=float(task.suffix.ms),
        break_even_bandwidth_gb_s=_break_even_gb_s(task, size),
        computed_tokens=float(plan.computed_tokens),
        loaded_tokens=float(plan.loaded_tokens),
        time_ms=time,
        full_recompute_ms=full,
        layerwise_preload_ms=float(plan.layerwise_preload.ms),
        load_then_compute_ms=float(plan.load_then_compute.ms),
        bidirectional_ms=float(plan.bidirectional.ms),
        bidirectional_computed_tokens=float(plan.bidirectional_tokens),
        gain_over_best_single=1.0 - time / single if single > 0 else 0.0,
        striping=_striping(task, [device, *stripes]) if stripes else None,
        retention=None
        if gpu_usd_per_hour is None
        else _retention(plan, size, device, gpu_usd_per_hour, hits_per_hour),
        notes=_notes(plan),
    )


def _break_even_gb_s(task: RestorationTask, size_bytes: float) -> float | None:
    """Bandwidth at which size / bandwidth + latency + overheads = f(P)."""
    whole = task.load(task.prefix_tokens).whole
    moving_ms = size_bytes * float(np.asarray(task.sharers)) / _BYTES_PER_GB_MS
    overhead_ms = float(whole.ms) - moving_ms / float(np.asarray(task.bandwidth_gb_s))
    left_ms = float(task.prefill.time(task.prefix_tokens).ms) - overhead_ms
    return moving_ms / left_ms if left_ms > 0 else None


def _striping(task: RestorationTask, devices: Sequence[StorageDevice]) -> StripingFigures:
    prefix = float(np.asarray(task.prefix_tokens))
    plan = plan_striping(task.shape, task.prefill, prefix, devices)
    return StripingFigures(
        time_ms=float((plan.time + task.suffix).ms),
        computed_tokens=plan.computed_tokens,
        loaded_tokens=dict(plan.loaded_tokens),
    )


def _retention(
    plan: RestorationPlan,
    size_bytes: float,
    device: StorageDevice,
    gpu_usd_per_hour: float,
    hits_per_hour: float | None,
) -> RetentionFigures:
    saved_ms = max(float((plan.full_recompute - plan.time).ms), 0.0)
    size_gb = size_bytes / 1e9
    read_usd = size_gb * device.read_usd_per_gb + device.usd_per_1000_reads / 1000.0
    found = evaluate_retention(
        size_bytes,
        saved_ms,
        gpu_usd_per_hour=gpu_usd_per_hour,
        usd_per_gb_hour=device.usd_per_gb_hour * device.copies,
        read_usd=read_usd,
        hits_per_hour=hits_per_hour,
    )
    interval = float(found.break_even_interval_h)
    return RetentionFigures(
        saved_ms_per_hit=saved_ms,
        saved_usd_per_hit=float(found.saved_usd_per_hit),
        storage_usd_per_hour=float(found.storage_usd_per_hour),
        break_even_interval_h=interval if np.isfinite(interval) else None,
        keep=None if found.keep is None else bool(found.keep),
    )


def _notes(plan: RestorationPlan) -> list[str]:
    if float(plan.loaded_tokens) == 0:
        return ["loading is not worth its latency: compute everything"]
    if float(plan.computed_tokens) == 0:
        return ["the device is so fast that nothing is worth computing"]
    return []
