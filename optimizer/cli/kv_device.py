"""`fleetopt kv device`: the storage device for a recompute ratio."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.kv_options import (
    BudgetMs,
    CacheOptions,
    ContextTokens,
    OverheadOptions,
    PrefillOptions,
    RatioOptions,
    faults_by_option,
)
from optimizer.cli.option_groups import panel_option, with_option_groups
from optimizer.cli.output import show, write_data

if TYPE_CHECKING:
    from optimizer.kv import SelectionPolicy
    from optimizer.kv.device_text import DeviceFile

__all__ = ["device"]

_CANDIDATES = "Candidates"
_CHOICE = "The choice"


class Preference(StrEnum):
    """What the best device is best at."""

    COST = "cost"
    LATENCY = "latency"


class Hiding(StrEnum):
    """What "no extra delay" means."""

    LOADING_HIDDEN = "loading-hidden"
    RECOMPUTE_HIDDEN = "recompute-hidden"


class LocalCostName(StrEnum):
    """How local devices are priced."""

    FREE = "free"
    OPPORTUNITY = "opportunity"


@dataclass(frozen=True, kw_only=True)
class CandidateOptions:
    """Where the KV cache may be kept."""

    candidates: Annotated[
        list[str] | None,
        panel_option(
            "--candidate",
            "Of the catalogue or --profiles, or name=...,bandwidth_gb_s=...; may be repeated.",
            _CANDIDATES,
            "DEVICE",
        ),
    ] = None
    devices: Annotated[
        str | None,
        panel_option("--devices", "YAML or JSON file of devices and links.", _CANDIDATES, "FILE"),
    ] = None

    def read(self, measured: PrefillOptions, tokens: float, model: str | None) -> DeviceFile:
        """Return the candidates: those named, those of the file, or the whole catalogue.

        Those named have the figures that are measured, if they are.

        Raises
        ------
        typer.BadParameter
            If both are given: a file may say how its devices are reached.
        SpecError
            If a device or the file is wrong.
        """
        from optimizer.kv.device_text import (
            DeviceFile,
            catalogue_devices,
            read_device_file,
        )

        if self.candidates and self.devices is not None:
            raise typer.BadParameter("leave out --candidate", param_hint="--devices")
        if self.devices is not None:
            return read_device_file(self.devices)
        if self.candidates:
            named = tuple(measured.storage(text, tokens, model) for text in self.candidates)
            return DeviceFile(devices=named, topology=None, compute="")
        return DeviceFile(devices=catalogue_devices(), topology=None, compute="")


@dataclass(frozen=True, kw_only=True)
class UseOptions:
    """How long the KV cache is kept, how often it is read, and what is preferred."""

    ratio: Annotated[
        float | None,
        panel_option("--ratio", "Share recomputed; default: --min-ratio.", _CHOICE),
    ] = None
    prefer: Annotated[
        Preference, panel_option("--prefer", "cost (default) or latency.", _CHOICE)
    ] = Preference.COST
    hiding: Annotated[
        Hiding,
        panel_option(
            "--hiding",
            "No extra delay: loading-hidden (load <= recompute, the default and CacheBlend's rule) "
            "or recompute-hidden (recompute <= load).",
            _CHOICE,
        ),
    ] = Hiding.LOADING_HIDDEN
    max_load_ms: Annotated[
        float | None, panel_option("--max-load-ms", "Largest loading time at all.", _CHOICE)
    ] = None
    duration_h: Annotated[
        float, panel_option("--duration-h", "Hours it is kept; default 1.", _CHOICE)
    ] = 1.0
    reads: Annotated[float, panel_option("--reads", "Times it is loaded; default 1.", _CHOICE)] = (
        1.0
    )
    writes: Annotated[
        float, panel_option("--writes", "Times it is stored; default 1.", _CHOICE)
    ] = 1.0
    request_bytes: Annotated[
        float | None, panel_option("--request-bytes", "Of a read request, for fees.", _CHOICE)
    ] = None
    local_cost: Annotated[
        LocalCostName, panel_option("--local-cost", "free (default) or opportunity.", _CHOICE)
    ] = LocalCostName.FREE

    def policy(
        self, rules: RatioOptions, overheads: OverheadOptions, ttft_budget_ms: float | None
    ) -> SelectionPolicy:
        """Return all rules of the choice as the controller takes them."""
        from optimizer.kv import (
            DevicePreference,
            HidingRule,
            LocalCost,
            SelectionPolicy,
            StorageUse,
        )

        return SelectionPolicy(
            ratio=rules.minimum_ratio if self.ratio is None else self.ratio,
            prefer=DevicePreference(self.prefer),
            hiding=HidingRule(self.hiding),
            ratios=rules.policy(),
            overheads=overheads.overheads(),
            use=StorageUse(
                duration_h=self.duration_h,
                reads=self.reads,
                writes=self.writes,
                request_bytes=self.request_bytes,
                local=LocalCost(self.local_cost),
            ),
            ttft_budget_ms=ttft_budget_ms,
            max_load_ms=self.max_load_ms,
        )


@with_option_groups
def device(
    *,
    context_tokens: ContextTokens,
    cache: CacheOptions,
    prefill: PrefillOptions,
    candidates: CandidateOptions,
    use: UseOptions,
    overheads: OverheadOptions,
    rules: RatioOptions,
    ttft_budget_ms: BudgetMs = None,
    as_json: Json = False,
) -> None:
    """Choose where to keep a KV cache, given the share of tokens that is recomputed.

    The cheapest device without extra delay, or the quickest; every other one ranked behind it.
    Exits with 4 where no device is feasible.

    For example:

      fleetopt kv device --model 01-ai/Yi-34B --context-tokens 4096 --prefill-s 3 --duration-h 24

      fleetopt kv device --model 01-ai/Yi-34B --context-tokens 4096 --prefill-s 3 --json
    """
    with faults_by_option():
        from optimizer.kv import KvDemand
        from optimizer.kv.device_study import study_devices

        places = candidates.read(prefill, context_tokens, cache.model)
        policy = use.policy(rules, overheads, ttft_budget_ms)
        shape, law = cache.shape(), prefill.law(context_tokens, cache.model)
        demand = KvDemand(shape=shape, tokens=context_tokens, prefill=law.time(context_tokens))
        study = study_devices(
            demand, places.devices, policy=policy, topology=places.topology, compute=places.compute
        )
    if as_json:
        write_data(study.model_dump_json(indent=2), None)
    else:
        from optimizer.report import device_view

        show(device_view(study))
    if study.chosen is None:
        raise typer.Exit(ExitCode.INFEASIBLE)
