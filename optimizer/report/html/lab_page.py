"""A run of the control laboratory as a page."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from optimizer.control.lab import LabResult, Series
from optimizer.report.html.charts import COLOURS
from optimizer.report.html.pages import rendered
from optimizer.report.matplotlib_figure import inline_svg, new_figure

__all__ = ["lab_fragment", "lab_page"]

_S_PER_H = 3600.0
_SIZE_INCHES = (10.0, 7.5)


def lab_page(result: LabResult, currency: str) -> str:
    """Return the page.

    Parameters
    ----------
    result
        The runs.
    currency
        Of the fleet, whose money the costs are.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("lab.html.j2", **_shown(result, currency))


def lab_fragment(result: LabResult, currency: str) -> str:
    """Return the runs to stand in somebody else's page.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("lab_result.html.j2", **_shown(result, currency))


def _shown(result: LabResult, currency: str) -> dict[str, Any]:
    return {
        "result": result,
        "own": result.own,
        "currency": currency,
        "hours": result.duration_s / _S_PER_H,
        "chart": _drawn(result),
    }


def _drawn(result: LabResult) -> str:
    """Draw load, cards and the requests that were late so far, over time."""
    figure = new_figure(*_SIZE_INCHES)
    load, cards, late = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 1))
    for place, run in enumerate(result.runs):
        own = run is result.own
        hours = [time / _S_PER_H for time in run.series.time_s]
        style = {
            "color": COLOURS[place % len(COLOURS)],
            "linewidth": 2.2 if own else 1.0,
            "alpha": 1.0 if own else 0.75,
        }
        if own:
            load.plot(hours, run.series.rate_rps, color="black", linewidth=1.0)
        cards.step(hours, run.series.cards, where="post", label=run.policy, **style)
        late.plot(hours, _late_so_far(run.series), **style)
    load.set_ylabel("requests/s")
    cards.set_ylabel("cards held")
    late.set_ylabel("late so far [%]")
    late.set_xlabel("time [h]")
    cards.legend(loc="upper right", frameon=False, ncols=3)
    for axes in (load, cards, late):
        axes.patch.set_visible(False)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    return inline_svg(figure, "load, cards held and late requests over time")


def _late_so_far(series: Series) -> list[float]:
    """Return the requests that were late until every time, as a share of all of the run [%]."""
    came = sum(series.rate_rps) or 1.0
    late = (r * (1.0 - kept) for r, kept in zip(series.rate_rps, series.kept, strict=True))
    return [100.0 * total / came for total in accumulate(late)]
