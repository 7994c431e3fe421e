"""`fleetopt kv plan`: ratio and device together, in one of three modes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.kv_device import CandidateOptions, Hiding, Preference, UseOptions
from optimizer.cli.kv_options import (
    BudgetMs,
    CacheOptions,
    ContextTokens,
    OverheadOptions,
    PrefillOptions,
    QualityOptions,
    RatioOptions,
    faults_by_option,
)
from optimizer.cli.kv_plan_options import (
    AdaptOptions,
    JointOptions,
    LeastQuality,
    Mode,
    ModeName,
    SequentialOptions,
    refuse_other_modes,
)
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import show, tell, write_data

if TYPE_CHECKING:
    from optimizer.kv import KvDemand, SaturatingQuality, StorageDevice
    from optimizer.kv.device_text import DeviceFile
    from optimizer.kv.mode_study import AdaptationStudy, JointStudy, SequentialStudy

__all__ = ["plan"]


@with_option_groups
def plan(
    *,
    mode: ModeName,
    sequential: SequentialOptions,
    joint: JointOptions,
    adapt: AdaptOptions,
    context_tokens: ContextTokens,
    cache: CacheOptions,
    prefill: PrefillOptions,
    candidates: CandidateOptions,
    use: UseOptions,
    overheads: OverheadOptions,
    rules: RatioOptions,
    quality: QualityOptions,
    least_quality: LeastQuality = None,
    ttft_budget_ms: BudgetMs = None,
    as_json: Json = False,
) -> None:
    """Decide the share recomputed and the device together: in order, jointly, or over time.

    Exits with 4 where no device is feasible in joint mode.

    For example:

      fleetopt kv plan --mode sequential --in-use hdd_sata --model 01-ai/Yi-34B \
--context-tokens 4096 --prefill-s 3

      fleetopt kv plan --mode joint --usd-per-ttft-s 0.001 --model 01-ai/Yi-34B \
--context-tokens 4096 --prefill-s 3
    """
    refuse_other_modes(mode, sequential, joint, adapt)
    if mode.is_joint:
        _refuse_given_rule(use)
    with faults_by_option():
        from optimizer.kv import KvDemand
        from optimizer.kv.event_file import read_events
        from optimizer.kv.mode_study import study_adaptation, study_jointly, study_sequentially

        curve = _curve(mode, least_quality, joint, quality)
        shape, law = cache.shape(), prefill.law(context_tokens, cache.model)
        demand = KvDemand(shape=shape, tokens=context_tokens, prefill=law.time(context_tokens))
        policy = use.policy(rules, overheads, ttft_budget_ms)
        file = candidates.read(prefill, context_tokens, cache.model)
        places = replace(file, devices=_reached(file, demand))
        study: SequentialStudy | JointStudy | AdaptationStudy
        if mode is Mode.SEQUENTIAL:
            current, others = _in_use(sequential, places, prefill, context_tokens, cache.model)
            study = study_sequentially(
                demand,
                current,
                others,
                policy=policy,
                largest_ratio=1.0 if sequential.largest_ratio is None else sequential.largest_ratio,
                quality=curve,
                least_quality=least_quality,
            )
        elif mode is Mode.ADAPT:
            events, thresholds = read_events(str(adapt.samples)), adapt.rules()
            study = study_adaptation(
                demand, places.devices, events, policy=policy, rules=thresholds
            )
        else:
            study = study_jointly(
                demand,
                places.devices,
                joint.prices(),
                policy=policy,
                quality=curve,
                least_quality=least_quality,
            )
    _show(study, as_json=as_json)
    if study.mode == "joint" and study.best is None:
        raise typer.Exit(ExitCode.INFEASIBLE)


def _show(study: SequentialStudy | JointStudy | AdaptationStudy, *, as_json: bool) -> None:
    if as_json:
        write_data(study.model_dump_json(indent=2), None)
    else:
        from optimizer.report import mode_view

        show(mode_view(study))


def _refuse_given_rule(use: UseOptions) -> None:
    """Refuse rules of part 2 where money decides."""
    default = (None, Preference.COST, Hiding.LOADING_HIDDEN)
    if (use.ratio, use.prefer, use.hiding) != default:
        raise typer.BadParameter(
            "joint tries all ratios and weighs by prices: leave out --ratio, --prefer, --hiding",
            param_hint="--mode",
        )


def _curve(
    mode: Mode, least_quality: float | None, joint: JointOptions, quality: QualityOptions
) -> SaturatingQuality | None:
    """Return the quality curve; refuse one that is ignored, and a floor or price without one."""
    curve = quality.curve()
    if mode is Mode.ADAPT and (curve is not None or least_quality is not None):
        raise typer.BadParameter(
            "adapt takes --min-ratio, and changes of it in --samples, in place of a quality curve",
            param_hint="--mode",
        )
    for value, name in (
        (least_quality, "--least-quality"),
        (joint.usd_per_quality, "--usd-per-quality"),
    ):
        if value is not None and curve is None:
            raise typer.BadParameter(
                "needs a curve: --quality-dataset, or --quality-at-zero and its like",
                param_hint=name,
            )
    return curve


def _reached(file: DeviceFile, demand: KvDemand) -> tuple[StorageDevice, ...]:
    """Return the candidates with the bandwidth and latency of their paths; tell of the others."""
    from optimizer.kv.device_selection import reached_device

    found = []
    for device in file.devices:
        near = reached_device(file.topology, file.compute, device, demand.size_bytes)
        if near is None:
            tell(f"fleetopt: {device.name} is left out: no link reaches it from {file.compute}")
        else:
            found.append(near)
    return tuple(found)


def _in_use(
    sequential: SequentialOptions,
    places: DeviceFile,
    measured: PrefillOptions,
    tokens: float,
    model: str | None,
) -> tuple[StorageDevice, list[StorageDevice]]:
    """Return the device in use, a candidate or described as one, and the other candidates.

    Raises
    ------
    typer.BadParameter
        If there are links, which say nothing of a device that is no candidate.
    SpecError
        If there is no such device.
    """
    from optimizer.errors import SpecError

    name = str(sequential.in_use)
    others = list(places.devices)
    for place, device in enumerate(others):
        if device.name == name:
            return others.pop(place), others
    if places.topology is not None:
        raise typer.BadParameter(
            f"'{name}' is no device of --devices that a link reaches", param_hint="--in-use"
        )
    try:
        return measured.storage(name, tokens, model), others
    except SpecError as error:
        faults = [replace(f, path="in_use") if f.path == "device" else f for f in error.faults]
        raise SpecError(faults) from error
