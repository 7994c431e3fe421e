"""Total delay when loading and recomputing run side by side, in the ways one may assume."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from optimizer.kv.delays import LoadDelay, RecomputeDelay
from optimizer.kv.times import LayerTime, WholeModelTime

__all__ = ["HidingRule", "Overlap", "hidden", "pipeline", "recompute_work", "total_delay"]

# Delays that differ by less, relatively, are equal: crossovers are found by bisection.
_EQUAL = 1e-9


class Overlap(StrEnum):
    """How loading and recomputing are put together."""

    SEQUENTIAL = "sequential"  # load + recompute
    PARALLEL = "parallel"  # max(load, recompute)
    LAYER_PIPELINE = "layer-pipeline"  # lat + l + (n - 1) max(l, c) + c
    FIRST_LAYER_FULL = "first-layer-full"  # the same, all tokens computed in the first layer


class HidingRule(StrEnum):
    """What "no extra delay" means; the two are each other's opposite."""

    RECOMPUTE_HIDDEN = "recompute-hidden"  # recompute <= load: the ratio's rule
    LOADING_HIDDEN = "loading-hidden"  # load <= recompute: CacheBlend's rule for devices


def pipeline(load: LoadDelay, layer_compute: LayerTime) -> WholeModelTime:
    """Exact two-stage pipeline: layer i is computed while layer i + 1 is loaded.

    lat + l + (n - 1) max(l, c) + c: the makespan of a flow shop of n equal jobs.
    """
    steps = load.layers - 1.0
    one = load.layer + load.layer.maximum(layer_compute) * steps + layer_compute
    return load.latency + one.whole_model(1)


def total_delay(overlap: Overlap, load: LoadDelay, recompute: RecomputeDelay) -> WholeModelTime:
    """Delay until the whole KV cache is there, loaded and recomputed."""
    if overlap is Overlap.SEQUENTIAL:
        return load.whole + recompute.whole
    if overlap is Overlap.PARALLEL:
        return load.whole.maximum(recompute.whole)
    if overlap is Overlap.LAYER_PIPELINE:
        return pipeline(load, recompute.layer)
    return _first_layer_full(load, recompute)


def recompute_work(overlap: Overlap, recompute: RecomputeDelay) -> WholeModelTime:
    """Time that the accelerator computes, all layers, under a way of overlapping."""
    if overlap is Overlap.FIRST_LAYER_FULL:
        return recompute.whole_with_full_first_layer
    return recompute.whole


def hidden(
    rule: HidingRule, load: WholeModelTime, recompute: WholeModelTime
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Whether the one is hidden by the other under a rule; equal delays hide each other."""
    slack = 1.0 + _EQUAL
    if rule is HidingRule.RECOMPUTE_HIDDEN:
        return recompute <= load * slack
    return load <= recompute * slack


def _first_layer_full(load: LoadDelay, recompute: RecomputeDelay) -> WholeModelTime:
    """Flow shop whose first job computes longer: the longest path through its n steps.

    The path turns from loading to computing at layer 1, 2 or n; all others are shorter.
    """
    layers, layer, compute = load.layers, load.layer, recompute.layer
    at_first = recompute.full_layer + compute * (layers - 1.0)
    later = layer + layer.maximum(compute) * np.maximum(layers - 2.0, 0.0) + compute
    later = later * (layers > 1)  # a model of one layer has no later one
    return load.latency + (layer + at_first.maximum(later)).whole_model(1)
