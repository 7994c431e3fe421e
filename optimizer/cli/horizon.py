"""`fleetopt horizon`: periods planned together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli.delivery import end_as_deserved, write_or_show
from optimizer.cli.fleet_options import FleetFile, Json, Settings, SolveOptions, read_fleet
from optimizer.cli.live_solve import LiveLine, run_interruptibly
from optimizer.cli.option_groups import with_option_groups

__all__ = ["horizon"]


@with_option_groups
def horizon(
    fleet: FleetFile,
    *,
    settings: Settings = None,
    loads: Annotated[
        str | None,
        typer.Option(
            "--loads",
            metavar="CSV",
            help="Forecast loads in place of `horizon.periods`: a line per period, its name and a "
            "column of rates per service; - for stdin.",
            show_default=False,
        ),
    ] = None,
    options: SolveOptions,
    as_json: Json = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the plan as JSON to this file."),
    ] = None,
) -> None:
    """Plan the periods of a fleet together: starts, stops, moves, commitments.

    For example:

      fleetopt horizon examples/horizon.yaml

      fleetopt horizon examples/horizon.yaml --gap 0.01 --json
    """
    from optimizer.fleet import plan_horizon, with_loads_table
    from optimizer.report import horizon_view
    from optimizer.spec.source_text import read_text
    from solvers import CancelFlag

    spec = read_fleet(fleet, settings=settings, **options.overrides())
    if loads is not None:
        spec = with_loads_table(spec, read_text(loads))
    cancel = CancelFlag()
    line = LiveLine() if sys.stderr.isatty() and not as_json else None
    progress = None if line is None else line.tell
    plan = run_interruptibly(
        lambda: plan_horizon(spec, progress=progress, cancel=cancel), cancel, line
    )
    write_or_show(plan, horizon_view, as_json=as_json, output=output)
    end_as_deserved(plan, cancel)
