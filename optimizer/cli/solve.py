"""`fleetopt solve`: the main job."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.block_options import BlockOptions
from optimizer.cli.delivery import end_as_deserved, write_or_show
from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import FleetFile, Json, Settings, SolveOptions, read_fleet
from optimizer.cli.live_solve import LiveLine, run_interruptibly
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import show, tell
from optimizer.cli.solve_uncertain import solve_uncertain

if TYPE_CHECKING:
    from optimizer.engine import VerifiedPlan
    from optimizer.fleet import FleetPlan
    from optimizer.spec import FleetSpec
    from solvers import CancelFlag

__all__ = ["solve"]


@with_option_groups
def solve(
    fleet: FleetFile,
    *,
    settings: Settings = None,
    options: SolveOptions,
    large: BlockOptions,
    as_json: Json = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the plan as JSON to this file."),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Simulate the plan, give more to services that miss, and solve again, until it "
            "holds or cannot.",
        ),
    ] = False,
) -> None:
    """Solve a fleet and show the plan.

    For example:

      fleetopt solve examples/fleet.yaml

      fleetopt solve examples/fleet.yaml --solver cp-sat --json

      fleetopt solve examples/fleet.yaml --set 'capacities[H100].cards=4' -o plan.json

      fleetopt solve examples/fleet.yaml --verify

      fleetopt solve examples/fleet.yaml --engine local:2 --blocks 4

    Where the fleet has `uncertainty`, the plan is for all of its loads.

    Ctrl-C stops the solver and shows the best plan so far with its gap; a second one aborts.
    With --engine, before every block is sized, there is no plan to keep.
    With --verify the exit status is 5 when the last plan does not hold in simulation.
    """
    from optimizer.fleet import optimize
    from optimizer.report import plan_view
    from solvers import CancelFlag

    large.check()
    spec = read_fleet(fleet, settings=settings, **options.overrides())
    if spec.horizon is not None:
        tell("fleetopt: this is for the services' own loads; `fleetopt horizon` plans the periods")
    cancel = CancelFlag()
    line = LiveLine() if sys.stderr.isatty() and not as_json else None
    if spec.uncertainty is not None:
        for name, asked in (("--verify simulates", verify), ("--engine sizes for", large.engine)):
            if asked:
                raise typer.BadParameter(f"{name} one load, and this fleet's are uncertain")
        solve_uncertain(spec, line, as_json=as_json, output=output)
        return

    def made(wanted: FleetSpec) -> FleetPlan:
        progress = None if line is None else line.tell
        if large.engine is None:
            return optimize(wanted, progress=progress, cancel=cancel)
        from optimizer.experiments.in_blocks import optimize_in_blocks

        return optimize_in_blocks(
            wanted,
            engine=large.engine,
            blocks=large.blocks,
            block_limit_s=large.block_limit,
            told=None if line is None else line.tell_sized,
            progress=progress,
            cancel=cancel,
        )

    verified = None
    if verify:
        verified = _verified(spec, made, cancel)
        plan = verified.plan
    else:
        plan = run_interruptibly(lambda: made(spec), cancel, line)
    write_or_show(plan, plan_view, as_json=as_json, output=output)
    if verified is not None and verified.simulation is not None and not as_json:
        from optimizer.report import simulation_view

        typer.echo()
        show(simulation_view(verified.simulation))
    end_as_deserved(plan, cancel, _incumbent(plan))
    if verified is not None and verified.failing:
        tell(f"fleetopt: {verified.summary}")
        raise typer.Exit(ExitCode.NO_SOLUTION)


def _verified(
    spec: FleetSpec, made: Callable[[FleetSpec], FleetPlan], cancel: CancelFlag
) -> VerifiedPlan:
    from optimizer.cli.simulate import simulation_progress
    from optimizer.engine import verify

    with simulation_progress(shown=True) as progress:
        return run_interruptibly(
            lambda: verify(spec, progress=progress, solve=made, stopped=cancel.is_set),
            cancel,
            None,
        )


def _incumbent(plan: FleetPlan) -> str:
    if not plan.found:
        return "no plan was found by then"
    gap = "no bound proven" if plan.relative_gap is None else f"gap {plan.relative_gap:.4%}"
    return f"best plan so far {plan.total_cost_per_hour:,.2f} {plan.currency}/h, {gap}"
