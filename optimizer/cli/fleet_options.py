"""The arguments that every verb which solves a fleet has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from optimizer.spec import FleetSpec

__all__ = [
    "Capacity",
    "FleetFile",
    "Gap",
    "Json",
    "ObjectiveName",
    "Priorities",
    "QueueModelName",
    "Seed",
    "SolverName",
    "Threads",
    "TimeLimit",
    "read_fleet",
]

FleetFile = Annotated[
    str,
    typer.Argument(
        metavar="FLEET",
        help="The fleet: a YAML or JSON file, an inferno document or directory, or - for stdin.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
SolverName = Annotated[
    str | None,
    typer.Option("--solver", help="Solver, see `fleetopt solvers`.", show_default=False),
]
QueueModelName = Annotated[
    str | None,
    typer.Option(
        "--queue-model", help="Queue model, see `fleetopt queue-models`.", show_default=False
    ),
]
ObjectiveName = Annotated[
    str | None,
    typer.Option("--objective", help="cost or inferno-value.", show_default=False),
]
Priorities = Annotated[
    str | None, typer.Option("--priorities", help="strict or weighted.", show_default=False)
]
Capacity = Annotated[
    str | None, typer.Option("--capacity", help="limited or unlimited.", show_default=False)
]
TimeLimit = Annotated[
    float | None,
    typer.Option("--time-limit", help="Solving time in seconds.", show_default=False),
]
Gap = Annotated[
    float | None,
    typer.Option("--gap", help="Relative gap at which to stop.", show_default=False),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed.", show_default=False)]
Threads = Annotated[
    int | None, typer.Option("--threads", help="Threads of the solver.", show_default=False)
]


def read_fleet(source: str, **overrides: object) -> FleetSpec:
    """Load a fleet and replace the options given on the command line.

    Raises
    ------
    SpecError
        If the fleet is wrong.
    typer.BadParameter
        If an option's value is.
    """
    from optimizer.errors import SpecError
    from optimizer.spec import load, with_options

    fleet = load(source)
    given = {name: value for name, value in overrides.items() if value is not None}
    if not given:
        return fleet
    try:
        return with_options(fleet, **given)
    except SpecError as error:
        raise typer.BadParameter(str(error)) from error
