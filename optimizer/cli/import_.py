"""`fleetopt import`: fleets described in other systems' formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli.output import tell, write_data

__all__ = ["app"]

app = typer.Typer(help="Turn another system's description into a fleet file.", no_args_is_help=True)


@app.callback()
def _formats() -> None:
    """Turn another system's description into a fleet file."""


@app.command("inferno")
def inferno(
    path: Annotated[
        str,
        typer.Argument(
            help='One {"system": ...} document, a directory of the separate files, or - for stdin.',
            show_default=False,
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="File to write; .json writes JSON, anything else YAML."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of YAML.")] = False,
) -> None:
    """Import an inferno / Workload Variant Autoscaler system; lists what has no counterpart.

    For example:

      fleetopt import inferno system.json

      fleetopt import inferno system.json -o fleet.yaml
    """
    from optimizer.spec import dump, load_inferno

    fleet = load_inferno(path)
    for note in fleet.notes:
        tell(f"note: {note}")
    is_json = as_json or (output is not None and output.suffix == ".json")
    write_data(dump(fleet, "json" if is_json else "yaml"), output)
