"""`fleetopt import`: fleets described in other systems' formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.output import tell, write_data

if TYPE_CHECKING:
    from optimizer.spec import FleetSpec

__all__ = ["app"]

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="File to write; .json writes JSON, anything else YAML."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of YAML.")]

app = typer.Typer(help="Turn another system's description into a fleet file.", no_args_is_help=True)


@app.callback()
def _formats() -> None:
    """Turn another system's description into a fleet file."""


@app.command("melange")
def melange(
    path: Annotated[
        str,
        typer.Argument(
            help="A document with gpu_info and workload_distribution, or - for stdin.",
            show_default=False,
        ),
    ],
    *,
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Import an input of Mélange as a service in length buckets that splits its load.

    For example:

      fleetopt import melange workload.json

      fleetopt import melange workload.json -o fleet.yaml
    """
    from optimizer.spec import load_melange

    _write(load_melange(path), output, as_json=as_json)


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
    output: Output = None,
    as_json: AsJson = False,
) -> None:
    """Import an inferno / Workload Variant Autoscaler system; lists what has no counterpart.

    For example:

      fleetopt import inferno system.json

      fleetopt import inferno system.json -o fleet.yaml
    """
    from optimizer.spec import load_inferno

    _write(load_inferno(path), output, as_json=as_json)


def _write(fleet: FleetSpec, output: Path | None, *, as_json: bool) -> None:
    """Write a fleet, and list on standard error what has no counterpart."""
    from optimizer.spec import dump

    for note in fleet.notes:
        tell(f"note: {note}")
    is_json = as_json or (output is not None and output.suffix == ".json")
    write_data(dump(fleet, "json" if is_json else "yaml"), output)
