"""A comparison of solvers as a page."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.experiments import (
    Comparison,
    Summary,
    anytime_curves,
    performance_profile,
)
from optimizer.report.html.charts import curve_chart
from optimizer.report.html.pages import rendered

__all__ = ["comparison_page"]

# Gaps below this are drawn there: a log scale has no zero.
_SMALLEST_GAP = 1e-6


def comparison_page(comparison: Comparison, summary: Summary, known: Mapping[str, float]) -> str:
    """Return the page.

    Parameters
    ----------
    comparison
        The runs.
    summary
        The table made of them.
    known
        Best-known values by instance.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    limit_s = comparison.protocol.settings.time_limit_s
    profiles = performance_profile(comparison.rows, known=known, rules=summary.rules)
    right = 1.1 * max((max(p.ratios, default=1.0) for p in profiles), default=1.0)
    profile = curve_chart(
        (
            (p.solver, [1.0, *p.ratios, right], [p.at(1.0), *p.fractions, p.at(right)])
            for p in profiles
        ),
        ("time over that of the fastest solver (log scale)", "fraction of problems solved"),
        steps=True,
        logarithmic="x",
    )
    anytime = curve_chart(
        (
            (c.solver, list(c.times_s), list(c.mean.clip(_SMALLEST_GAP)))
            for c in anytime_curves(comparison.rows, time_limit_s=limit_s, known=known)
        ),
        ("wall-clock seconds of the solve (log scale)", "mean primal gap to the best value"),
        steps=True,
        logarithmic="xy",
    )
    return rendered(
        "comparison.html.j2",
        summary=summary,
        comparison=comparison,
        cells=[
            [summary.cells[line, solver] for solver in summary.solvers] for line in summary.lines
        ],
        clock="CPU" if summary.rules.time == "cpu_s" else "wall-clock",
        reference=summary.rules.reference or next(iter(summary.solvers), "-"),
        limit_s=limit_s,
        best="the listed best value, else the best of these runs"
        if known
        else "the best of these runs",
        profile=profile,
        anytime=anytime,
    )
