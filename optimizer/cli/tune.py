"""`fleetopt tune`: a replica's timing, learnt from a log of what was observed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json, read_fleet
from optimizer.cli.interruption import ending_at_interrupt
from optimizer.cli.output import show, tell, write_data, writing_to

if TYPE_CHECKING:
    from optimizer.performance.tuner import TunedReplica, Tuner
    from optimizer.performance.tuner.observation_file import ObservationLog, ObservedReplica
    from optimizer.performance.tuner.replay import Replay
    from optimizer.spec import FleetSpec, PerformanceSpec

__all__ = ["tune"]

_MAX_BATCH = 256


def tune(
    log: Annotated[
        str,
        typer.Argument(
            metavar="LOG", help="Observations: a CSV or JSON-lines file, or - for stdin."
        ),
    ],
    *,
    fleet: Annotated[
        str | None,
        typer.Option(
            "--fleet",
            metavar="FLEET",
            help="Fleet whose performance data is started from, by model and accelerator.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="Model, where the log names none.", show_default=False),
    ] = None,
    accelerator: Annotated[
        str | None,
        typer.Option(
            "--accelerator", help="Accelerator, where the log names none.", show_default=False
        ),
    ] = None,
    max_batch: Annotated[
        int | None,
        typer.Option(
            "--max-batch",
            min=1,
            help="Most requests in service on a replica; by default the fleet's, else 256.",
            show_default=False,
        ),
    ] = None,
    queue_model: Annotated[
        str, typer.Option("--queue-model", help="Queue model, see `fleetopt queue-models`.")
    ] = "auto",
    law: Annotated[
        str | None,
        typer.Option(
            "--law",
            help="iteration, three_parameter or prefill_decode; by default the queue model's.",
            show_default=False,
        ),
    ] = None,
    tuner: Annotated[
        str | None,
        typer.Option(
            "--tuner",
            help="extended-kalman or least-squares; by default told by the columns.",
            show_default=False,
        ),
    ] = None,
    noise: Annotated[
        float,
        typer.Option(
            "--noise", min=0.001, max=1, help="Relative noise of single observations, at first."
        ),
    ] = 0.05,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="FILE",
            help="Write the learnt performance data as YAML, for a fleet file.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Learn how fast replicas are from what was observed of them.

    Columns of windows of serving: arrival_rate_rps, input_tokens, output_tokens, ttft_ms, itl_ms,
    and perhaps time_s, concurrency, requests, replicas, model, accelerator. Of iterations of the
    engine: iteration_ms, decode_tokens, prefill_tokens, kv_tokens. Other usual names and units are
    read too (rate_rpm, ttft_s, tpot_ms, isl, osl). Cells may be empty.

    For example:

      fleetopt tune observed.csv --model llama-8b --accelerator H100 --max-batch 256

      fleetopt tune observed.jsonl --fleet fleet.yaml --write learnt.yaml

      fleetopt tune steps.csv --tuner least-squares --json
    """
    from optimizer.performance.tuner.observation_file import read_observations

    with ending_at_interrupt():
        text = typer.get_text_stream("stdin").read() if log == "-" else None
        read = read_observations("<stdin>" if log == "-" else log, text)
        known = None if fleet is None else read_fleet(fleet)
        options = _Options(known, model, accelerator, max_batch, queue_model, law, tuner, noise)
        learnt = [_learnt(read, replica, options) for replica in read.replicas]
    document = {
        "schema_version": 1,
        "source": read.source,
        "ignored_columns": list(read.ignored),
        "replicas": [account for account, _, _ in learnt],
        "performance": [_fields(entry) for _, _, entry in learnt if entry is not None],
    }
    if write is not None:
        from optimizer.spec.dumping import write_yaml

        with writing_to(write, "--write"):
            write.write_text(write_yaml({"performance": document["performance"]}), "utf-8")
    if as_json:
        write_data(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), None)
    else:
        from optimizer.report.tuning_text import tuning_view

        show(tuning_view([(account, done) for account, done, _ in learnt], read.ignored))
    if not document["performance"]:
        tell(f"fleetopt: {read.source}: no observation could be used")
        raise typer.Exit(ExitCode.SPEC_INVALID)


class _Options:
    """What was asked for, as every replica of the log needs it."""

    def __init__(
        self,
        fleet: FleetSpec | None,
        model: str | None,
        accelerator: str | None,
        max_batch: int | None,
        queue_model: str,
        law: str | None,
        tuner: str | None,
        noise: float,
    ) -> None:
        self.fleet = fleet
        self.model, self.accelerator = model, accelerator
        self.max_batch = max_batch
        self.queue_model, self.law, self.tuner = queue_model, law, tuner
        self.noise = noise

    def entry(self, model: str, accelerator: str) -> PerformanceSpec | None:
        """Return the fleet's entry of a model on an accelerator."""
        if self.fleet is None:
            return None
        for entry in self.fleet.performance:
            if (entry.model, entry.accelerator) == (model, accelerator):
                return entry
        have = ", ".join(f"{e.model} on {e.accelerator}" for e in self.fleet.performance[:5])
        raise typer.BadParameter(
            f"has no performance data of {model or 'no model'} on {accelerator or 'nothing'}; "
            f"it has {have}; name them with --model and --accelerator",
            param_hint="--fleet",
        )

    def replica(self, entry: PerformanceSpec | None) -> TunedReplica:
        """Return what a tuner is told of the replica."""
        from optimizer.performance.tuner import TunedReplica

        batch = self.max_batch or (entry.max_batch if entry else None)
        if batch is None:
            tell(f"fleetopt: max_batch is taken as {_MAX_BATCH}; say otherwise with --max-batch")
        given = (entry.chunk_tokens, entry.kv_capacity_tokens) if entry else (None, None)
        return TunedReplica(
            max_batch=batch or _MAX_BATCH,
            queue_model=self.queue_model,
            law=self.law,
            chunk_tokens=given[0] or 8192,
            kv_capacity_tokens=given[1],
        )


def _learnt(
    log: ObservationLog, replica: ObservedReplica, options: _Options
) -> tuple[dict[str, Any], Replay, PerformanceSpec | None]:
    """Replay one replica's observations; return its account, the replay, and the entry."""
    from optimizer.performance.tuner.learnt_entry import learnt_entry
    from optimizer.performance.tuner.replay import replay

    model = replica.model or options.model or ""
    accelerator = replica.accelerator or options.accelerator or ""
    entry = options.entry(model, accelerator)
    tuner = _tuner(log, entry, options)
    done = replay(tuner, replica.observations)
    account: dict[str, Any] = {
        "model": model,
        "accelerator": accelerator,
        "tuner": tuner.name,
        "queue_model": tuner.replica.queue_model,
        "law": tuner.law.name,
        "max_batch": tuner.replica.max_batch,
        "rows": done.rows,
        "accepted": done.rows - len(done.rejected),
        "rejected": [asdict(row) for row in done.rejected],
        "residuals": {name: asdict(found) for name, found in done.residuals.items()},
    }
    if done.learnt is None:
        return account, done, None
    account |= _known(done)
    source = (
        f"learnt by {tuner.name} from {account['accepted']} of {done.rows} observations of "
        f"{Path(log.source).name}"
    )
    return (
        account,
        done,
        learnt_entry(
            done.learnt,
            model=model or "model",
            accelerator=accelerator or "accelerator",
            max_batch=tuner.replica.max_batch,
            source=source,
            base=entry,
        ),
    )


def _tuner(log: ObservationLog, entry: PerformanceSpec | None, options: _Options) -> Tuner:
    """Make the tuner that was asked for, or that reads what the log observes."""
    from optimizer.performance.tuner import StepObservation, TunerSettings, get
    from queue_models import IterationTiming, PrefillDecodeTiming, Timing

    by_columns = "least-squares" if log.kind is StepObservation else "extended-kalman"
    kind = get(options.tuner or by_columns)
    if kind.observes is not log.kind:
        wanted = ", ".join(kind.observes.required)
        raise typer.BadParameter(
            f"'{kind.name}' learns from other observations than {log.source} has; it needs "
            f"{wanted}",
            param_hint="--tuner",
        )
    replica = options.replica(entry)
    settings = TunerSettings(noise_log_sd=options.noise)
    start: Timing | None = None
    if entry is not None:
        law = kind(replica, None, settings).law
        if law.kind is IterationTiming and entry.iteration is not None:
            start = IterationTiming(**entry.iteration.model_dump())
        elif law.kind is PrefillDecodeTiming and entry.prefill_decode is not None:
            start = PrefillDecodeTiming(**entry.prefill_decode.model_dump())
    return kind(replica, start, settings)


def _known(done: Replay) -> dict[str, Any]:
    """Return what was learnt, by name."""
    learnt = done.learnt
    assert learnt is not None
    return {
        "parameters": {
            name: {
                "value": value,
                "low": learnt.interval(name)[0],
                "high": learnt.interval(name)[1],
                "log_sd": learnt.log_sd[name],
            }
            for name, value in learnt.parameters.items()
        },
        "noise_log_sd": learnt.noise_log_sd,
        "prediction_log_sd": learnt.prediction_log_sd,
        "confidence": learnt.confidence,
        "changes": learnt.reopened,
    }


def _fields(entry: PerformanceSpec) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude_defaults=True)
