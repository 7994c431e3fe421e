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
    documents: Annotated[
        bool,
        typer.Option("--documents", help="Of all that commands print with --json, by command."),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file.")
    ] = None,
) -> None:
    """Print the JSON Schema of fleet files, SLO sheets, the control loop's or --json's documents.

    For example:

      fleetopt schema

      fleetopt schema -o fleet.schema.json

      fleetopt schema --slo

      fleetopt schema --control -o control.schema.json

      fleetopt schema --documents
    """
    from optimizer.spec import json_schema, slo_json_schema

    if slo + control + documents > 1:
        raise typer.BadParameter("give one of --slo, --control and --documents")
    if documents:
        from optimizer.cli.documents import documents_json_schema

        described = documents_json_schema()
    elif control:
        from optimizer.control.spec import control_json_schema

        described = control_json_schema()
    else:
        described = slo_json_schema() if slo else json_schema()
    write_data(json.dumps(described, indent=2, ensure_ascii=False) + "\n", output)
