"""Many devices, models and contexts at once, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.kv.delays import LoadOverheads, load_delay
from optimizer.kv.devices import StorageDevice
from optimizer.kv.kv_shape import KvShape
from optimizer.kv.prefill import PrefillLaw
from optimizer.kv.recompute_ratio import RatioChoice, RatioPolicy, choose_ratio

__all__ = ["DeviceGrid", "evaluate_grid"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGrid:
    """Ratio and delays of every combination; arrays of shape (devices, models, contexts).

    Parameters
    ----------
    size_bytes
        KV caches, shape (models, contexts).
    choice
        Part 1 of every combination.
    """

    size_bytes: FloatArray
    choice: RatioChoice


def evaluate_grid(
    devices: Sequence[StorageDevice],
    shapes: Sequence[KvShape],
    tokens: ArrayLike,
    prefill: PrefillLaw,
    *,
    policy: RatioPolicy | None = None,
    overheads: LoadOverheads | None = None,
) -> DeviceGrid:
    """Choose the recompute ratio of every device, model and context.

    Parameters
    ----------
    devices
        D of them.
    shapes
        Of M models, of numbers.
    tokens
        C context lengths.
    prefill
        Law whose coefficients are numbers or of shape (M, 1).
    policy, overheads
        None: the defaults.
    """
    contexts = np.asarray(tokens, dtype=np.float64)
    stacked = _stacked(shapes)
    load = load_delay(
        stacked,
        contexts,
        bandwidth_gb_s=_column([device.bandwidth_gb_s for device in devices]),
        latency_ms=_column([device.latency_ms for device in devices]),
        sharers=_column([device.sharers for device in devices]),
        overheads=overheads,
    )
    choice = choose_ratio(load, prefill.time(contexts), tokens=contexts, policy=policy)
    return DeviceGrid(size_bytes=stacked.total_bytes(contexts), choice=choice)


def _stacked(shapes: Sequence[KvShape]) -> KvShape:
    """Stack shapes of numbers along an axis before that of contexts."""

    def stack(values: list[ArrayLike]) -> FloatArray:
        return np.asarray(values, dtype=np.float64)[:, None]

    return KvShape(
        layers=stack([shape.layers for shape in shapes]),
        elements_per_layer_token=stack([s.elements_per_layer_token for s in shapes]),
        bytes_per_element=stack([shape.bytes_per_element for shape in shapes]),
        compression=stack([shape.compression for shape in shapes]),
        windowed_elements_per_layer_token=stack(
            [shape.windowed_elements_per_layer_token for shape in shapes]
        ),
        # A window as long as any context: none.
        window_tokens=stack([1e12 if s.window_tokens is None else s.window_tokens for s in shapes]),
    )


def _column(values: list[float]) -> FloatArray:
    return np.asarray(values)[:, None, None]
