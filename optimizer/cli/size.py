"""`fleetopt size`: one replica by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json, QueueModelName
from optimizer.cli.interruption import ending_at_interrupt
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import show, tell, write_data
from optimizer.cli.replica_options import (
    LoadOptions,
    ObjectiveOptions,
    PairOptions,
    ReplicaOptions,
    replica_fleet,
)

if TYPE_CHECKING:
    from optimizer.fleet.replica import ReplicaStudy
    from optimizer.spec import FleetSpec

__all__ = ["size"]

# Points of a drawn curve, and the highest of them as a share of capacity.
_DRAWN_POINTS = 80
_DRAWN_TO = 0.99
_FORMATS = (".png", ".svg", ".pdf")


@with_option_groups
def size(
    fleet: Annotated[
        str | None,
        typer.Argument(
            metavar="[FLEET]",
            help="A fleet to take the service and the accelerator from; without it, say all by "
            "options.",
            show_default=False,
        ),
    ] = None,
    *,
    pair: PairOptions,
    replica: ReplicaOptions,
    load: LoadOptions,
    objectives: ObjectiveOptions,
    replicas: Annotated[
        int, typer.Option("--replicas", help="Replicas that share the requests by --routing.")
    ] = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            help="Look at this many requests/s per replica, not at the largest rate.",
            show_default=False,
        ),
    ] = None,
    percentiles: Annotated[
        str,
        typer.Option(
            "--percentiles",
            metavar="P,...",
            help="Percentiles of TTFT and ITL to show, such as 50,99.",
            show_default=False,
        ),
    ] = "",
    queue_model: QueueModelName = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="A,B",
            help="Several queue models side by side; loads are shares of the first's capacity.",
            show_default=False,
        ),
    ] = None,
    conservative: Annotated[
        bool,
        typer.Option(
            "--conservative",
            help="Answer on the safe side: upper bounds of latencies, lower ones of rates.",
        ),
    ] = False,
    as_json: Json = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw TTFT and ITL against the rate: .png, .svg or .pdf.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Size one replica: the largest rate within its SLOs, what binds, latencies against load.

    Without a FLEET the replica is described by options: --base-ms, --decode-ms-per-token,
    --prefill-ms-per-token, --max-batch, --input-tokens and --output-tokens at least.

    For example:

      fleetopt size examples/fleet.yaml --service chat-premium --accelerator H100

      fleetopt size examples/fleet.yaml --service rag-standard --accelerator H200 --compare auto,mmc

      fleetopt size examples/fleet.yaml --service chat-premium --accelerator H100 --conservative
    """
    if compare is not None and queue_model is not None:
        raise typer.BadParameter("leave out --queue-model", param_hint="--compare")
    if plot is not None:
        _require_plots(plot)
    spec = replica_fleet(_read(fleet, pair, replica), pair, replica, load, objectives)
    names = (queue_model or "") if compare is None else compare
    with ending_at_interrupt():
        study = _study(
            spec,
            _parts(names),
            replicas,
            rate,
            _numbers(percentiles),
            drawn=bool(plot),
            conservative=conservative,
        )
    if all(one.refusal for one in study.sizes):
        for one in study.sizes:
            tell(f"fleetopt: queue model '{one.queue_model}': {one.refusal}")
        raise typer.Exit(ExitCode.USAGE)
    if plot is not None:
        _draw(study, plot)
    if as_json:
        write_data(study.model_dump_json(indent=2), None)
    else:
        from optimizer.report import replica_view

        show(replica_view(study))
    answers = [one for one in study.sizes if not one.refusal]
    if rate is None and not any(one.possible for one in answers):
        raise typer.Exit(ExitCode.INFEASIBLE)


def _read(source: str | None, pair: PairOptions, replica: ReplicaOptions) -> FleetSpec | None:
    from optimizer.spec import load

    if source is not None:
        return load(source)
    for option, value in (
        ("--service", pair.service),
        ("--model", pair.model),
        ("--accelerator", pair.accelerator),
    ):
        if value is not None:
            raise typer.BadParameter("needs a FLEET to be taken from", param_hint=option)
    if replica.base_ms is None and replica.decode_base_ms is None:
        raise typer.BadParameter(
            "say what to size: a FLEET, or a replica by --base-ms, --decode-ms-per-token, "
            "--prefill-ms-per-token, --max-batch, --input-tokens and --output-tokens",
            param_hint="FLEET",
        )
    return None


def _study(
    spec: FleetSpec,
    queue_models: list[str],
    replicas: int,
    rate: float | None,
    percentiles: list[float],
    *,
    drawn: bool,
    conservative: bool,
) -> ReplicaStudy:
    from dataclasses import replace

    from optimizer.errors import SpecError
    from optimizer.fleet.replica import STANDARD_LOADS, size_replica

    # Closer and closer towards capacity, where latencies turn upwards.
    steps = [k / _DRAWN_POINTS for k in range(1, _DRAWN_POINTS + 1)] if drawn else []
    fine = [_DRAWN_TO * (1 - (1 - step) ** 2) for step in steps]
    options = {
        "replicas": "--replicas",
        "rate_rps": "--rate",
        "percentiles": "--percentiles",
        "queue_model": "--conservative",
    }
    try:
        return size_replica(
            spec,
            queue_models=queue_models,
            replicas=replicas,
            rate_rps=rate,
            percentiles=percentiles,
            loads=sorted({*STANDARD_LOADS, *fine}),
            conservative=conservative,
        )
    except SpecError as error:
        faults = [replace(f, path=options.get(f.path, f.path)) for f in error.faults]
        raise SpecError(faults) from error


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in _parts(text)]
    except ValueError as error:
        raise typer.BadParameter(
            f"'{text}': numbers, as in 50,99", param_hint="--percentiles"
        ) from error


def _require_plots(path: Path) -> None:
    from optimizer.report.matplotlib_figure import require_matplotlib

    if path.suffix.lower() not in _FORMATS:
        wanted = ", ".join(_FORMATS)
        raise typer.BadParameter(f"'{path}': the name must end in {wanted}", param_hint="--plot")
    require_matplotlib()


def _draw(study: ReplicaStudy, path: Path) -> None:
    from optimizer.report.replica_plots import draw_replica

    try:
        draw_replica(study, path)
    except OSError as error:
        tell(f"fleetopt: cannot write {path}: {error.strerror}; give another path to --plot")
        raise typer.Exit(ExitCode.USAGE) from error
