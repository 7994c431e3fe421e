"""`fleetopt explain`: why a service got this, or nothing."""

from __future__ import annotations

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
    SaturationPolicyName,
    Seed,
    SolverName,
    SolverOptions,
    Threads,
    TimeLimit,
    UnservedPenalty,
    read_fleet,
    solver_options,
)
from optimizer.cli.output import show, write_data

__all__ = ["explain"]


def explain(
    fleet: FleetFile,
    services: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SERVICE]...",
            help="Services to explain; by default those left unserved, or all.",
            show_default=False,
        ),
    ] = None,
    *,
    solver: SolverName = None,
    queue_model: QueueModelName = None,
    objective: ObjectiveName = None,
    priorities: Priorities = None,
    capacity: Capacity = None,
    saturation_policy: SaturationPolicyName = None,
    unserved_penalty: UnservedPenalty = None,
    solver_option: SolverOptions = None,
    time_limit: TimeLimit = None,
    gap: Gap = None,
    seed: Seed = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Solve a fleet and say why each service got what it got.

    Every accelerator is shown with what it would take and what rules it out.

    For example:

      fleetopt explain examples/fleet.yaml

      fleetopt explain examples/fleet.yaml chat-premium --json
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
        unserved_penalty_per_hour=unserved_penalty,
        solver_options=solver_options(solver_option),
        time_limit_s=time_limit,
        relative_gap=gap,
        seed=seed,
        threads=threads,
    )
    plan = optimize(spec)
    wanted = services or [service.service for service in plan.unserved]
    wanted = wanted or [service.name for service in spec.services]
    explanations = [plan.explain(service) for service in wanted]
    if as_json:
        import json

        document = {
            "schema_version": 1,
            "fleet": spec.name,
            "explanations": [e.model_dump(mode="json") for e in explanations],
        }
        write_data(json.dumps(document, indent=2, ensure_ascii=False), None)
    else:
        from optimizer.report import explanation_view

        for number, explanation in enumerate(explanations):
            if number:
                typer.echo()
            show(explanation_view(explanation))
    if plan.termination == "infeasible":
        raise typer.Exit(ExitCode.INFEASIBLE)
