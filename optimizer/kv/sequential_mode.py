"""Sequential mode: the ratio for the device at hand, and another device where that does not do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from optimizer.kv.device_selection import (
    DeviceSelection,
    KvDemand,
    SelectionPolicy,
    select_device,
)
from optimizer.kv.devices import StorageDevice, refuse_twins
from optimizer.kv.quality import QualityModel
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.recompute_ratio import RatioChoice, choose_ratio

__all__ = ["SequentialOutcome", "ratio_on", "run_sequentially"]

# A ratio that was computed from a quality gives that quality but for rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialOutcome:
    """What both parts said.

    Parameters
    ----------
    device, choice
        The device in the end and its ratio.
    objections
        Why part 1 was not enough; empty where it was.
    selection
        Part 2; None where it was not asked.
    unmet
        What the outcome still does not keep; empty where it does.
    """

    device: StorageDevice
    choice: RatioChoice
    objections: tuple[str, ...]
    selection: DeviceSelection | None
    unmet: tuple[str, ...]


def ratio_on(device: StorageDevice, demand: KvDemand, policy: SelectionPolicy) -> RatioChoice:
    """Part 1 on one device, under the overheads and rules of a selection."""
    load = device.load(demand.shape, demand.tokens, policy.overheads)
    return choose_ratio(load, demand.prefill, tokens=demand.tokens, policy=policy.ratios)


def run_sequentially(
    demand: KvDemand,
    current: StorageDevice,
    alternatives: Sequence[StorageDevice],
    *,
    policy: SelectionPolicy | None = None,
    largest_ratio: float = 1.0,
    quality: QualityModel | None = None,
    least_quality: float | None = None,
) -> SequentialOutcome:
    """Part 1 on the current device; where its result does not do, part 2, and part 1 again.

    The result does not do if the total delay is over the TTFT budget, if loading takes longer
    than it may, if more than `largest_ratio` is recomputed, or if the expected quality is below
    `least_quality`.

    Parameters
    ----------
    demand
        The KV cache.
    current, alternatives
        The device at hand; the others.
    policy
        None: the defaults.
    largest_ratio
        Most that may be recomputed: accelerators have other work.
    quality, least_quality
        Curve and floor; part 2 then runs at the ratio that reaches the floor.

    Returns
    -------
    SequentialOutcome
        Stays with the current device where no other qualifies.

    Raises
    ------
    SpecError
        If two devices have the same name, or a limit is out of range.
    """
    rules = policy or SelectionPolicy()
    refuse_twins([current, *alternatives])
    limits = _Limits(largest_ratio=largest_ratio, quality=quality, least_quality=least_quality)
    choice = ratio_on(current, demand, rules)
    objections = limits.objections(demand, current, choice, rules)
    if not objections:
        return SequentialOutcome(
            device=current, choice=choice, objections=(), selection=None, unmet=()
        )
    needed = None
    if quality is not None and least_quality is not None:
        needed = quality.ratio_for(least_quality)
    if needed is not None and needed > rules.ratio:
        ratios = replace(rules.ratios, minimum_ratio=max(rules.ratios.minimum_ratio, needed))
        rules = replace(rules, ratio=needed, ratios=ratios)
    selection = select_device(demand, [current, *alternatives], policy=rules)
    device = current
    if selection.chosen is not None and not selection.is_fallback:
        device = selection.chosen.device
    choice = ratio_on(device, demand, rules)
    return SequentialOutcome(
        device=device,
        choice=choice,
        objections=objections,
        selection=selection,
        unmet=limits.objections(demand, device, choice, rules),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """What a ratio on a device has to keep to."""

    largest_ratio: float
    quality: QualityModel | None
    least_quality: float | None

    def __post_init__(self) -> None:
        names = ("largest_ratio", "least_quality")
        refuse_outside(
            {name: getattr(self, name) for name in names},
            {"largest_ratio": Range(high=1.0), "least_quality": Range(low=-1e6, high=1e6)},
        )

    def objections(
        self,
        demand: KvDemand,
        device: StorageDevice,
        choice: RatioChoice,
        rules: SelectionPolicy,
    ) -> tuple[str, ...]:
        """Say what a ratio on a device does not keep."""
        budget = float(demand.prefill.ms) if rules.ttft_budget_ms is None else rules.ttft_budget_ms
        ratio, total = float(choice.ratio), float(choice.total.ms)
        load = float(device.load(demand.shape, demand.tokens, rules.overheads).whole.ms)
        found = []
        if total > budget:
            found.append(f"takes {total:,.1f} ms, more than the TTFT budget of {budget:,.1f} ms")
        if rules.max_load_ms is not None and load > rules.max_load_ms:
            found.append(f"loads in {load:,.1f} ms, more than {rules.max_load_ms:,.1f} ms")
        if ratio > self.largest_ratio:
            found.append(f"recomputes {ratio:.1%}, more than {self.largest_ratio:.1%}")
        if self.quality is not None and self.least_quality is not None:
            expected = float(self.quality.quality(ratio))
            if expected < self.least_quality - _ROUNDING:
                found.append(f"quality {expected:.3g} is below {self.least_quality:.3g}")
        return tuple(found)
