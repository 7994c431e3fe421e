"""`fleetopt init`: a commented fleet to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.output import tell, write_data

__all__ = ["init"]


def init(
    path: Annotated[
        Path, typer.Argument(help="File to write; - writes to standard output.")
    ] = Path("fleet.yaml"),
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a small commented fleet that solves as it is.

    For example:

      fleetopt init my-fleet.yaml

      fleetopt init -
    """
    starter = (files("optimizer.cli") / "starter_fleet.yaml").read_text(encoding="utf-8")
    if str(path) == "-":
        write_data(starter, None)
        return
    if path.exists() and not force:
        tell(f"fleetopt: {path} exists; choose another name, or --force to overwrite it")
        raise typer.Exit(ExitCode.USAGE)
    write_data(starter, path)
    typer.echo(f"wrote {path}; next: fleetopt solve {path}")
