"""The argument of the verbs that take a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from optimizer.fleet import FleetPlan, HorizonPlan, UncertainPlan

__all__ = ["PlanFile", "read_any_plan", "read_plan"]

# Plans for uncertain loads alone have this field.
_OF_UNCERTAIN_LOADS = '"serve_probability":'

# And this one those of a horizon.
_OF_A_HORIZON = '"period_hours":'

PlanFile = Annotated[
    str,
    typer.Argument(
        metavar="PLAN",
        help="A plan as JSON, as from `fleetopt solve FLEET -o plan.json`; - for stdin.",
        show_default=False,
    ),
]


def read_any_plan(source: str) -> FleetPlan | HorizonPlan | UncertainPlan:
    """Read a plan of any kind.

    Raises
    ------
    SpecError
        If the file cannot be read.
    PlanError
        If it holds no plan; says what it seems to be.
    """
    from optimizer.errors import PlanError
    from optimizer.fleet import FleetPlan, HorizonPlan, UncertainPlan
    from optimizer.spec.source_text import read_text

    document = read_text(source)
    try:
        if _OF_UNCERTAIN_LOADS in document.text:
            return UncertainPlan.from_json(document.text)
        if _OF_A_HORIZON in document.text:
            return HorizonPlan.from_json(document.text)
        return FleetPlan.from_json(document.text)
    except PlanError as error:
        hint = ""
        if "accelerators" in document.text and "services" in document.text:
            hint = f"; if it is a fleet, `fleetopt solve {document.name} -o plan.json` comes first"
        raise PlanError(f"{document.name}: {error}{hint}") from error


def read_plan(source: str, scenario: str | None = None) -> FleetPlan:
    """Read a plan; of one for uncertain loads that of one load, by default the costliest.

    Parameters
    ----------
    scenario
        Name of a load of a plan for uncertain ones.

    Raises
    ------
    SpecError
        If the file cannot be read.
    PlanError
        If it holds no plan, or none of that load; says what it seems to be.
    """
    from optimizer.errors import PlanError
    from optimizer.fleet import HorizonPlan, UncertainPlan

    plan = read_any_plan(source)
    if isinstance(plan, HorizonPlan):
        raise PlanError(
            f"{source}: a plan of a horizon has a plan for every period, and one is wanted here; "
            f"solve the fleet at that period's rates: fleetopt solve FLEET -o plan.json"
        )
    if isinstance(plan, UncertainPlan):
        return plan.plan_at(scenario)
    if scenario is not None:
        raise PlanError(f"{source}: a plan of one load has no other; leave --scenario out")
    return plan
