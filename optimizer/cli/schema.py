"""`fleetopt schema`: the JSON Schema of a fleet's description."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli.output import write_data

__all__ = ["schema"]


def schema(
    *,
    slo: Annotated[bool, typer.Option("--slo", help="Of SLO sheets instead of fleets.")] = False,
    control: Annotated[
        bool, typer.Option("--control", help="Of all documents of the control loop.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file.")
    ] = None,
) -> None:
    """Print the JSON Schema of fleet files, SLO sheets or the control loop's documents.

    For example:

      fleetopt schema

      fleetopt schema -o fleet.schema.json

      fleetopt schema --slo

      fleetopt schema --control -o control.schema.json
    """
    from optimizer.spec import json_schema, slo_json_schema

    if slo and control:
        raise typer.BadParameter("give --slo or --control, not both")
    if control:
        from optimizer.control.spec import control_json_schema

        described = control_json_schema()
    else:
        described = slo_json_schema() if slo else json_schema()
    write_data(json.dumps(described, indent=2, ensure_ascii=False) + "\n", output)
