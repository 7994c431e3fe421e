"""`fleetopt solve`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import (
    Capacity,
    FleetFile,
    Gap,
    Json,
    ObjectiveName,
    Priorities,
    QueueModelName,
    Seed,
    SolverName,
    Threads,
    TimeLimit,
    read_fleet,
)
from optimizer.cli.output import show, tell, write_data

__all__ = ["solve"]


def solve(
    fleet: FleetFile,
    *,
    solver: SolverName = None,
    queue_model: QueueModelName = None,
    objective: ObjectiveName = None,
    priorities: Priorities = None,
    capacity: Capacity = None,
    saturation_policy: Annotated[
        str | None,
        typer.Option(
            "--saturation-policy",
            help="Who gets leftovers in parts: none, priority-exhaustive, priority-round-robin "
            "or round-robin.",
            show_default=False,
        ),
    ] = None,
    time_limit: TimeLimit = None,
    gap: Gap = None,
    seed: Seed = None,
    threads: Threads = None,
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
    """
    from optimizer.fleet import optimize

    spec = read_fleet(
        fleet,
        solver=solver,
        queue_model=queue_model,
        objective=objective,
        priorities=priorities,
        capacity=capacity,
        saturation_policy=saturation_policy,
        time_limit_s=time_limit,
        relative_gap=gap,
        seed=seed,
        threads=threads,
    )
    try:
        plan = optimize(spec)
    except KeyboardInterrupt as interrupt:
        tell("fleetopt: interrupted before a plan was found")
        raise typer.Exit(ExitCode.INTERRUPTED) from interrupt
    if output is not None:
        write_data(plan.to_json(), output)
    if as_json:
        write_data(plan.to_json(), None)
    else:
        from optimizer.report import plan_view

        show(plan_view(plan))
    if plan.termination == "infeasible":
        raise typer.Exit(ExitCode.INFEASIBLE)
    if not plan.found:
        raise typer.Exit(ExitCode.NO_SOLUTION)
