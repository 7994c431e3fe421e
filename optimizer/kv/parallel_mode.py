"""Parallel mode: all devices with all sensible ratios, and the best of them in money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.kv.delays import load_delay
from optimizer.kv.device_selection import KvDemand, SelectionPolicy, select_device
from optimizer.kv.devices import StorageDevice
from optimizer.kv.overlap import recompute_work, total_delay
from optimizer.kv.quality import QualityModel
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.recompute_ratio import choose_ratio
from optimizer.kv.storage_cost import storage_cost

__all__ = ["JointOption", "JointOutcome", "JointPrices", "optimize_jointly"]

FloatArray = NDArray[np.float64]

# Ratios between the minimum and 1 that are tried beside each device's own optimum.
_RATIOS_TRIED = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class JointPrices:
    """What a request's delay, quality and accelerator time are worth, so that they add up.

    Parameters
    ----------
    usd_per_ttft_s
        Of a second of total delay, per request.
    usd_per_quality
        Of the whole of the metric's scale, per request.
    gpu_usd_per_hour
        Of the accelerators that recompute.
    """

    usd_per_ttft_s: float = 0.0
    usd_per_quality: float = 0.0
    gpu_usd_per_hour: float = 0.0

    def __post_init__(self) -> None:
        names = ("usd_per_ttft_s", "usd_per_quality", "gpu_usd_per_hour")
        refuse_outside(
            {name: getattr(self, name) for name in names},
            {name: Range("USD", high=1e9) for name in names},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JointOption:
    """A device at a ratio; `usd_per_request` is what is minimised."""

    device: StorageDevice
    ratio: float
    total_ms: float
    quality: float | None
    usd_per_request: float
    within_budget: bool
    is_efficient: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JointOutcome:
    """The best option, and all of them from best to worst.

    Parameters
    ----------
    best
        None where no device is feasible.
    is_fallback
        Whether the best does not keep the TTFT budget or the quality floor.
    options
        Those that keep both first.
    """

    best: JointOption | None
    is_fallback: bool
    options: tuple[JointOption, ...]


def optimize_jointly(
    demand: KvDemand,
    devices: Sequence[StorageDevice],
    prices: JointPrices,
    *,
    policy: SelectionPolicy | None = None,
    quality: QualityModel | None = None,
    least_quality: float | None = None,
) -> JointOutcome:
    """Minimise storage + accelerator time + delay - quality over devices and ratios.

    Every feasible device is tried at the minimum ratio, at its own optimum, and at ratios between.

    Parameters
    ----------
    demand, devices
        The KV cache and where it may be kept.
    prices
        What turns delay, quality and accelerator time into money.
    policy
        None: the defaults; its use spreads the cost of keeping over the reads.
    quality
        None: quality is unknown and worth nothing.
    least_quality
        Floor; options below come after all that keep it.

    Returns
    -------
    JointOutcome
        Options that no other beats in delay, storage cost and quality at once are marked efficient.
    """
    refuse_outside({"least_quality": least_quality}, {"least_quality": Range(low=-1e6, high=1e6)})
    rules = policy or SelectionPolicy()
    selection = select_device(demand, devices, policy=rules)
    feasible = [one.device for one in selection.ranking if one.feasible]
    if not feasible:
        return JointOutcome(best=None, is_fallback=False, options=())
    ratio, total_ms, compute_ms = _every_ratio(demand, feasible, rules)
    reads = max(rules.use.reads, 1.0)
    stored = [storage_cost(d, demand.size_bytes, rules.use).total_usd / reads for d in feasible]
    storage = np.broadcast_to(np.array(stored)[:, None], ratio.shape)
    scores = np.zeros_like(ratio) if quality is None else quality.quality(ratio)
    usd = (
        storage
        + compute_ms / 3.6e6 * prices.gpu_usd_per_hour
        + total_ms / 1e3 * prices.usd_per_ttft_s
        - scores * prices.usd_per_quality
    )
    efficient = _efficient(np.stack([total_ms, storage, -scores]).reshape(3, -1))
    floor = -np.inf if least_quality is None or quality is None else least_quality
    options = [
        JointOption(
            device=feasible[d],
            ratio=float(ratio[d, k]),
            total_ms=float(total_ms[d, k]),
            quality=None if quality is None else float(scores[d, k]),
            usd_per_request=float(usd[d, k]),
            within_budget=bool(total_ms[d, k] <= selection.ttft_budget_ms),
            is_efficient=bool(efficient[d * ratio.shape[1] + k]),
        )
        for d, k in np.ndindex(ratio.shape)
    ]

    def misses(option: JointOption) -> bool:
        return not option.within_budget or (option.quality or 0.0) < floor

    options.sort(key=lambda o: (misses(o), o.usd_per_request, o.total_ms, o.device.name, o.ratio))
    return JointOutcome(best=options[0], is_fallback=misses(options[0]), options=tuple(options))


def _every_ratio(
    demand: KvDemand, devices: Sequence[StorageDevice], rules: SelectionPolicy
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Ratios, total delays and accelerator times [ms], each of shape (devices, ratios)."""
    load = load_delay(
        demand.shape,
        demand.tokens,
        bandwidth_gb_s=np.array([device.bandwidth_gb_s for device in devices])[:, None],
        latency_ms=np.array([device.latency_ms for device in devices])[:, None],
        sharers=np.array([device.sharers for device in devices])[:, None],
        overheads=rules.overheads,
    )
    own = choose_ratio(load, demand.prefill, tokens=demand.tokens, policy=rules.ratios).ratio
    tried = np.linspace(rules.ratios.minimum_ratio, 1.0, _RATIOS_TRIED)
    ratio = np.concatenate([np.broadcast_to(tried, (len(devices), tried.size)), own], axis=1)
    recompute = rules.ratios.recompute(ratio, demand.prefill, load.layers)
    total = total_delay(rules.ratios.overlap, load, recompute)
    return ratio, total.ms, recompute_work(rules.ratios.overlap, recompute).ms


def _efficient(criteria: FloatArray) -> NDArray[np.bool_]:
    """Mark the columns that no other column beats: nowhere worse, somewhere better."""
    no_worse = np.all(criteria[:, :, None] <= criteria[:, None, :], axis=0)
    better = np.any(criteria[:, :, None] < criteria[:, None, :], axis=0)
    dominated: NDArray[np.bool_] = np.any(no_worse & better, axis=0)
    return ~dominated
