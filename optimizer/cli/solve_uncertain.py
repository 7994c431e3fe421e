"""`fleetopt solve` of a fleet whose loads are uncertain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.live_solve import LiveLine, run_interruptibly
from optimizer.cli.output import show, tell, write_data

if TYPE_CHECKING:
    from optimizer.spec import FleetSpec

__all__ = ["solve_uncertain"]


def solve_uncertain(
    spec: FleetSpec, line: LiveLine | None, *, as_json: bool, output: Path | None
) -> None:
    """Solve, show or write the plan, and end with the exit status that it deserves."""
    from optimizer.fleet import optimize_uncertain
    from solvers import CancelFlag

    cancel = CancelFlag()
    progress = None if line is None else line.tell
    plan = run_interruptibly(
        lambda: optimize_uncertain(spec, progress=progress, cancel=cancel), cancel, line
    )
    if output is not None:
        write_data(plan.to_json(), output)
    if as_json:
        write_data(plan.to_json(), None)
    else:
        from optimizer.report import uncertain_view

        show(uncertain_view(plan))
    if cancel.is_set():
        tell("fleetopt: interrupted")
        raise typer.Exit(ExitCode.INTERRUPTED)
    if plan.termination == "infeasible":
        raise typer.Exit(ExitCode.INFEASIBLE)
    if not plan.found:
        raise typer.Exit(ExitCode.NO_SOLUTION)
