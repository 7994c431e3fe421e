"""Part 2: the storage device for a recompute ratio that is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from optimizer.kv.delays import LoadOverheads, load_delay
from optimizer.kv.devices import StorageDevice, refuse_twins
from optimizer.kv.kv_shape import KvShape
from optimizer.kv.overlap import HidingRule, hidden, recompute_work, total_delay
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.recompute_ratio import MINIMUM_RATIO, RatioChoice, RatioPolicy, choose_ratio
from optimizer.kv.storage_cost import StorageCost, StorageUse, storage_cost
from optimizer.kv.times import WholeModelTime
from optimizer.kv.topology import StorageTopology

__all__ = [
    "DeviceAssessment",
    "DevicePreference",
    "DeviceSelection",
    "KvDemand",
    "SelectionPolicy",
    "reached_device",
    "select_device",
]

FloatArray = NDArray[np.float64]

_BYTES_PER_GB = 1e9


class DevicePreference(StrEnum):
    """What the best device is best at."""

    COST = "cost"  # cheapest of those without extra delay
    LATENCY = "latency"  # least total delay


@dataclass(frozen=True, slots=True, kw_only=True)
class KvDemand:
    """One KV cache that is wanted.

    Parameters
    ----------
    shape
        Size per token.
    tokens
        Context length.
    prefill
        Profiled prefill of the whole context.
    """

    shape: KvShape
    tokens: float
    prefill: WholeModelTime

    def __post_init__(self) -> None:
        refuse_outside(
            {"tokens": self.tokens, "prefill": self.prefill.ms},
            {
                "tokens": Range("tokens", low=1.0, high=1e12),
                "prefill": Range("ms", above=True, high=1e12),
            },
        )

    @property
    def size_bytes(self) -> float:
        """Bytes of the KV cache."""
        return float(self.shape.total_bytes(self.tokens))


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionPolicy:
    """How devices are judged.

    Parameters
    ----------
    ratio
        Recompute ratio that is given.
    prefer
        Primary key of the ranking.
    hiding
        What "no extra delay" means. The default is CacheBlend's rule for devices: loading is
        hidden by recomputing. Under the other rule every device that is slow enough qualifies.
    ratios
        Rules of each device's own optimal ratio, and the overheads and the overlap of all delays.
    overheads
        Of loading.
    use
        Duration and traffic, for the cost.
    ttft_budget_ms
        Largest total delay that qualifies; None: the full prefill, because a device that takes
        longer than computing everything is of no use.
    max_load_ms
        Largest loading delay that is feasible at all; None: any.
    """

    ratio: float = MINIMUM_RATIO
    prefer: DevicePreference = DevicePreference.COST
    hiding: HidingRule = HidingRule.LOADING_HIDDEN
    ratios: RatioPolicy = field(default_factory=RatioPolicy)
    overheads: LoadOverheads = field(default_factory=LoadOverheads)
    use: StorageUse = field(default_factory=StorageUse)
    ttft_budget_ms: float | None = None
    max_load_ms: float | None = None

    def __post_init__(self) -> None:
        names = ("ratio", "ttft_budget_ms", "max_load_ms")
        refuse_outside(
            {name: getattr(self, name) for name in names},
            {
                "ratio": Range(high=1.0),
                "ttft_budget_ms": Range("ms", above=True, high=1e12),
                "max_load_ms": Range("ms", above=True, high=1e12),
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAssessment:
    """One device: whether it can be used, how it does, what it costs.

    Parameters
    ----------
    device
        With the bandwidth and latency of its path, where there is a topology.
    obstacles
        Why it is not feasible; empty where it is.
    qualifies
        Feasible, without extra delay as far as the preference asks for it, within the budget.
    load_ms, recompute_ms, total_ms
        Delays at the given ratio; None where the device cannot be reached.
    recompute_hidden, loading_hidden
        Both meanings of "no extra delay".
    within_budget
        Whether the total delay keeps the budget.
    cost
        Over the use.
    crossover_ratio
        Ratio at which recomputing takes as long as loading from it; uncapped.
    optimal_ratio, optimal_total_ms
        The device's own best ratio, and the total delay at it.
    """

    device: StorageDevice
    obstacles: tuple[str, ...]
    qualifies: bool
    load_ms: float | None
    recompute_ms: float
    total_ms: float | None
    recompute_hidden: bool
    loading_hidden: bool
    within_budget: bool
    cost: StorageCost
    crossover_ratio: float | None
    optimal_ratio: float | None
    optimal_total_ms: float | None

    @property
    def feasible(self) -> bool:
        """Whether it can be used at all."""
        return not self.obstacles


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSelection:
    """The device chosen, and every other one in order.

    Parameters
    ----------
    chosen
        None where no device is feasible.
    is_fallback
        Whether the chosen one does not qualify.
    reason
        Why it was chosen, in words.
    ttft_budget_ms
        The budget that was applied.
    ranking
        All candidates: qualifying ones, feasible ones, the rest.
    """

    chosen: DeviceAssessment | None
    is_fallback: bool
    reason: str
    ttft_budget_ms: float
    ranking: tuple[DeviceAssessment, ...]


def select_device(
    demand: KvDemand,
    devices: Sequence[StorageDevice],
    *,
    policy: SelectionPolicy | None = None,
    topology: StorageTopology | None = None,
    compute: str = "",
) -> DeviceSelection:
    """Choose where to keep a KV cache, and rank the alternatives.

    By cost: the cheapest of the devices without extra delay. By latency: the least total delay.
    Ties go to reliability, availability, the other of cost and delay, loading, the name.
    Where none qualifies, the feasible device of least total delay is the fallback.

    Parameters
    ----------
    demand
        The KV cache.
    devices
        Candidates with distinct names.
    policy
        None: the defaults.
    topology, compute
        Links between devices and the compute node; without one every device is reached directly.

    Raises
    ------
    SpecError
        If two devices have the same name, or the topology lacks the compute node.
    """
    rules = policy or SelectionPolicy()
    refuse_twins(devices)
    budget = float(demand.prefill.ms) if rules.ttft_budget_ms is None else rules.ttft_budget_ms
    reached = [reached_device(topology, compute, device, demand.size_bytes) for device in devices]
    assessed = _assess(demand, devices, reached, rules, budget) if devices else []
    ranking = tuple(sorted(assessed, key=lambda one: _key(one, rules.prefer)))
    chosen = ranking[0] if ranking and ranking[0].feasible else None
    return DeviceSelection(
        chosen=chosen,
        is_fallback=chosen is not None and not chosen.qualifies,
        reason=_reason(chosen, rules),
        ttft_budget_ms=budget,
        ranking=ranking,
    )


def reached_device(
    topology: StorageTopology | None, compute: str, device: StorageDevice, size_bytes: float
) -> StorageDevice | None:
    """Return the device as it is seen through its path, or None where there is no path."""
    if topology is None:
        return device
    path = topology.path(device.name, compute, transfer_bytes=size_bytes)
    if path is None:
        return None
    # Sharers divide the device; the path is narrower or not, whoever else reads.
    own = device.bandwidth_gb_s / device.sharers
    return replace(
        device,
        bandwidth_gb_s=min(own, path.bandwidth_gb_s),
        sharers=1.0,
        latency_ms=device.latency_ms + path.latency_ms,
    )


def _assess(
    demand: KvDemand,
    devices: Sequence[StorageDevice],
    reached: Sequence[StorageDevice | None],
    rules: SelectionPolicy,
    budget_ms: float,
) -> list[DeviceAssessment]:
    seen = [near or device for near, device in zip(reached, devices, strict=True)]
    load = load_delay(
        demand.shape,
        demand.tokens,
        bandwidth_gb_s=np.array([device.bandwidth_gb_s for device in seen]),
        latency_ms=np.array([device.latency_ms for device in seen]),
        sharers=np.array([device.sharers for device in seen]),
        overheads=rules.overheads,
    )
    own = choose_ratio(load, demand.prefill, tokens=demand.tokens, policy=rules.ratios)
    recompute = rules.ratios.recompute(rules.ratio, demand.prefill, load.layers)
    total = total_delay(rules.ratios.overlap, load, recompute)
    computing = recompute_work(rules.ratios.overlap, recompute)
    flags = {
        rule: np.broadcast_to(hidden(rule, load.whole, computing), len(seen)) for rule in HidingRule
    }
    assessed = []
    for k, device in enumerate(seen):
        is_reached = reached[k] is not None
        load_ms, total_ms = float(load.whole.ms[k]), float(total.ms[k])
        obstacles = _obstacles(device, demand, load_ms, rules, is_reached=is_reached)
        needed = bool(flags[rules.hiding][k]) or rules.prefer is DevicePreference.LATENCY
        assessed.append(
            DeviceAssessment(
                device=device,
                obstacles=obstacles,
                qualifies=not obstacles and needed and total_ms <= budget_ms,
                load_ms=load_ms if is_reached else None,
                recompute_ms=float(computing.ms),
                total_ms=total_ms if is_reached else None,
                recompute_hidden=is_reached and bool(flags[HidingRule.RECOMPUTE_HIDDEN][k]),
                loading_hidden=is_reached and bool(flags[HidingRule.LOADING_HIDDEN][k]),
                within_budget=is_reached and total_ms <= budget_ms,
                cost=storage_cost(device, demand.size_bytes, rules.use),
                crossover_ratio=float(own.crossover[k]) if is_reached else None,
                optimal_ratio=float(own.ratio[k]) if is_reached else None,
                optimal_total_ms=_of(own, k) if is_reached else None,
            )
        )
    return assessed


def _of(choice: RatioChoice, k: int) -> float:
    return float(choice.total.ms[k])


def _obstacles(
    device: StorageDevice,
    demand: KvDemand,
    load_ms: float,
    rules: SelectionPolicy,
    *,
    is_reached: bool,
) -> tuple[str, ...]:
    """Say why a device cannot be used."""
    if not is_reached:
        return ("cannot be reached from the compute node",)
    found = []
    needed_gb = demand.size_bytes * device.copies / _BYTES_PER_GB
    if device.free_gb is not None and needed_gb > device.free_gb:
        found.append(f"needs {needed_gb:.3g} GB, has {device.free_gb:.3g} GB left")
    if rules.max_load_ms is not None and load_ms > rules.max_load_ms:
        found.append(f"loads in {load_ms:.3g} ms, more than {rules.max_load_ms:.3g} ms")
    return tuple(found)


def _key(one: DeviceAssessment, prefer: DevicePreference) -> tuple[object, ...]:
    """Sort qualifying devices by preference, feasible ones by delay, the rest last."""
    delay = np.inf if one.total_ms is None else one.total_ms
    trust = (-(one.device.reliability or 0.0), -(one.device.availability or 0.0))
    cost = one.cost.total_usd
    rest = (one.load_ms or 0.0, one.device.name)
    if one.qualifies and prefer is DevicePreference.COST:
        return (0, cost, *trust, delay, *rest)
    if one.feasible:
        return (0 if one.qualifies else 1, delay, *trust, cost, *rest)
    return (2, delay, *trust, cost, *rest)


def _reason(chosen: DeviceAssessment | None, rules: SelectionPolicy) -> str:
    if chosen is None:
        return "no device is feasible: recompute everything"
    if rules.prefer is DevicePreference.LATENCY:
        if chosen.qualifies:
            return "least total delay"
        return "fallback: no device keeps the TTFT budget; this one has the least total delay"
    what = {
        HidingRule.LOADING_HIDDEN: "hides its loading behind the recomputing",
        HidingRule.RECOMPUTE_HIDDEN: "hides the recomputing behind its loading",
    }[rules.hiding]
    if chosen.qualifies:
        return f"cheapest device that {what} and keeps the TTFT budget"
    return (
        f"fallback: no feasible device {what} within the TTFT budget; "
        "this one has the least total delay"
    )
