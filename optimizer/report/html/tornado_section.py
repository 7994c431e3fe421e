"""What the cost hangs on, as part of a page."""

from __future__ import annotations

from typing import Any

from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.tornado import Tornado, TornadoBar
from optimizer.report.html.charts import tornado_chart
from optimizer.report.html.pages import rendered

__all__ = ["tornado_fragment", "tornado_values"]

# Beyond so many rows a chart is no longer read; tables hold all of them.
_MOST_ROWS = 40


def tornado_fragment(found: Tornado) -> str:
    """Return it to stand in somebody else's page.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("plan_tornado.html.j2", **tornado_values(found), plan=found.base)


def tornado_values(found: Tornado) -> dict[str, Any]:
    """Return what the template speaks of."""
    base = found.base.total_cost_per_hour or 0.0
    served = [_served_words(bar, found.base) for bar in found.bars]
    rows = [
        (
            f"{bar.figure} †" if words else bar.figure,
            bar.less.total_cost_per_hour,
            bar.more.total_cost_per_hour,
        )
        for bar, words in zip(found.bars[:_MOST_ROWS], served[:_MOST_ROWS], strict=True)
    ]
    ends = (f"{found.share:.0%} less", f"{found.share:.0%} more")
    unit = f"{found.base.currency} per hour"
    return {
        "tornado": found,
        "tornado_chart": tornado_chart(base, rows, unit, ends) if rows else "",
        "served_words": served,
        "dagger": any(served[:_MOST_ROWS]),
    }


def _served_words(bar: TornadoBar, base: FleetPlan) -> str:
    """Say who is served at one end and not in the base, or the other way round."""
    words = []
    mine = set(base.services_served)
    for end, plan in (("less", bar.less), ("more", bar.more)):
        if plan.found:
            more = sorted(set(plan.services_served) - mine)
            fewer = sorted(mine - set(plan.services_served))
            words += [f"{end}: {', '.join(more)} served too"] if more else []
            words += [f"{end}: {', '.join(fewer)} not served"] if fewer else []
    return "; ".join(words)
