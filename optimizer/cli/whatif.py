"""`fleetopt whatif`: the fleet solved anew with other loads, prices, bounds, quotas."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.fleet_options import FleetFile, Json, Settings, SolveOptions, read_fleet
from optimizer.cli.interruption import ending_at_interrupt
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import show, write_data

if TYPE_CHECKING:
    from optimizer.fleet import FleetPlan, UncertainPlan, WhatIf
    from optimizer.spec import Assignment

__all__ = ["whatif"]

# More cases than this are a study of days: a slip of the keyboard, most likely.
_MOST_CASES = 100_000


@with_option_groups
def whatif(
    fleet: FleetFile,
    *,
    settings: Settings = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            metavar="PATH=FIRST:LAST:COUNT",
            help="One case per value: FIRST:LAST:COUNT, FIRST:LAST:COUNT:log or "
            r"\[VALUE, VALUE, ...], also with *= and +=. May be repeated: all combinations.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", min=1, help="Processes; one per processor by default.", show_default=False
        ),
    ] = None,
    options: SolveOptions,
    as_json: Json = False,
) -> None:
    """Solve a fleet as it is and with changes; every case is solved anew, to its own proof.

    What --set changes holds in every case. Counts, such as cards, are rounded to whole numbers.
    Where the fleet has `uncertainty`, every case is planned for all of its loads.

    For example:

      fleetopt whatif examples/fleet.yaml --set 'capacities[H100].cards+=4'

      fleetopt whatif examples/fleet.yaml --range 'services[*].load.arrival_rate_rps*=[0.5, 1, 2]'
    """
    from optimizer.fleet import what_if
    from optimizer.spec import parse_assignment, parse_range

    if not settings and not ranges:
        raise typer.BadParameter("what if what? give at least one --set or --range")
    common = [parse_assignment(text) for text in settings or ()]
    swept = [parse_range(text) for text in ranges or ()]
    _refuse_too_many(swept)
    spec = read_fleet(fleet, **options.overrides())
    count = _Count(as_json)
    with ending_at_interrupt():
        study = what_if(spec, common, swept, jobs=jobs, told=count.told)
    count.clear()
    if as_json:
        write_data(json.dumps(_document(study), indent=2, ensure_ascii=False) + "\n", None)
    else:
        from optimizer.report import whatif_view

        show(whatif_view(study))


def _refuse_too_many(swept: list[tuple[Assignment, ...]]) -> None:
    cases = 1
    for values in swept:
        cases *= len(values)
    if cases > _MOST_CASES:
        raise typer.BadParameter(
            f"the ranges combine to {cases:,} cases, more than {_MOST_CASES:,}; give fewer values"
        )


class _Count:
    """Counts the cases that are solved, on a terminal's standard error."""

    def __init__(self, as_json: bool) -> None:
        self._shown = sys.stderr.isatty() and not as_json

    def told(self, position: int, _: FleetPlan | UncertainPlan) -> None:
        """Write over the last count."""
        if self._shown:
            sys.stderr.write(f"\r{position + 1} solved")
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave an empty line."""
        if self._shown:
            sys.stderr.write("\r" + " " * 20 + "\r")
            sys.stderr.flush()


def _document(study: WhatIf) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "fleet": study.base.fleet,
        "currency": study.base.currency,
        "set": _changes(study.common),
        "base": study.base.model_dump(mode="json"),
        "cases": [
            {
                "changes": _changes(case.swept),
                "cost_delta_per_hour": _delta(study.base, case.plan),
                "plan": case.plan.model_dump(mode="json"),
            }
            for case in study.cases
        ],
    }


def _delta(base: FleetPlan | UncertainPlan, plan: FleetPlan | UncertainPlan) -> float | None:
    if base.total_cost_per_hour is None or plan.total_cost_per_hour is None:
        return None
    return plan.total_cost_per_hour - base.total_cost_per_hour


def _changes(assignments: list[Assignment] | tuple[Assignment, ...]) -> list[dict[str, Any]]:
    return [{"path": a.path, "operation": a.operation.value, "value": a.value} for a in assignments]
