"""A run of the control laboratory as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from importlib.util import find_spec

from optimizer.control.lab import LabResult
from optimizer.report.matplotlib_figure import inline_svg, new_figure

__all__ = ["lab_page"]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
tr.own { font-weight: 600; } svg { max-width: 100%; height: auto; } .note { color: #555; }
"""
_HEADINGS = (
    "policy",
    "attainment",
    "violating minutes",
    "GPU-hours",
    "cost",
    "changes",
    "reversals",
    "recovery [s]",
    "settings",
)
_S_PER_H = 3600.0


def lab_page(result: LabResult) -> str:
    """Return the page; with pictures where matplotlib is installed, else with tables alone."""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(result.scenario)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(result.scenario)}</h1>",
        f'<p class="note">{result.duration_s / _S_PER_H:g} h of {escape(result.fleet)} on a '
        f"virtual clock; the fleet is simulated as {escape(result.simulator)}.</p>",
        _table(result),
    ]
    if find_spec("matplotlib") is None:
        parts.append("<p>Pictures need matplotlib: pip install 'fleetopt[plot]'.</p>")
    else:
        parts.append(_drawn(result))
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _table(result: LabResult) -> str:
    rows = []
    for run in result.runs:
        score = run.score
        cells = (
            run.policy,
            f"{score.attainment:.2%}",
            f"{score.violating_minutes:,.0f}",
            f"{score.gpu_hours:,.1f}",
            f"{score.cost:,.0f}",
            f"{score.changes:,}",
            f"{score.reversals:,}",
            ", ".join(f"{time:.0f}" for time in score.recovery_s) or "-",
            run.settings,
        )
        kind = ' class="own"' if run is result.own else ""
        cells_html = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr{kind}>{cells_html}</tr>")
    head = "".join(f"<th>{escape(heading)}</th>" for heading in _HEADINGS)
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _drawn(result: LabResult) -> str:
    """Draw load, cards and the share of requests kept over time."""
    figure = new_figure(10.0, 7.5)
    load, cards, kept = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 1))
    for run in result.runs:
        own = run is result.own
        hours = [time / _S_PER_H for time in run.series.time_s]
        style = {"linewidth": 2.2 if own else 1.0, "alpha": 1.0 if own else 0.75}
        if own:
            load.plot(hours, run.series.rate_rps, color="0.3", linewidth=1.0)
        cards.step(hours, run.series.cards, where="post", label=run.policy, **style)
        kept.plot(hours, [100.0 * share for share in run.series.kept], **style)
    load.set_ylabel("requests/s")
    cards.set_ylabel("cards held")
    kept.set_ylabel("kept [%]")
    kept.set_xlabel("time [h]")
    cards.legend(loc="upper right", frameon=False, ncols=3)
    for axes in (load, cards, kept):
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    return inline_svg(figure, "load, cards held and requests kept over time")
