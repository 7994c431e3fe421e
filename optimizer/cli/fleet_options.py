"""The arguments that every verb which solves a fleet has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.completion import queue_model_names, solver_names

if TYPE_CHECKING:
    from optimizer.spec import FleetSpec

__all__ = ["FleetFile", "Json", "QueueModelName", "Settings", "SolveOptions", "read_fleet"]

FleetFile = Annotated[
    str,
    typer.Argument(
        metavar="FLEET",
        help="The fleet: a YAML or JSON file, a document of inferno or Mélange, or - for stdin.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change of the fleet: PATH=VALUE, PATH*=FACTOR or PATH+=NUMBER, as in "
        r"'services\[chat].load.arrival_rate_rps*=2'; * names all entries. May be repeated.",
        show_default=False,
    ),
]
QueueModelName = Annotated[
    str | None,
    typer.Option(
        "--queue-model",
        help="Queue model, see `fleetopt queue-models`.",
        show_default=False,
        autocompletion=queue_model_names,
    ),
]


@dataclass(frozen=True, kw_only=True)
class SolveOptions:
    """What the command line may say in place of the fleet's own `optimizer` options."""

    slo: Annotated[
        str | None,
        typer.Option(
            "--slo",
            metavar="SHEET",
            help="SLO sheet whose latencies and throughputs decide too: a YAML or JSON file.",
            show_default=False,
        ),
    ] = None
    solver: Annotated[
        str | None,
        typer.Option(
            "--solver",
            help="Solver, see `fleetopt solvers`.",
            show_default=False,
            autocompletion=solver_names,
        ),
    ] = None
    queue_model: QueueModelName = None
    objective: Annotated[
        str | None,
        typer.Option(
            "--objective",
            help="cost, power, carbon, weighted, lexicographic or inferno-value.",
            show_default=False,
        ),
    ] = None
    allocation: Annotated[
        str | None,
        typer.Option(
            "--allocation",
            help="How services that do not say are served: choose (one accelerator each) or split "
            "(several at once, with shares of the load).",
            show_default=False,
        ),
    ] = None
    max_different: Annotated[
        int | None,
        typer.Option(
            "--max-different",
            help="With split: most different accelerators and batches per service.",
            show_default=False,
        ),
    ] = None
    priorities: Annotated[
        str | None, typer.Option("--priorities", help="strict or weighted.", show_default=False)
    ] = None
    capacity: Annotated[
        str | None, typer.Option("--capacity", help="limited or unlimited.", show_default=False)
    ] = None
    saturation_policy: Annotated[
        str | None,
        typer.Option(
            "--saturation-policy",
            help="Who gets leftovers in parts: none, priority-exhaustive, priority-round-robin or "
            "round-robin.",
            show_default=False,
        ),
    ] = None
    unserved_penalty: Annotated[
        float | None,
        typer.Option(
            "--unserved-penalty",
            help="With weighted priorities: what an unserved service costs per hour, for classes "
            "that do not say.",
            show_default=False,
        ),
    ] = None
    estimates: Annotated[
        str | None,
        typer.Option(
            "--estimates",
            help="Times of pairs without performance data: allowed, linear or forbidden.",
            show_default=False,
        ),
    ] = None
    estimate_margin: Annotated[
        float | None,
        typer.Option(
            "--estimate-margin",
            help="Standard deviations by which estimated times are made slower.",
            show_default=False,
        ),
    ] = None
    solver_option: Annotated[
        list[str] | None,
        typer.Option(
            "--solver-option",
            metavar="NAME=VALUE",
            help="Option of the solver's own, such as backend=CBC for milp; may be repeated.",
            show_default=False,
        ),
    ] = None
    time_limit: Annotated[
        float | None,
        typer.Option("--time-limit", help="Solving time in seconds.", show_default=False),
    ] = None
    gap: Annotated[
        float | None,
        typer.Option("--gap", help="Relative gap at which to stop.", show_default=False),
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", help="Seed.", show_default=False)] = None
    threads: Annotated[
        int | None, typer.Option("--threads", help="Threads of the solver.", show_default=False)
    ] = None

    def overrides(self) -> dict[str, object]:
        """Return the options by field of the fleet's `optimizer`, and `slo`; None: not given."""
        return {
            "slo": self.slo,
            "solver": self.solver,
            "queue_model": self.queue_model,
            "objective": self.objective,
            "allocation": self.allocation,
            "max_different": self.max_different,
            "priorities": self.priorities,
            "capacity": self.capacity,
            "saturation_policy": self.saturation_policy,
            "unserved_penalty_per_hour": self.unserved_penalty,
            "estimates": self.estimates,
            "estimate_margin_sd": self.estimate_margin,
            "solver_options": _solver_options(self.solver_option),
            "time_limit_s": self.time_limit,
            "relative_gap": self.gap,
            "seed": self.seed,
            "threads": self.threads,
        }


def _solver_options(given: list[str] | None) -> dict[str, bool | int | float | str] | None:
    """Read NAME=VALUE pairs; true, false and numbers become what they look like.

    Raises
    ------
    typer.BadParameter
        If a pair has no `=`.
    """
    if not given:
        return None
    pairs: dict[str, bool | int | float | str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"--solver-option {text!r}: must be NAME=VALUE")
        pairs[name] = _value(value)
    return pairs


def _value(text: str) -> bool | int | float | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_fleet(source: str, **overrides: object) -> FleetSpec:
    """Load a fleet, change it, hold it to an SLO sheet, and replace options given.

    Raises
    ------
    SpecError
        If the fleet or the sheet is wrong.
    typer.BadParameter
        If an option's value is.
    """
    from optimizer.errors import SpecError
    from optimizer.spec import (
        assigned,
        load,
        load_slo,
        parse_assignment,
        with_options,
        with_slo_sheet,
    )

    fleet = load(source)
    settings = overrides.pop("settings", None)
    if isinstance(settings, list):
        fleet = assigned(fleet, [parse_assignment(text) for text in settings])
    slo = overrides.pop("slo", None)
    if slo is not None:
        fleet = with_slo_sheet(fleet, load_slo(str(slo)))
    given = {name: value for name, value in overrides.items() if value is not None}
    if not given:
        return fleet
    try:
        return with_options(fleet, **given)
    except SpecError as error:
        raise typer.BadParameter(str(error)) from error
