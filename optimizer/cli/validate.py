"""`fleetopt validate`: every fault of a fleet's description at once."""

from __future__ import annotations

from typing import Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.output import tell, write_data

__all__ = ["validate"]


def validate(
    fleets: Annotated[
        list[str],
        typer.Argument(metavar="FLEET...", help="Fleets, or - for stdin.", show_default=False),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Check descriptions of fleets; report every fault with its place and what to try.

    For example:

      fleetopt validate examples/fleet.yaml

      fleetopt validate examples/fleet.yaml --json
    """
    from optimizer.errors import SpecError
    from optimizer.spec import load

    documents = []
    for source in fleets:
        try:
            fleet = load(source)
        except SpecError as error:
            documents.append({"fleet": source, "valid": False, "faults": _faults(error)})
            if not as_json:
                tell(str(error))
            continue
        documents.append({"fleet": source, "valid": True, "faults": []})
        if not as_json:
            typer.echo(
                f"{source}: valid: {len(fleet.services)} services over {len(fleet.models)} models "
                f"in {len(fleet.classes)} classes on {len(fleet.accelerators)} accelerators"
            )
    if as_json:
        import json

        write_data(
            json.dumps({"schema_version": 1, "fleets": documents}, indent=2, ensure_ascii=False),
            None,
        )
    if not all(document["valid"] for document in documents):
        raise typer.Exit(ExitCode.SPEC_INVALID)


def _faults(error: Exception) -> list[dict[str, object]]:
    from dataclasses import asdict

    return [asdict(fault) for fault in getattr(error, "faults", ())]
