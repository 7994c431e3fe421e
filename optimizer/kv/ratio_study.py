"""The document of part 1: the ratio for a device, beside what else one may want to know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from optimizer.kv.delays import LoadDelay, LoadOverheads
from optimizer.kv.devices import StorageDevice
from optimizer.kv.kv_shape import KvShape
from optimizer.kv.overlap import Overlap, total_delay
from optimizer.kv.prefill import PrefillLaw, SharedPrefill
from optimizer.kv.quality import SaturatingQuality
from optimizer.kv.recompute_ratio import RatioChoice, RatioPolicy, choose_ratio
from optimizer.kv.restoration import RestorationPlan, RestorationTask, plan_restoration
from optimizer.kv.times import LayerTime

__all__ = ["ExpectedQuality", "RatioStudy", "study_ratio"]

_BYTES_PER_GB_MS = 1e6


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ExpectedQuality(_Part):
    """Expected quality of the answer at the ratio."""

    metric: str
    score: float
    without_recompute: float
    with_full_recompute: float
    source: str


class RatioStudy(_Part):
    """Part 1: how much to recompute when loading from one device; unknown figures are null."""

    schema_version: Literal[1] = 1
    context_tokens: float
    layers: float
    kv_bytes_per_token: float
    kv_bytes: float
    device: str
    bandwidth_gb_s: float
    effective_bandwidth_gb_s: float = Field(description="After sharers and set-up times.")
    latency_ms: float
    load_ms: float = Field(description="Bytes, access latency and coordination of all layers.")
    load_per_layer_ms: float = Field(description="Of one layer, without the access latency.")
    prefill_ms: float
    full_recompute_ms: float = Field(description="Prefill x (1 + overhead) / compute share.")
    crossover_ratio: float | None = Field(
        description="Where recomputing takes as long as loading, uncapped; null: nowhere."
    )
    minimum_ratio: float
    ratio: float = Field(description="The chosen one.")
    recomputed_tokens: float
    recompute_ms: float
    recompute_per_layer_ms: float
    recompute_hidden: bool = Field(description="Recompute <= load: perfect hiding.")
    loading_hidden: bool = Field(description="Load <= recompute.")
    overlap: str
    total_ms: float = Field(description="By `overlap`.")
    sequential_ms: float
    parallel_ms: float
    layer_pipeline_ms: float
    first_layer_full_ms: float
    bidirectional_ms: float = Field(
        description="Cake's split, which needs an exact prefix: no ratio, no loss of quality."
    )
    bidirectional_computed_tokens: float
    quality: ExpectedQuality | None
    ttft_budget_ms: float
    within_budget: bool
    notes: list[str]


def study_ratio(
    shape: KvShape,
    tokens: float,
    prefill: PrefillLaw,
    device: StorageDevice,
    *,
    policy: RatioPolicy,
    overheads: LoadOverheads,
    quality: SaturatingQuality | None = None,
    ttft_budget_ms: float | None = None,
    limits: Iterable[str] = (),
) -> RatioStudy:
    """Choose the ratio for a device, and put every reading of it side by side.

    Parameters
    ----------
    shape, tokens, prefill, device
        What is loaded, how fast it is computed, from where; numbers, not arrays.
    policy, overheads
        Rules and overheads.
    quality
        None: the score is unknown.
    ttft_budget_ms
        None: the full prefill.
    limits
        Limits of the architecture, for the notes.
    """
    load = device.load(shape, tokens, overheads)
    whole = prefill.time(tokens)
    choice = choose_ratio(load, whole, tokens=tokens, policy=policy)
    ratio, total = float(choice.ratio), float(choice.total.ms)
    budget = float(whole.ms) if ttft_budget_ms is None else ttft_budget_ms
    totals = {way: float(total_delay(way, load, choice.recompute).ms) for way in Overlap}
    shared = SharedPrefill(law=prefill, share=policy.compute_share)
    cake = _as_exact_prefix(shape, tokens, shared, device, overheads)
    size = float(shape.total_bytes(tokens))
    return RatioStudy(
        context_tokens=tokens,
        layers=float(load.layers),
        kv_bytes_per_token=float(shape.bytes_per_token),
        kv_bytes=size,
        device=device.name,
        bandwidth_gb_s=device.bandwidth_gb_s,
        effective_bandwidth_gb_s=_transfer_gb_s(size, load, overheads),
        latency_ms=device.latency_ms,
        load_ms=float(load.whole.ms),
        load_per_layer_ms=float(load.layer.ms),
        prefill_ms=float(whole.ms),
        full_recompute_ms=float(choice.recompute.full.ms),
        crossover_ratio=float(choice.crossover) if np.isfinite(choice.crossover) else None,
        minimum_ratio=policy.minimum_ratio,
        ratio=ratio,
        recomputed_tokens=ratio * tokens,
        recompute_ms=float(choice.recompute.whole.ms),
        recompute_per_layer_ms=float(choice.recompute.layer.ms),
        recompute_hidden=bool(choice.recompute_hidden),
        loading_hidden=bool(choice.loading_hidden),
        overlap=policy.overlap,
        total_ms=total,
        sequential_ms=totals[Overlap.SEQUENTIAL],
        parallel_ms=totals[Overlap.PARALLEL],
        layer_pipeline_ms=totals[Overlap.LAYER_PIPELINE],
        first_layer_full_ms=totals[Overlap.FIRST_LAYER_FULL],
        bidirectional_ms=float(cake.bidirectional.ms),
        bidirectional_computed_tokens=float(cake.bidirectional_tokens),
        quality=_expected(quality, ratio),
        ttft_budget_ms=budget,
        within_budget=total <= budget,
        notes=[*_notes(choice, policy, float(whole.ms)), *limits],
    )


def _as_exact_prefix(
    shape: KvShape,
    tokens: float,
    prefill: PrefillLaw,
    device: StorageDevice,
    overheads: LoadOverheads,
) -> RestorationPlan:
    return plan_restoration(
        RestorationTask(
            shape=shape,
            prefill=prefill,
            prefix_tokens=tokens,
            bandwidth_gb_s=device.bandwidth_gb_s,
            latency_ms=device.latency_ms,
            sharers=device.sharers,
            overheads=overheads,
        )
    )


def _transfer_gb_s(size_bytes: float, load: LoadDelay, overheads: LoadOverheads) -> float:
    transfer = load.layer - LayerTime(overheads.layer_ms)
    return size_bytes / (float(transfer.whole_model(load.layers).ms) * _BYTES_PER_GB_MS)


def _expected(quality: SaturatingQuality | None, ratio: float) -> ExpectedQuality | None:
    if quality is None:
        return None
    return ExpectedQuality(
        metric=quality.metric,
        score=float(quality.quality(ratio)),
        without_recompute=quality.at_zero,
        with_full_recompute=quality.at_one,
        source=quality.source,
    )


def _notes(choice: RatioChoice, policy: RatioPolicy, prefill_ms: float) -> list[str]:
    """Say what the figures mean where they might surprise."""
    notes = []
    if float(choice.crossover) >= 1.0:
        notes.append(
            "recomputing everything takes no longer than loading: do not load from this device"
        )
    elif float(choice.total.ms) > prefill_ms:
        notes.append("the total delay is longer than a full prefill: recompute everything")
    if float(choice.crossover) < policy.minimum_ratio:
        notes.append(
            "the minimum ratio is above the crossover: loading is hidden, recomputing is not"
        )
    return notes
