"""`fleetopt solve`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import FleetFile, Json, SolveOptions, read_fleet
from optimizer.cli.live_solve import LiveLine, run_interruptibly
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import show, tell, write_data

if TYPE_CHECKING:
    from optimizer.fleet import FleetPlan

__all__ = ["solve"]


@with_option_groups
def solve(
    fleet: FleetFile,
    *,
    options: SolveOptions,
    as_json: Json = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the plan as JSON to this file."),
    ] = None,
) -> None:
    """Solve a fleet and show the plan.

    For example:

      fleetopt solve examples/fleet.yaml

      fleetopt solve examples/fleet.yaml --solver cp-sat --json

    Ctrl-C stops the solver and shows the best plan so far with its gap; a second one aborts.
    """
    from optimizer.fleet import optimize
    from solvers import CancelFlag

    spec = read_fleet(fleet, **options.overrides())
    cancel = CancelFlag()
    line = LiveLine() if sys.stderr.isatty() and not as_json else None
    plan = run_interruptibly(
        lambda: optimize(spec, progress=None if line is None else line.tell, cancel=cancel),
        cancel,
        line,
    )
    if output is not None:
        write_data(plan.to_json(), output)
    if as_json:
        write_data(plan.to_json(), None)
    else:
        from optimizer.report import plan_view

        show(plan_view(plan))
    if cancel.is_set():
        tell(f"fleetopt: interrupted, {_incumbent(plan)}")
        raise typer.Exit(ExitCode.INTERRUPTED)
    if plan.termination == "infeasible":
        raise typer.Exit(ExitCode.INFEASIBLE)
    if not plan.found:
        raise typer.Exit(ExitCode.NO_SOLUTION)


def _incumbent(plan: FleetPlan) -> str:
    if not plan.found:
        return "no plan was found by then"
    gap = "no bound proven" if plan.relative_gap is None else f"gap {plan.relative_gap:.4%}"
    return f"best plan so far {plan.total_cost_per_hour:,.2f} {plan.currency}/h, {gap}"
