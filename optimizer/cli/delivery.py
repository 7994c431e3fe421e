"""What verbs do with the plan they made: write it, show it, end with the status it deserves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.output import show, tell, write_data

if TYPE_CHECKING:
    from rich.console import RenderableType

    from solvers import CancelFlag, Reason

__all__ = ["Plan", "end_as_deserved", "write_or_show"]


class Plan(Protocol):
    """What plans of one load, of uncertain loads and of a horizon have in common."""

    @property
    def termination(self) -> Reason:
        """Why the solver stopped."""

    @property
    def found(self) -> bool:
        """Whether there is anything to deploy."""

    def to_json(self) -> str:
        """Return the plan as JSON."""


P = TypeVar("P", bound=Plan)


def write_or_show(
    plan: P, view: Callable[[P], RenderableType], *, as_json: bool, output: Path | None
) -> None:
    """Write the plan to a file where one is given, and print it as a document or as a view."""
    if output is not None:
        write_data(plan.to_json(), output)
    if as_json:
        write_data(plan.to_json(), None)
    else:
        show(view(plan))


def end_as_deserved(plan: Plan, cancel: CancelFlag, incumbent: str = "") -> None:
    """Return where a plan was found in peace, else end with the exit status that says why not.

    Parameters
    ----------
    incumbent
        What an interruption left, in words.
    """
    if cancel.is_set():
        tell("fleetopt: interrupted" + (f", {incumbent}" if incumbent else ""))
        raise typer.Exit(ExitCode.INTERRUPTED)
    if plan.termination == "infeasible":
        raise typer.Exit(ExitCode.INFEASIBLE)
    if not plan.found:
        raise typer.Exit(ExitCode.NO_SOLUTION)
