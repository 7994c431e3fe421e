"""`fleetopt explain`: why a service got this, or nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import FleetFile, Json, SolveOptions, read_fleet
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import show, write_data

__all__ = ["explain"]


@with_option_groups
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
    options: SolveOptions,
    as_json: Json = False,
) -> None:
    """Solve a fleet and say why each service got what it got.

    Every accelerator is shown with what it would take and what rules it out.

    For example:

      fleetopt explain examples/fleet.yaml

      fleetopt explain examples/fleet.yaml chat-premium --json
    """
    from optimizer.fleet import optimize

    spec = read_fleet(fleet, **options.overrides())
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
