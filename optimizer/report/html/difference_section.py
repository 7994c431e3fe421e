"""Plans side by side, as part of a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optimizer.fleet.difference import Placement, PlanDifference
from optimizer.fleet.plan import FleetPlan
from optimizer.report.html.charts import bar_chart
from optimizer.report.html.pages import rendered
from optimizer.report.plan_words import accelerator_costs, accelerators_known

__all__ = ["difference_fragment", "difference_values"]


def difference_fragment(
    found: PlanDifference, before: tuple[str, FleetPlan], after: tuple[str, FleetPlan]
) -> str:
    """Return two plans side by side to stand in somebody else's page.

    Parameters
    ----------
    found
        What tells them apart.
    before, after
        The plans, each with what people call it.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    rows = [(name, accelerator_costs(plan.allocations)) for name, plan in (before, after)]
    chart = bar_chart(
        rows,
        f"{found.currency} per hour",
        "cost by accelerator of both plans",
        known=accelerators_known(after[1]),
    )
    return rendered(
        "comparison_of_plans.html.j2",
        **difference_values(found),
        before=before,
        after=after,
        chart=chart,
    )


def difference_values(found: PlanDifference) -> dict[str, Any]:
    """Return what the template speaks of."""
    return {"difference": found, "placements": _placements}


def _placements(placements: Sequence[Placement]) -> str:
    return (
        ", ".join(
            f"{p.replicas} x {p.accelerator} {p.configuration}".strip()
            if p.accelerator is not None
            else "scaled to zero"
            for p in placements
        )
        or "not served"
    )
