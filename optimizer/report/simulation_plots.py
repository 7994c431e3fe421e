"""Predicted and simulated latencies of a plan against their objectives (needs matplotlib)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from optimizer.engine import PlanSimulation, SimulatedService, SimulatedStatistic
from optimizer.report.matplotlib_figure import new_figure, plain, save_figure

__all__ = ["draw_simulation"]

_WIDTH_INCHES, _ROW_INCHES, _MARGIN_INCHES = 10.0, 0.34, 1.7
_DOTS_PER_INCH = 160
_INK, _PALE, _MISSED = "#333333", "#8a8a8a", "#D55E00"
_KEPT = "#0072B2"
_TITLE = {"fontsize": "small", "loc": "left", "color": _INK}


def draw_simulation(simulation: PlanSimulation, path: Path) -> None:
    """Draw every objective as a row: predicted (ring) and simulated (dot, with its interval).

    Beside it stands the share of requests that keep it, with its interval. Without objectives, rows
    are the latencies that were predicted, as shares of the prediction.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    rows = [(service, row) for service in simulation.services for row in service.statistics]
    with_bound = [(service, row) for service, row in rows if row.bound is not None]
    shown = with_bound or [(service, row) for service, row in rows if row.predicted]
    figure = new_figure(_WIDTH_INCHES, _MARGIN_INCHES + _ROW_INCHES * max(len(shown), 1))
    columns = 2 if with_bound else 1
    widths = [2.2, 1.0][:columns]
    panels = figure.subplots(1, columns, squeeze=False, sharey=True, width_ratios=widths)[0]
    axes = panels[0]
    for place, (_, row) in enumerate(shown):
        _draw_row(axes, place, row)
        if with_bound:
            _draw_kept(panels[1], place, row)
    axes.set_yticks(range(len(shown)), [_label(service, row) for service, row in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.axvline(1.0, color=_INK, linewidth=1.2)
    axes.set_xlim(left=0.0)
    whole = "objective" if with_bound else "prediction"
    axes.set_xlabel(f"share of the {whole}", color=_INK)
    axes.set_title("predicted (ring), simulated (dot, 95 %)", **_TITLE)
    if with_bound:
        panels[1].set_xlabel("requests within the bound [%]", color=_INK)
        panels[1].set_title("attainment", **_TITLE)
        panels[1].set_xlim(right=100.5)
    for panel in panels:
        panel.grid(axis="x", color="#e4e4e4", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.tick_params(axis="y", length=0)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)
    figure.suptitle(plain(simulation.fleet), fontsize="medium", color=_INK)
    save_figure(figure, path, dots_per_inch=_DOTS_PER_INCH)


def _draw_kept(axes: Any, place: int, row: SimulatedStatistic) -> None:
    if row.kept_by is None:
        return
    colour = _MISSED if row.holds is False else _KEPT
    value, width = 100.0 * row.kept_by, 100.0 * (row.kept_by_half_width or 0.0)
    ends = [max(value - width, 0.0), min(value + width, 100.0)]
    axes.plot(ends, [place, place], color=colour, linewidth=1.6)
    axes.plot([value], [place], "o", color=colour, markersize=5)
    if row.statistic != "mean":
        wanted = float(row.statistic.removeprefix("p"))
        axes.plot([wanted], [place], "|", color=_INK, markersize=10, markeredgewidth=1.2)


def _draw_row(axes: Any, place: int, row: SimulatedStatistic) -> None:
    whole = row.bound or row.predicted or 1.0
    colour = _MISSED if row.holds is False else _KEPT
    draw = axes.plot
    if row.simulated is not None:
        width = (row.half_width or 0.0) / whole
        value = row.simulated / whole
        draw([max(value - width, 0.0), value + width], [place, place], color=colour, linewidth=1.6)
        draw([value], [place], "o", color=colour, markersize=5)
    else:
        axes.text(0.01, place, "no steady state", color=_MISSED, va="center", fontsize="small")
    if row.predicted is not None:
        draw([row.predicted / whole], [place], "o", mfc="none", mec=_PALE, markersize=8)


def _label(service: SimulatedService, row: SimulatedStatistic) -> str:
    return f"{plain(service.service)}  {row.metric.removesuffix('_ms')} {row.statistic}"
