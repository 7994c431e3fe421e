"""The delay engine: loading and recomputing a KV cache.

Everything of this package that needs a delay takes it from here. Figures are numbers or arrays that
broadcast, so that devices, models and contexts are evaluated together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.kv.kv_shape import KvShape
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.times import LayerTime, WholeModelTime

__all__ = [
    "LoadDelay",
    "LoadOverheads",
    "RecomputeDelay",
    "effective_bandwidth_gb_s",
    "load_delay",
    "recompute_delay",
]

FloatArray = NDArray[np.float64]

RECOMPUTE_OVERHEAD = 0.05
"""Selecting tokens and gathering their rows, as a share of the recompute time: a planning value."""

_MS_PER_S = 1e3
_BYTES_PER_GB = 1e9

_OVERHEAD_RANGES = {
    "layer_ms": Range("ms", high=1e6),
    "transfer_setup_ms": Range("ms", high=1e6),
    "transfer_bytes": Range("bytes", above=True, high=1e18),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOverheads:
    """What loading costs beside the bytes and the access latency; each may be 0.

    Parameters
    ----------
    layer_ms
        Coordination per layer [ms]: waiting for the copy, launching the next.
    transfer_setup_ms
        Time before a transfer's first byte that no other transfer hides [ms].
    transfer_bytes
        Size of a transfer; by default each layer is one. vLLM's layout by layer makes 8-72 KB of
        them, contiguous blocks 0.5-2 MB.
    """

    layer_ms: ArrayLike = 0.0
    transfer_setup_ms: ArrayLike = 0.0
    transfer_bytes: ArrayLike | None = None

    def __post_init__(self) -> None:
        refuse_outside({name: getattr(self, name) for name in _OVERHEAD_RANGES}, _OVERHEAD_RANGES)


def effective_bandwidth_gb_s(
    bandwidth_gb_s: ArrayLike,
    *,
    transfer_bytes: ArrayLike,
    transfer_setup_ms: ArrayLike = 0.0,
    sharers: ArrayLike = 1.0,
) -> FloatArray:
    """Bandwidth that one of the sharers sees with transfers of a given size.

    size / (t0 + size / (bandwidth / sharers)): half of the share is reached with transfers of
    t0 x bandwidth / sharers bytes.

    Parameters
    ----------
    bandwidth_gb_s
        Of large transfers, alone [GB/s].
    transfer_bytes
        Size of one transfer.
    transfer_setup_ms
        t0 [ms].
    sharers
        Loads at the same time that divide the bandwidth equally, at least 1.

    Returns
    -------
    ndarray
        [GB/s].
    """
    share = np.asarray(bandwidth_gb_s, dtype=np.float64) / np.asarray(sharers, dtype=np.float64)
    size_gb = np.asarray(transfer_bytes, dtype=np.float64) / _BYTES_PER_GB
    setup_s = np.asarray(transfer_setup_ms, dtype=np.float64) / _MS_PER_S
    # Written so that a size of 0 without set-up is the plain share, not 0 / 0.
    effective: FloatArray = share / (1.0 + _ratio_or_zero(setup_s * share, size_gb))
    return effective


@dataclass(frozen=True, slots=True)
class LoadDelay:
    """Loading a KV cache: the access latency once, then layer after layer.

    Parameters
    ----------
    latency
        Access latency.
    layer
        Transfer and coordination of one layer.
    layers
        Layers n.
    """

    latency: WholeModelTime
    layer: LayerTime
    layers: FloatArray

    @property
    def whole(self) -> WholeModelTime:
        """Time until the last byte is there."""
        return self.latency + self.layer.whole_model(self.layers)


def load_delay(
    shape: KvShape,
    tokens: ArrayLike,
    *,
    bandwidth_gb_s: ArrayLike,
    latency_ms: ArrayLike = 0.0,
    sharers: ArrayLike = 1.0,
    overheads: LoadOverheads | None = None,
) -> LoadDelay:
    """Delay of loading the KV cache of a context.

    KV bytes / effective bandwidth + access latency + layers x coordination.

    Parameters
    ----------
    shape
        Size of the KV cache per token.
    tokens
        Context length, at least 0.
    bandwidth_gb_s, latency_ms
        Of the device, or of the path to it.
    sharers
        Loads at the same time that divide the bandwidth equally.
    overheads
        None: none.
    """
    extra = overheads or LoadOverheads()
    layers = np.asarray(shape.layers, dtype=np.float64)
    layer_bytes = shape.total_bytes(tokens) / layers
    bandwidth = effective_bandwidth_gb_s(
        bandwidth_gb_s,
        transfer_bytes=layer_bytes if extra.transfer_bytes is None else extra.transfer_bytes,
        transfer_setup_ms=extra.transfer_setup_ms,
        sharers=sharers,
    )
    transfer_ms = layer_bytes / (bandwidth * _BYTES_PER_GB) * _MS_PER_S
    return LoadDelay(
        latency=WholeModelTime(latency_ms),
        layer=LayerTime(transfer_ms + np.asarray(extra.layer_ms, dtype=np.float64)),
        layers=layers,
    )


@dataclass(frozen=True, slots=True)
class RecomputeDelay:
    """Recomputing a share of a context's tokens.

    Parameters
    ----------
    ratio
        Share r of the tokens.
    full
        Recomputing all tokens by the selective mechanism: prefill x (1 + overhead).
    layers
        Layers n.
    """

    ratio: FloatArray
    full: WholeModelTime
    layers: FloatArray

    @property
    def whole(self) -> WholeModelTime:
        """Time of r of the tokens in every layer: r x full."""
        return self.full * self.ratio

    @property
    def layer(self) -> LayerTime:
        """Time of r of the tokens in one layer."""
        return self.whole.per_layer(self.layers)

    @property
    def full_layer(self) -> LayerTime:
        """Time of all tokens in one layer: CacheBlend computes the first one so."""
        return self.full.per_layer(self.layers)

    @property
    def whole_with_full_first_layer(self) -> WholeModelTime:
        """Time with the first layer computed in full: (1 + (n - 1) r) / n x full."""
        return self.full * ((1.0 + (self.layers - 1.0) * self.ratio) / self.layers)


def recompute_delay(
    ratio: ArrayLike,
    prefill: WholeModelTime,
    *,
    layers: ArrayLike,
    overhead: ArrayLike = RECOMPUTE_OVERHEAD,
    compute_share: ArrayLike = 1.0,
) -> RecomputeDelay:
    """Delay of recomputing a share of the tokens: ratio x prefill x (1 + overhead).

    Parameters
    ----------
    ratio
        Share of the tokens, in [0, 1]; beyond 1 only as what a crossover would ask for.
    prefill
        Profiled prefill of the whole context.
    layers
        Layers n.
    overhead
        Of the selective mechanism, as a share.
    compute_share
        Share of the accelerator that recomputing gets, in (0, 1].

    References
    ----------
    .. [1] Yao et al., *CacheBlend*, EuroSys 2025 (arXiv 2405.16444), section 5.1, footnote 5.
    """
    slowed = (1.0 + np.asarray(overhead, dtype=np.float64)) / np.asarray(
        compute_share, dtype=np.float64
    )
    return RecomputeDelay(
        ratio=np.asarray(ratio, dtype=np.float64),
        full=prefill * slowed,
        layers=np.asarray(layers, dtype=np.float64),
    )


def _ratio_or_zero(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide where the numerator is not 0; nothing costs nothing."""
    upper, lower = np.broadcast_arrays(numerator, denominator)
    quotient: FloatArray = np.divide(
        upper, lower, out=np.zeros(upper.shape), where=(upper != 0) & (lower != 0)
    )
    return quotient
