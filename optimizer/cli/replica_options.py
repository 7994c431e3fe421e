"""The options of `fleetopt size`, and the document of one service and accelerator they make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.option_groups import panel_option

if TYPE_CHECKING:
    from optimizer.errors import Fault
    from optimizer.spec import FleetSpec

__all__ = [
    "LoadOptions",
    "ObjectiveOptions",
    "PairOptions",
    "ReplicaOptions",
    "replica_fleet",
]

_PAIR = "Out of a fleet"
_SPEED = "The replica (by hand, or in place of the fleet's)"
_LOAD = "Its requests (by hand, or in place of the fleet's)"
_OBJECTIVES = "Objectives (beside the fleet's, or in their place)"


class Distribution(StrEnum):
    """Families of lengths that two numbers describe; the spec has empirical ones too."""

    FIXED = "fixed"
    GEOMETRIC = "geometric"
    LOGNORMAL = "lognormal"


class Routing(StrEnum):
    """How requests are spread over replicas, as in the spec."""

    RANDOM = "random"
    ROUND_ROBIN = "round_robin"
    LEAST_OUTSTANDING = "least_outstanding"


@dataclass(frozen=True, kw_only=True)
class PairOptions:
    """Which service on which accelerator of a fleet."""

    service: Annotated[
        str | None,
        panel_option("--service", "Whose load and objectives; default: the only one.", _PAIR),
    ] = None
    model: Annotated[
        str | None, panel_option("--model", "Model, by default the service's.", _PAIR)
    ] = None
    accelerator: Annotated[
        str | None,
        panel_option("--accelerator", "Accelerator, by default the pinned or the only one.", _PAIR),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ReplicaOptions:
    """How fast the replica is, and what the engine is set to."""

    base_ms: Annotated[
        float | None, panel_option("--base-ms", "Time of an empty iteration [ms].", _SPEED)
    ] = None
    decode_ms_per_token: Annotated[
        float | None,
        panel_option("--decode-ms-per-token", "Per decode token of an iteration [ms].", _SPEED),
    ] = None
    prefill_ms_per_token: Annotated[
        float | None, panel_option("--prefill-ms-per-token", "Per prompt token [ms].", _SPEED)
    ] = None
    kv_ms_per_token: Annotated[
        float | None,
        panel_option("--kv-ms-per-token", "Per token in the KV caches that it reads [ms].", _SPEED),
    ] = None
    decode_base_ms: Annotated[
        float | None,
        panel_option(
            "--decode-base-ms", "Timing by phase: decode, alone in the batch [ms].", _SPEED
        ),
    ] = None
    decode_ms_per_request: Annotated[
        float | None,
        panel_option("--decode-ms-per-request", "Timing by phase: per request more [ms].", _SPEED),
    ] = None
    prefill_base_ms: Annotated[
        float | None,
        panel_option("--prefill-base-ms", "Timing by phase: to start a prefill [ms].", _SPEED),
    ] = None
    max_batch: Annotated[
        int | None, panel_option("--max-batch", "Most requests in service together.", _SPEED)
    ] = None
    chunk_tokens: Annotated[
        int | None,
        panel_option("--chunk-tokens", "Most tokens of an iteration (chunked prefill).", _SPEED),
    ] = None
    kv_capacity_tokens: Annotated[
        float | None,
        panel_option("--kv-capacity-tokens", "Tokens that the KV cache holds.", _SPEED),
    ] = None
    draft_tokens: Annotated[
        int | None, panel_option("--draft-tokens", "Speculative decoding: tokens drafted.", _SPEED)
    ] = None
    acceptance_rate: Annotated[
        float | None,
        panel_option(
            "--acceptance-rate", "Speculative decoding: chance that one is accepted.", _SPEED
        ),
    ] = None
    max_queue: Annotated[
        int | None, panel_option("--max-queue", "Requests that may wait beyond the batch.", _SPEED)
    ] = None


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """What the requests are like."""

    input_tokens: Annotated[
        float | None, panel_option("--input-tokens", "Mean prompt length.", _LOAD)
    ] = None
    input_tokens_scv: Annotated[
        float | None,
        panel_option("--input-tokens-scv", "Its squared coefficient of variation.", _LOAD),
    ] = None
    input_distribution: Annotated[
        Distribution | None, panel_option("--input-distribution", "Its distribution.", _LOAD)
    ] = None
    output_tokens: Annotated[
        float | None, panel_option("--output-tokens", "Mean output length, at least 1.", _LOAD)
    ] = None
    output_tokens_scv: Annotated[
        float | None,
        panel_option("--output-tokens-scv", "Its squared coefficient of variation.", _LOAD),
    ] = None
    output_distribution: Annotated[
        Distribution | None, panel_option("--output-distribution", "Its distribution.", _LOAD)
    ] = None
    arrival_scv: Annotated[
        float | None,
        panel_option("--arrival-scv", "SCV of the times between arrivals; 1: Poisson.", _LOAD),
    ] = None
    prefix_hit_rate: Annotated[
        float | None,
        panel_option("--prefix-hit-rate", "Share of prompt tokens found in the cache.", _LOAD),
    ] = None
    routing: Annotated[
        Routing | None, panel_option("--routing", "How requests are spread over --replicas.", _LOAD)
    ] = None


@dataclass(frozen=True, kw_only=True)
class ObjectiveOptions:
    """Upper bounds on latencies, in ms."""

    ttft_ms: Annotated[float | None, panel_option("--ttft-ms", "Mean TTFT.", _OBJECTIVES)] = None
    ttft_p95_ms: Annotated[float | None, panel_option("--ttft-p95-ms", "p95.", _OBJECTIVES)] = None
    ttft_p99_ms: Annotated[float | None, panel_option("--ttft-p99-ms", "p99.", _OBJECTIVES)] = None
    itl_ms: Annotated[
        float | None, panel_option("--itl-ms", "Mean time between two tokens.", _OBJECTIVES)
    ] = None
    itl_p95_ms: Annotated[float | None, panel_option("--itl-p95-ms", "p95.", _OBJECTIVES)] = None
    itl_p99_ms: Annotated[float | None, panel_option("--itl-p99-ms", "p99.", _OBJECTIVES)] = None
    tpot_ms: Annotated[
        float | None, panel_option("--tpot-ms", "Mean time per output token.", _OBJECTIVES)
    ] = None
    tpot_p99_ms: Annotated[float | None, panel_option("--tpot-p99-ms", "p99.", _OBJECTIVES)] = None
    e2e_ms: Annotated[
        float | None, panel_option("--e2e-ms", "Mean from arrival to last token.", _OBJECTIVES)
    ] = None
    e2e_p99_ms: Annotated[float | None, panel_option("--e2e-p99-ms", "p99.", _OBJECTIVES)] = None
    slo: Annotated[
        list[str] | None,
        panel_option(
            "--slo",
            "Any other, such as ttft_ms:p90=300 or queueing_ms=50; may be repeated.",
            _OBJECTIVES,
            "METRIC[:STATISTIC]=BOUND",
        ),
    ] = None

    def bounds(self) -> Iterator[tuple[str, str, str, float]]:
        """Yield option, metric, statistic and bound of every objective given.

        Raises
        ------
        typer.BadParameter
            If `--slo` cannot be read.
        """
        for entry in fields(self):
            value = getattr(self, entry.name)
            match = _OBJECTIVE.fullmatch(entry.name)
            if value is not None and match is not None:
                metric, statistic = match.groups()
                yield _spelt(entry.name), f"{metric}_ms", statistic or "mean", value
        for text in self.slo or ():
            name, _, bound = text.partition("=")
            metric, _, statistic = name.partition(":")
            try:
                yield "--slo", metric, statistic or "mean", float(bound)
            except ValueError as error:
                wanted = "must be METRIC=BOUND or METRIC:STATISTIC=BOUND, as ttft_ms:p90=300"
                raise typer.BadParameter(f"{text!r}: {wanted}", param_hint="--slo") from error


_OBJECTIVE = re.compile(r"([a-z0-9]+?)(?:_(p[0-9]+))?_ms")

_LOAD_AT = ("services", 0, "load")
_ENTRY_AT = ("performance", 0)
_TARGETS_AT = ("classes", 0, "slos", 0, "targets")

# Where options stand in the document.
_PLACES: Mapping[str, tuple[str | int, ...]] = {
    **{
        name: (*_ENTRY_AT, "iteration", name)
        for name in ("base_ms", "decode_ms_per_token", "prefill_ms_per_token", "kv_ms_per_token")
    },
    **{
        name: (*_ENTRY_AT, "prefill_decode", name)
        for name in ("decode_base_ms", "decode_ms_per_request", "prefill_base_ms")
    },
    **{name: (*_ENTRY_AT, name) for name in ("max_batch", "chunk_tokens", "kv_capacity_tokens")},
    "draft_tokens": (*_ENTRY_AT, "speculative_decoding", "draft_tokens"),
    "acceptance_rate": (*_ENTRY_AT, "speculative_decoding", "acceptance_rate"),
    **{
        name: (*_LOAD_AT, name)
        for name in ("input_tokens", "input_tokens_scv", "output_tokens", "output_tokens_scv")
    },
    **{name: (*_LOAD_AT, name) for name in ("arrival_scv", "prefix_hit_rate")},
    "routing": ("services", 0, "routing"),
    "max_queue": ("services", 0, "max_queue"),
}
_BY_PHASE = ("decode_base_ms", "decode_ms_per_request", "prefill_base_ms")


def replica_fleet(
    fleet: FleetSpec | None,
    pair: PairOptions,
    replica: ReplicaOptions,
    load: LoadOptions,
    objectives: ObjectiveOptions,
) -> FleetSpec:
    """Make the fleet of one service on one accelerator that the options describe.

    Raises
    ------
    SpecError
        If it is wrong; faults of options name the option.
    typer.BadParameter
        If an objective cannot be read.
    """
    from optimizer.errors import SpecError
    from optimizer.fleet.one_pair import bare_pair, pair_data
    from optimizer.spec import from_data

    if fleet is None:
        data = bare_pair()
    else:
        own_load = load.input_tokens is not None and load.output_tokens is not None
        names = {entry.name: getattr(pair, entry.name) for entry in fields(pair)}
        try:
            data = pair_data(fleet, **names, own_load=own_load)
        except SpecError as error:
            faults = [replace(fault, path=_spelt(fault.path)) for fault in error.faults]
            raise SpecError(faults) from error
    sheet = _Sheet(data)
    sheet.lay_timing_and_load(replica, load)
    for side in ("input", "output"):
        sheet.lay_distribution(load, side)
    for option, metric, statistic, bound in objectives.bounds():
        sheet.add_objective(option, metric, statistic, bound)
    try:
        return from_data(data, "fleetopt size")
    except SpecError as error:
        raise SpecError([sheet.told_bypanel_option(fault) for fault in error.faults]) from error


class _Sheet:
    """A document with options laid over it, which remembers where each went."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self._options = {_path(place): _spelt(name) for name, place in _PLACES.items()}

    def lay_timing_and_load(self, replica: ReplicaOptions, load: LoadOptions) -> None:
        """Put every option in its place."""
        given = {
            entry.name: getattr(group, entry.name)
            for group in (replica, load)
            for entry in fields(group)
            if getattr(group, entry.name) is not None and entry.name in _PLACES
        }
        entry = self.data["performance"][0]
        by_phase = any(name in given for name in _BY_PHASE) or (
            "base_ms" not in given and "iteration" not in entry and "prefill_decode" in entry
        )
        for name, value in given.items():
            place = _PLACES[name]
            if name == "prefill_ms_per_token" and by_phase:
                place = (*_ENTRY_AT, "prefill_decode", name)
                self._options[_path(place)] = _spelt(name)
            self._lay(place, str(value) if isinstance(value, StrEnum) else value)
        if "max_batch" in given:
            self.data["services"][0].pop("max_batch", None)
            entry.pop("max_batch_at_output_tokens", None)
        if any(name in given for name in ("base_ms", "decode_ms_per_token")):
            entry.pop("iteration_table", None)

    def lay_distribution(self, load: LoadOptions, side: str) -> None:
        """Make prompt or output lengths a distribution where one is named."""
        name = f"{side}_tokens"
        family = getattr(load, f"{side}_distribution")
        if family is None:
            return
        lengths: dict[str, Any] = {"distribution": str(family)}
        own = self.data["services"][0]["load"]
        before = own.get(name)
        lengths["mean"] = before.get("mean") if isinstance(before, dict) else before
        scv = own.pop(f"{name}_scv", None)
        if scv is not None:
            lengths["scv"] = scv
        own[name] = {key: value for key, value in lengths.items() if value is not None}
        place = _path((*_LOAD_AT, name))
        self._options |= {
            f"{place}.distribution": f"--{side}-distribution",
            f"{place}.mean": f"--{side}-tokens",
            f"{place}.scv": f"--{side}-tokens-scv",
        }

    def add_objective(self, option: str, metric: str, statistic: str, bound: float) -> None:
        """Add an objective, in place of one on the same statistic."""
        targets = self.data["classes"][0]["slos"][0]["targets"]
        same = [
            place
            for place, target in enumerate(targets)
            if (str(target["metric"]), target.get("statistic", "mean")) == (metric, statistic)
            and _path((*_TARGETS_AT, place)) not in self._options
        ]
        place = same[0] if same else len(targets)
        targets[place : place + 1] = [{"metric": metric, "statistic": statistic, "bound": bound}]
        self._options[_path((*_TARGETS_AT, place))] = option

    def told_bypanel_option(self, fault: Fault) -> Fault:
        """Name a fault by the option that it concerns, if there is one."""
        places = [p for p in self._options if re.match(re.escape(p) + r"(?![\w])", fault.path)]
        if not places:
            return fault
        return replace(fault, path=self._options[max(places, key=len)], source="")

    def _lay(self, place: tuple[str | int, ...], value: object) -> None:
        *parents, last = place
        part: Any = self.data
        for step in parents:
            part = part[step] if isinstance(step, int) else part.setdefault(step, {})
        part[last] = value


def _path(place: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)[1:]


def _spelt(name: str) -> str:
    return f"--{name.replace('_', '-')}"
