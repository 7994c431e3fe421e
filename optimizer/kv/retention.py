"""Whether keeping a KV cache is worth its price, and how fast storage must be to be of use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.kv.ranges import Range, refuse_outside

__all__ = ["Retention", "break_even_bandwidth_gb_s", "evaluate_retention"]

FloatArray = NDArray[np.float64]

_BYTES_PER_GB = 1e9
_MS_PER_HOUR = 3_600_000.0

# FLOPs of a layer's prefill, a n² d + b n d²: attention, and the other matrices of a Llama one.
_ATTENTION_FLOPS, _LINEAR_FLOPS = 4.0, 22.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What keeping brings and costs; numbers or arrays.

    Parameters
    ----------
    saved_usd_per_hit
        Accelerator time that a hit saves, less the fees of reading.
    storage_usd_per_hour
        Price of keeping.
    break_even_interval_h
        Keep what is used again within this time; inf where keeping is free, nan where a hit
        saves nothing.
    keep
        Whether the hits per hour pay for it; None where they were not given.
    """

    saved_usd_per_hit: FloatArray
    storage_usd_per_hour: FloatArray
    break_even_interval_h: FloatArray
    keep: NDArray[np.bool_] | None


def evaluate_retention(
    size_bytes: ArrayLike,
    saved_ms: ArrayLike,
    *,
    gpu_usd_per_hour: ArrayLike,
    usd_per_gb_hour: ArrayLike,
    read_usd: ArrayLike = 0.0,
    hits_per_hour: ArrayLike | None = None,
) -> Retention:
    """Compare the accelerator time that hits save with the price of keeping.

    Break-even interval = (saved accelerator cost - read fees) / (GB x price per GB-hour): the
    five-minute rule for KV caches.

    Parameters
    ----------
    size_bytes
        What is kept.
    saved_ms
        Accelerator time that a hit saves [ms].
    gpu_usd_per_hour
        Price of the accelerators that would compute it.
    usd_per_gb_hour
        Price of keeping.
    read_usd
        Fees of one load.
    hits_per_hour
        Expected use.

    References
    ----------
    .. [1] Gray and Putzolu, *The 5 minute rule for trading memory for disc accesses*, SIGMOD 1987.
    """
    figures = {
        "size_bytes": size_bytes,
        "saved_ms": saved_ms,
        "gpu_usd_per_hour": gpu_usd_per_hour,
        "usd_per_gb_hour": usd_per_gb_hour,
        "read_usd": read_usd,
        "hits_per_hour": hits_per_hour,
    }
    refuse_outside(figures, {name: Range(high=1e18) for name in figures})
    saved = np.asarray(saved_ms, dtype=np.float64) / _MS_PER_HOUR * np.asarray(gpu_usd_per_hour)
    net = np.asarray(saved - np.asarray(read_usd, dtype=np.float64))
    price = np.asarray(size_bytes, dtype=np.float64) / _BYTES_PER_GB * np.asarray(usd_per_gb_hour)
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = np.where(net > 0, net / price, np.nan)
    keep = None if hits_per_hour is None else np.asarray(hits_per_hour) * net > price
    return Retention(
        saved_usd_per_hit=net,
        storage_usd_per_hour=np.asarray(price),
        break_even_interval_h=interval,
        keep=keep,
    )


def break_even_bandwidth_gb_s(
    *,
    hidden_size: ArrayLike,
    query_heads_per_kv_head: ArrayLike,
    prefix_tokens: ArrayLike,
    flops_per_s: ArrayLike,
    bytes_per_element: ArrayLike = 2.0,
) -> FloatArray:
    """Bandwidth above which loading a prefix is quicker than computing it [GB/s].

    B = G x 2 d s / (gqa x (a p d + b d²)) with a = 4, b = 22, whatever the number of layers.

    Parameters
    ----------
    hidden_size, query_heads_per_kv_head
        d and gqa of the model.
    prefix_tokens
        p.
    flops_per_s
        G of the accelerators together [FLOP/s].
    bytes_per_element
        s of the KV cache.

    References
    ----------
    .. [1] Qin et al., *Mooncake*, FAST 2025, section 3: 6 GB/s for LLaMA3-70B, 8,192 tokens and
       8 A800, 19 GB/s for 8 H800.
    """
    d, p = np.asarray(hidden_size, dtype=np.float64), np.asarray(prefix_tokens, dtype=np.float64)
    kv_bytes = 2.0 * d * np.asarray(bytes_per_element) / np.asarray(query_heads_per_kv_head)
    flops = _ATTENTION_FLOPS * p * d + _LINEAR_FLOPS * d * d
    bandwidth: FloatArray = np.asarray(flops_per_s) * kv_bytes / flops / _BYTES_PER_GB
    return bandwidth
