"""`fleetopt diff`: what changed from one plan to another."""

from __future__ import annotations

from optimizer.cli.fleet_options import Json
from optimizer.cli.output import show, write_data
from optimizer.cli.plan_options import PlanFile, read_plan

__all__ = ["diff"]


def diff(before: PlanFile, after: PlanFile, *, as_json: Json = False) -> None:
    """Say what changed from one plan to another, and what made it so.

    Causes are read off the plans, which hold loads, objectives, limits and what replicas cost and
    carry. The exit status is 0 whether or not something changed.

    For example:

      fleetopt diff yesterday.json today.json

      fleetopt diff yesterday.json today.json --json
    """
    from optimizer.fleet import difference

    found = difference(read_plan(before), read_plan(after))
    if as_json:
        write_data(found.model_dump_json(indent=2) + "\n", None)
    else:
        from optimizer.report import difference_view

        show(difference_view(found))
