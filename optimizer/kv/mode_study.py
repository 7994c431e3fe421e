"""The documents of the three modes: one after the other, jointly, and as things change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from optimizer.errors import SpecError
from optimizer.kv.adaptation import (
    Adaptation,
    AdaptationRules,
    AdaptiveController,
    BandwidthSample,
    DeviceLost,
    Event,
    MinimumRatioChanged,
    Rerun,
)
from optimizer.kv.device_selection import KvDemand, SelectionPolicy
from optimizer.kv.device_study import DeviceRow, device_row
from optimizer.kv.devices import StorageDevice
from optimizer.kv.event_file import EventFile
from optimizer.kv.parallel_mode import JointOption, JointPrices, optimize_jointly
from optimizer.kv.quality import QualityModel
from optimizer.kv.sequential_mode import ratio_on, run_sequentially

__all__ = [
    "AdaptationStudy",
    "Decision",
    "JointRow",
    "JointStudy",
    "SequentialStudy",
    "study_adaptation",
    "study_jointly",
    "study_sequentially",
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Study(_Part):
    """What every mode is asked."""

    schema_version: Literal[1] = 1
    context_tokens: float
    kv_bytes: float
    prefill_ms: float
    ttft_budget_ms: float


class SequentialStudy(_Study):
    """Part 1 on the device in use, and part 2 where that does not do."""

    mode: Literal["sequential"] = "sequential"
    in_use: str
    in_use_ratio: float = Field(description="Of part 1.")
    in_use_total_ms: float
    objections: list[str] = Field(description="Why part 1 was not enough; empty where it was.")
    device: str = Field(description="In the end.")
    ratio: float
    total_ms: float
    quality: float | None
    unmet: list[str] = Field(description="What the end does not keep either.")
    reason: str
    devices: list[DeviceRow] = Field(description="Of part 2, best first; empty where not asked.")


class JointRow(_Part):
    """A device at a ratio."""

    device: str
    ratio: float
    total_ms: float
    quality: float | None
    usd_per_request: float = Field(description="Minimised; quality's worth is subtracted.")
    within_budget: bool
    is_efficient: bool = Field(description="None other beats it in delay, storage and quality.")


class JointStudy(_Study):
    """All devices at all sensible ratios."""

    mode: Literal["joint"] = "joint"
    best: JointRow | None = Field(description="Null: no device is feasible.")
    is_fallback: bool
    options: list[JointRow] = Field(description="Best first.")


class Decision(_Part):
    """What holds after an event."""

    time_s: float | None = Field(description="Null: at the start.")
    event: str
    rerun: str = Field(description="nothing, ratio (part 1) or device (part 2, then part 1).")
    reason: str
    device: str | None = Field(description="Null: everything is recomputed.")
    ratio: float
    total_ms: float


class AdaptationStudy(_Study):
    """The controller's decisions over time."""

    mode: Literal["adapt"] = "adapt"
    events: int
    changes: int = Field(description="Events after which another device or ratio holds.")
    decisions: list[Decision] = Field(description="The start, then one per event.")


def study_sequentially(
    demand: KvDemand,
    current: StorageDevice,
    alternatives: Sequence[StorageDevice],
    *,
    policy: SelectionPolicy,
    largest_ratio: float = 1.0,
    quality: QualityModel | None = None,
    least_quality: float | None = None,
) -> SequentialStudy:
    """Run sequential mode and write down what both parts said."""
    outcome = run_sequentially(
        demand,
        current,
        alternatives,
        policy=policy,
        largest_ratio=largest_ratio,
        quality=quality,
        least_quality=least_quality,
    )
    first = ratio_on(current, demand, policy)
    ratio, part_2 = float(outcome.choice.ratio), outcome.selection
    if part_2 is None:
        reason = "part 1 is enough"
    elif part_2.chosen is None or part_2.is_fallback:
        reason = "no device qualifies, so it stays"
    else:
        reason = part_2.reason
    return SequentialStudy(
        **_question(demand, policy),
        in_use=current.name,
        in_use_ratio=float(first.ratio),
        in_use_total_ms=float(first.total.ms),
        objections=list(outcome.objections),
        device=outcome.device.name,
        ratio=ratio,
        total_ms=float(outcome.choice.total.ms),
        quality=None if quality is None else float(quality.quality(ratio)),
        unmet=list(outcome.unmet),
        reason=reason,
        devices=[] if part_2 is None else [device_row(one) for one in part_2.ranking],
    )


def study_jointly(
    demand: KvDemand,
    devices: Sequence[StorageDevice],
    prices: JointPrices,
    *,
    policy: SelectionPolicy,
    quality: QualityModel | None = None,
    least_quality: float | None = None,
) -> JointStudy:
    """Run parallel mode and write down every option."""
    outcome = optimize_jointly(
        demand, devices, prices, policy=policy, quality=quality, least_quality=least_quality
    )
    return JointStudy(
        **_question(demand, policy),
        best=None if outcome.best is None else _option(outcome.best),
        is_fallback=outcome.is_fallback,
        # A device's own optimum may be one of the ratios that are tried anyway.
        options=list(dict.fromkeys(map(_option, outcome.options))),
    )


def study_adaptation(
    demand: KvDemand,
    devices: Sequence[StorageDevice],
    file: EventFile,
    *,
    policy: SelectionPolicy,
    rules: AdaptationRules,
) -> AdaptationStudy:
    """Let the controller take every event of a file.

    Raises
    ------
    SpecError
        Naming the line of an event that is of no candidate, or before the one above it.
    """
    controller = AdaptiveController(demand, devices, policy=policy, rules=rules)
    decisions = [_decision(None, "start", controller.state)]
    for filed in file.events:
        try:
            state = controller.take(filed.event)
        except SpecError as error:
            raise SpecError(
                [
                    replace(fault, path=_spelt(fault.path), source=file.name, line=filed.line)
                    for fault in error.faults
                ]
            ) from error
        decisions.append(_decision(filed.event.at_s, _words(filed.event), state))
    return AdaptationStudy(
        **_question(demand, policy),
        events=len(file.events),
        changes=_changes(decisions),
        decisions=decisions,
    )


def _question(demand: KvDemand, policy: SelectionPolicy) -> dict[str, float]:
    prefill_ms = float(demand.prefill.ms)
    budget = policy.ttft_budget_ms
    return {
        "context_tokens": demand.tokens,
        "kv_bytes": demand.size_bytes,
        "prefill_ms": prefill_ms,
        "ttft_budget_ms": prefill_ms if budget is None else budget,
    }


def _option(option: JointOption) -> JointRow:
    return JointRow(
        device=option.device.name,
        ratio=option.ratio,
        total_ms=option.total_ms,
        quality=option.quality,
        usd_per_request=option.usd_per_request,
        within_budget=option.within_budget,
        is_efficient=option.is_efficient,
    )


def _decision(at_s: float | None, event: str, state: Adaptation) -> Decision:
    return Decision(
        time_s=at_s,
        event=event,
        rerun=Rerun(state.rerun).value,
        reason=state.reason,
        device=state.device,
        ratio=state.ratio,
        total_ms=state.total_ms,
    )


def _changes(decisions: Iterable[Decision]) -> int:
    held = [(one.device, one.ratio) for one in decisions]
    return sum(before != after for before, after in pairwise(held))


def _words(event: Event) -> str:
    if isinstance(event, BandwidthSample):
        return f"{event.device} at {event.bandwidth_gb_s:.3g} GB/s"
    if isinstance(event, MinimumRatioChanged):
        return f"quality needs {event.minimum_ratio:.1%}"
    return f"{event.device} {'lost' if isinstance(event, DeviceLost) else 'restored'}"


def _spelt(path: str) -> str:
    return "time_s" if path == "at_s" else path
