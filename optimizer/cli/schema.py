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
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file.")
    ] = None,
) -> None:
    """Print the JSON Schema of fleet files, for editors and other programs.

    For example:

      fleetopt schema

      fleetopt schema -o fleet.schema.json
    """
    from optimizer.spec import json_schema

    write_data(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", output)
