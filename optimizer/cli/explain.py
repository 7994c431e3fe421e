"""`fleetopt explain`: why a service got this, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import FleetFile, Json, SolveOptions, read_fleet
from optimizer.cli.interruption import ending_at_interrupt
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import show, write_data

if TYPE_CHECKING:
    from optimizer.fleet import Explanation, Repair, RepairStudy
    from optimizer.spec import FleetSpec

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
    no_solver: Annotated[
        bool,
        typer.Option(
            "--no-solver",
            help="Look at each service's candidates alone: which objectives nothing can keep, and "
            "by how much; which weights do not fit.",
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Say instead which requirements keep everyone from being served, and the least "
            "that would change it.",
        ),
    ] = False,
    prices: Annotated[
        bool,
        typer.Option(
            "--prices",
            help="Show what one unit more of each resource would save, in the relaxation.",
        ),
    ] = False,
    options: SolveOptions,
    as_json: Json = False,
) -> None:
    """Solve a fleet and say why each service got what it got.

    Every accelerator is shown with what it would take and what rules it out; where the fleet has
    `uncertainty`, at the load that binds, beside what every load makes of the service.

    For example:

      fleetopt explain examples/fleet.yaml

      fleetopt explain examples/fleet.yaml chat-premium --json

      fleetopt explain examples/fleet.yaml --repair
    """
    spec = read_fleet(fleet, **options.overrides())
    if repair or prices:
        if services or no_solver or repair is prices:
            raise typer.BadParameter(
                "--repair and --prices concern the whole fleet: give one alone"
            )
        (_show_repair if repair else _show_prices)(spec, as_json=as_json)
        return
    if spec.uncertainty is not None:
        _explain_uncertain(spec, services, no_solver=no_solver, as_json=as_json)
        return
    if no_solver:
        _show(spec, _candidates(spec, services), as_json=as_json)
        return
    from optimizer.fleet import optimize

    with ending_at_interrupt():
        plan = optimize(spec)
    wanted = services or [service.service for service in plan.unserved]
    wanted = wanted or [service.name for service in spec.services]
    _show(spec, [plan.explain(service) for service in wanted], as_json=as_json)
    if plan.termination == "infeasible":
        raise typer.Exit(ExitCode.INFEASIBLE)


def _explain_uncertain(
    spec: FleetSpec, services: list[str] | None, *, no_solver: bool, as_json: bool
) -> None:
    """Explain services over all loads, by default those that some load leaves unserved, or all."""
    from optimizer.fleet import explain_uncertain, optimize_uncertain

    plan = None if no_solver else optimize_uncertain(spec)
    names = [service.name for service in spec.services]
    found = [explain_uncertain(spec, name, plan) for name in services or names]
    lacking = [one for one in found if any(load.cause for load in one.loads)]
    _show(spec, found if services else lacking or found, as_json=as_json)
    if plan is not None and plan.termination == "infeasible":
        raise typer.Exit(ExitCode.INFEASIBLE)


def _candidates(spec: FleetSpec, services: list[str] | None) -> list[Explanation]:
    """Explain services, by default those that nothing can serve, or all."""
    from optimizer.fleet import build_problem, explain_candidates

    problem = build_problem(spec)
    names = [service.name for service in spec.services]
    found = [explain_candidates(problem, name) for name in services or names]
    hopeless = [one for one in found if not any(o.state == "possible" for o in one.options)]
    return found if services else hopeless or found


def _show(spec: FleetSpec, explanations: Sequence[Explanation], *, as_json: bool) -> None:
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


def _show_repair(spec: FleetSpec, *, as_json: bool) -> None:
    from optimizer.fleet import repair as study_repairs

    with ending_at_interrupt():
        study = study_repairs(spec)
    if as_json:
        import json

        document = {"schema_version": 1, "fleet": spec.name, **_repair_document(study)}
        write_data(json.dumps(document, indent=2, ensure_ascii=False) + "\n", None)
    else:
        from optimizer.report import repair_view

        show(repair_view(study, spec.currency))


def _show_prices(spec: FleetSpec, *, as_json: bool) -> None:
    from optimizer.fleet import shadow_prices

    prices = shadow_prices(spec)
    if as_json:
        import json

        document = {
            "schema_version": 1,
            "fleet": spec.name,
            "currency": spec.currency,
            "meaning": "of the continuous relaxation",
            "prices": [
                {
                    "resource": price.requirement.name,
                    "unit": price.requirement.unit,
                    "capacity": price.requirement.capacity,
                    "price_per_hour": price.price_per_hour,
                }
                for price in prices
            ],
        }
        write_data(json.dumps(document, indent=2, ensure_ascii=False) + "\n", None)
    else:
        from optimizer.report import shadow_prices_view

        show(shadow_prices_view(prices, spec.currency))


def _repair_document(study: RepairStudy) -> dict[str, Any]:
    conflict = study.conflict
    return {
        "feasible": study.feasible,
        "conflict": None
        if conflict is None
        else {
            "services": list(conflict.services),
            "demands": [{"service": s, "demand": d.value} for s, d in conflict.demands],
            "resources": list(conflict.rows),
            "irreducible": conflict.irreducible,
        },
        "repairs": [_one_repair(repair) for repair in study.repairs],
        "beyond_repair": [{"service": s, "reason": reason} for s, reason in study.beyond],
    }


def _one_repair(repair: Repair) -> dict[str, Any]:
    resources = repair.resources
    return {
        "price_per_hour": repair.price_per_hour,
        "price_at_least": None if resources is None else resources.lower_bound,
        "proven_least": resources is None or resources.proven,
        "relaxations": [
            {"service": r.service, "kind": r.kind.value, "factor": r.factor}
            for r in repair.relaxations
        ],
        "extensions": []
        if resources is None
        else [
            {"resource": e.requirement.name, "unit": e.requirement.unit, "more": e.more,
             "capacity": e.requirement.capacity, "price_per_hour": e.price}
            for e in resources.extensions
        ],
        "set": [str(change) for change in repair.assignments],
    }  # fmt: skip
