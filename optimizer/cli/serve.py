"""`fleetopt serve`: replicas that real clients can talk to, without an accelerator."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.option_groups import panel_option, with_option_groups
from optimizer.cli.output import require_writable, tell, writing_to

if TYPE_CHECKING:
    from optimizer.engine.emulated_replica import EmulatedReplica
    from optimizer.engine.rules import EngineConfig

__all__ = ["serve"]

_REPLICA = "The replica"
_FLEET = "The fleet"
_SERVER = "The server"
_LIMITS = "Limits of a request"
_TRACES = (".jsonl", ".csv")
_NEEDED = ("starlette", "uvicorn", "prometheus_client")


class Routing(StrEnum):
    """How requests are spread over replicas."""

    RANDOM = "random"
    ROUND_ROBIN = "round_robin"
    LEAST_OUTSTANDING = "least_outstanding"
    PREFIX_AWARE = "prefix_aware"


class SchedulingPolicy(StrEnum):
    """Who goes first of those that wait at a replica."""

    FCFS = "fcfs"
    PRIORITY = "priority"


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What a replica is set to."""

    tensor_parallel: Annotated[
        int, panel_option("--tensor-parallel", "Accelerators of a replica.", _REPLICA)
    ] = 1
    precision: Annotated[
        str, panel_option("--precision", "Format of the weights; auto: as they are.", _REPLICA)
    ] = "auto"
    kv_dtype: Annotated[
        str, panel_option("--kv-dtype", "Format of the KV cache; auto: the checkpoint's.", _REPLICA)
    ] = "auto"
    max_num_seqs: Annotated[
        int | None, panel_option("--max-num-seqs", "Sequences of a batch [256].", _REPLICA)
    ] = None
    max_num_batched_tokens: Annotated[
        int | None,
        panel_option("--max-num-batched-tokens", "Tokens of an engine step [8192].", _REPLICA),
    ] = None
    max_model_len: Annotated[
        int | None,
        panel_option(
            "--max-model-len",
            "Longest prompt and answer [tokens]; by default the model's, as far as the KV cache "
            "holds it.",
            _REPLICA,
        ),
    ] = None
    num_gpu_blocks: Annotated[
        int | None,
        panel_option("--num-gpu-blocks", "KV blocks, in place of what memory allows.", _REPLICA),
    ] = None
    block_size: Annotated[
        int | None, panel_option("--block-size", "Tokens of a KV block [16].", _REPLICA)
    ] = None
    prefix_caching: Annotated[
        bool,
        typer.Option(
            "--prefix-caching/--no-prefix-caching",
            help="Whether equal beginnings of prompts share KV blocks.",
            rich_help_panel=_REPLICA,
        ),
    ] = True
    prefix_match_unit: Annotated[
        int | None,
        panel_option(
            "--prefix-match-unit",
            "Tokens after which a block that is not full can be shared too; full ones alone.",
            _REPLICA,
        ),
    ] = None
    scheduling_policy: Annotated[
        SchedulingPolicy,
        panel_option(
            "--scheduling-policy", "Who goes first; by `priority` of requests [fcfs].", _REPLICA
        ),
    ] = SchedulingPolicy.FCFS
    max_waiting: Annotated[
        int | None,
        panel_option("--max-waiting", "Requests that may wait at a replica; any number.", _REPLICA),
    ] = None
    draft_tokens: Annotated[
        int | None,
        panel_option("--draft-tokens", "Speculative decoding: tokens drafted.", _REPLICA),
    ] = None
    acceptance_rate: Annotated[
        float | None,
        panel_option(
            "--acceptance-rate",
            "Speculative decoding: chance that one is accepted; by default a small model drafts "
            "for the larger one.",
            _REPLICA,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """How many replicas there are, and how time passes."""

    replicas: Annotated[
        int, panel_option("--replicas", "Replicas that are ready at the start [1].", _FLEET)
    ] = 1
    most_replicas: Annotated[
        int, panel_option("--max-replicas", "Replicas there can be [64].", _FLEET)
    ] = 64
    routing: Annotated[
        Routing,
        panel_option("--routing", "How requests are spread [least_outstanding].", _FLEET),
    ] = Routing.LEAST_OUTSTANDING
    startup_s: Annotated[
        float,
        panel_option("--startup-s", "Until a replica that is added is ready [s; 30].", _FLEET),
    ] = 30.0
    speed: Annotated[
        float, panel_option("--speed", "Engine seconds that pass in a real one [1].", _FLEET)
    ] = 1.0
    seed: Annotated[int, panel_option("--seed", "Of all draws [0].", _FLEET)] = 0


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where the server listens, and whom it lets in."""

    host: Annotated[str, panel_option("--host", "Address to listen at [127.0.0.1].", _SERVER)] = (
        "127.0.0.1"
    )
    port: Annotated[int, panel_option("--port", "Port; 0: any that is free [8000].", _SERVER)] = (
        8000
    )
    served_model_name: Annotated[
        str | None,
        panel_option("--served-model-name", "Name that clients ask for [--model].", _SERVER),
    ] = None
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="FLEETOPT_API_KEY",
            help="What clients must show; by default nothing.",
            rich_help_panel=_SERVER,
            show_default=False,
        ),
    ] = None
    admin_token: Annotated[
        str | None,
        typer.Option(
            "--admin-token",
            envvar="FLEETOPT_ADMIN_TOKEN",
            help="Turns /admin on: replicas and faults, for who shows this token.",
            rich_help_panel=_SERVER,
            show_default=False,
        ),
    ] = None
    former_names: Annotated[
        bool,
        typer.Option(
            "--former-metric-names",
            help="Show renamed metrics under their old names too.",
            rich_help_panel=_SERVER,
        ),
    ] = False
    record: Annotated[
        Path | None,
        panel_option(
            "--record",
            "Write what was served as a trace at the end: .jsonl with what prompts and outputs "
            "share, .csv without.",
            _SERVER,
            "FILE",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """How much a request may ask for."""

    max_tokens: Annotated[
        int, panel_option("--max-tokens", "Tokens of an output [16384].", _LIMITS)
    ] = 16_384
    max_n: Annotated[int, panel_option("--max-n", "Outputs: n times prompts [128].", _LIMITS)] = 128
    max_body_kib: Annotated[
        int, panel_option("--max-body-kib", "Size of the body [KiB; 4096].", _LIMITS)
    ] = 4096


@with_option_groups
def serve(
    model: Annotated[
        str,
        typer.Option("--model", help="Model of the catalogue, or of --fleet.", show_default=False),
    ],
    accelerator: Annotated[
        str,
        typer.Option(
            "--accelerator",
            help="Accelerator of the catalogue, or of --fleet.",
            show_default=False,
        ),
    ],
    fleet: Annotated[
        str | None,
        typer.Option(
            "--fleet",
            help="A fleet whose performance figures are taken, in place of estimates.",
            show_default=False,
        ),
    ] = None,
    *,
    engine: EngineOptions,
    replicas: FleetOptions,
    server: ServerOptions,
    limits: LimitOptions,
) -> None:
    """Serve OpenAI's API from an emulated fleet: vLLM's schedule and metrics, no accelerator.

    Text comes from a small built-in language model; when each token comes out is what the
    simulator's core says. Ends at Ctrl-C.

    For example:

      fleetopt serve --model meta-llama/Llama-3.1-8B --accelerator H100-SXM

      fleetopt serve --fleet examples/fleet.yaml --model llama-8b --accelerator H100 --replicas 3
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        from solvers import MissingExtraError

        raise MissingExtraError(
            f"serve needs {', '.join(missing)}, not installed; try: pip install 'fleetopt[serve]'"
        )
    if server.record is not None and server.record.suffix not in _TRACES:
        raise typer.BadParameter(
            f"'{server.record}': the name must end in {' or '.join(_TRACES)}",
            param_hint="--record",
        )
    require_writable(server.record, "--record")
    one = _with_settings(_replica(fleet, model, accelerator, engine), engine, replicas.seed)
    _serve(one, server.served_model_name or model, replicas, server, limits)


def _replica(
    fleet: str | None, model: str, accelerator: str, engine: EngineOptions
) -> EmulatedReplica:
    from optimizer.engine.emulated_replica import estimated_replica, replica_of_fleet
    from optimizer.errors import SpecError

    if fleet is None:
        return estimated_replica(
            model,
            accelerator,
            tensor_parallel=engine.tensor_parallel,
            precision=None if engine.precision == "auto" else engine.precision,
            kv_dtype=engine.kv_dtype,
            max_num_seqs=256 if engine.max_num_seqs is None else engine.max_num_seqs,
            max_num_batched_tokens=8192
            if engine.max_num_batched_tokens is None
            else engine.max_num_batched_tokens,
        )
    for option, is_given in (
        ("--tensor-parallel", engine.tensor_parallel != 1),
        ("--precision", engine.precision != "auto"),
        ("--kv-dtype", engine.kv_dtype != "auto"),
    ):
        if is_given:
            raise typer.BadParameter("the fleet says it; leave it out", param_hint=option)
    from optimizer.spec import load

    try:
        return replica_of_fleet(load(fleet), model, accelerator)
    except SpecError as error:
        faults = [
            replace(f, path=f"--{f.path}") if f.path in ("model", "accelerator") else f
            for f in error.faults
        ]
        raise SpecError(faults) from error


def _with_settings(one: EmulatedReplica, engine: EngineOptions, seed: int) -> EmulatedReplica:
    config = _with_blocks(one.config, engine)
    for option, name, value, least, most in (
        ("--seed", "seed", seed, 0, 2**62),
        ("--max-num-seqs", "max_num_seqs", engine.max_num_seqs, 1, 65_536),
        (
            "--max-num-batched-tokens",
            "max_num_batched_tokens",
            engine.max_num_batched_tokens,
            1,
            2**30,
        ),
        ("--max-waiting", "max_waiting", engine.max_waiting, 0, 2**30),
        ("--draft-tokens", "draft_tokens", engine.draft_tokens, 0, 64),
        ("--acceptance-rate", "acceptance_rate", engine.acceptance_rate, 0, 1),
    ):
        if value is not None:
            _require(option, value, least, most)
            config = replace(config, **{name: value})  # type: ignore[arg-type]
    held = config.usable_blocks * config.block_size
    longest = engine.max_model_len
    if longest is None:
        longest = min(config.max_model_len, held)
    _require("--max-model-len", longest, 2, held)
    return replace(
        one,
        config=replace(config, max_model_len=longest),
        drafts_by_chance=one.drafts_by_chance or engine.acceptance_rate is not None,
    )


def _with_blocks(config: EngineConfig, engine: EngineOptions) -> EngineConfig:
    from optimizer.engine.rules import Policy

    size = config.block_size if engine.block_size is None else engine.block_size
    _require("--block-size", size, 1, 65_536)
    blocks = config.usable_blocks * config.block_size // size + 1
    if engine.num_gpu_blocks is not None:
        blocks = engine.num_gpu_blocks
        _require("--num-gpu-blocks", blocks, 2, 2**26)
    elif blocks < 2:
        raise typer.BadParameter(
            f"{size}: the KV cache holds {config.usable_blocks * config.block_size} tokens",
            param_hint="--block-size",
        )
    unit = engine.prefix_match_unit
    if unit is not None:
        _require("--prefix-match-unit", unit, 1, size)
        if size % unit != 0:
            raise typer.BadParameter(
                f"{unit}: must divide the block size, {size}", param_hint="--prefix-match-unit"
            )
    return replace(
        config,
        block_size=size,
        num_blocks=blocks,
        prefix_match_unit=unit,
        prefix_caching=engine.prefix_caching,
        policy=Policy[engine.scheduling_policy.name],
    )


def _require(option: str, value: float, least: float, most: float) -> None:
    from optimizer.engine.errors import require_within

    require_within(option, value, least, most)


def _serve(
    one: EmulatedReplica,
    name: str,
    fleet: FleetOptions,
    server: ServerOptions,
    caps: LimitOptions,
) -> None:
    from optimizer.engine.emulator import Emulator, Limits, ScaledClock, ServerSettings, create_app
    from optimizer.engine.emulator.recording import Recording
    from optimizer.engine.emulator.serving import opened_socket
    from optimizer.engine.emulator.serving import serve as serve_app
    from optimizer.engine.emulator.warm_up import warm_up
    from optimizer.engine.language import built_in_model
    from optimizer.engine.live_fleet import MOST_REPLICAS, LiveFleet
    from optimizer.engine.routing import Router, RouterPolicy

    _require("--speed", fleet.speed, 1e-3, 1e4)
    _require("--max-replicas", fleet.most_replicas, 1, MOST_REPLICAS)
    _require("--replicas", fleet.replicas, 0, fleet.most_replicas)
    _require("--port", server.port, 0, 65_535)
    _require("--startup-s", fleet.startup_s, 0.0, 86_400.0)
    for option, cap in (
        ("--max-tokens", caps.max_tokens),
        ("--max-n", caps.max_n),
        ("--max-body-kib", caps.max_body_kib),
    ):
        _require(option, cap, 1, 2**20)
    settings = ServerSettings(
        model=name,
        limits=Limits(
            body_bytes=1024 * caps.max_body_kib, outputs=caps.max_n, max_tokens=caps.max_tokens
        ),
        api_key=server.api_key or None,
        admin_token=server.admin_token or None,
        most_replicas=fleet.most_replicas,
        former_names=server.former_names,
    )
    listening = opened_socket(server.host, server.port)
    warm_up(one.config, one.timing, built_in_model())
    recording = None if server.record is None else Recording()
    emulator = Emulator(
        LiveFleet(
            one.config,
            one.timing,
            replicas=fleet.replicas,
            router=Router(RouterPolicy[fleet.routing.name]),
            startup_ms=1e3 * fleet.startup_s,
            tells_tokens=True,
        ),
        built_in_model(),
        ScaledClock(fleet.speed),
        drafts_by_chance=one.drafts_by_chance,
        on_submitted=None if recording is None else recording.submitted,
        on_happened=None if recording is None else recording.happened,
    )
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    config = one.config
    tell(
        f"fleetopt: serving {name} at http://{shown}:{port}/v1: {fleet.replicas} "
        f"{'replica' if fleet.replicas == 1 else 'replicas'} of "
        f"{config.usable_blocks:,} KV blocks, {config.max_num_seqs} sequences, up to "
        f"{config.max_model_len:,} tokens; {one.source}"
    )
    try:
        with suppress(KeyboardInterrupt):  # it may end of itself by then
            serve_app(create_app(emulator, settings), listening, emulator.end_all)
        tell("fleetopt: ended")
    finally:
        if recording is not None and server.record is not None:
            with writing_to(server.record, "--record"), server.record.open("w", newline="") as file:
                if server.record.suffix == ".csv":
                    recording.write_csv(file)
                else:
                    recording.write_json_lines(file)
    raise typer.Exit(ExitCode.OK)
