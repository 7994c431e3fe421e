"""Pictures of the study of KV caches (need matplotlib)."""

from __future__ import annotations

from typing import Any

from optimizer.experiments.kv_study import StudyTable
from optimizer.report.matplotlib_figure import inline_svg, new_figure

__all__ = ["draw_table"]

_SIZE_INCHES = (7.0, 4.0)
_LINE_STYLES = ("-", "--", "-.", ":")
_K = 1024
_UNCROWDED = 4  # names that stand side by side


def draw_table(table: StudyTable) -> str:
    """Return a picture of a table as SVG: lines over figures, bars over words.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure = new_figure(*_SIZE_INCHES)
    axes = figure.add_subplot()
    at = table.column(table.x)
    if any(isinstance(place, str) for place in at):
        _bars(axes, table, [str(place) for place in at])
    else:
        _lines(axes, table, [float(place) for place in at if place is not None])
    if table.log_y:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_ylabel(table.y_label + (" (log scale)" if table.log_y else ""))
    axes.set_title(table.title, fontsize="medium")
    axes.grid(visible=True, which="major", axis="y", alpha=0.3)
    if len(table.lines) > 1:
        # Beside the axes: bars leave no corner free.
        axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return inline_svg(figure, table.title)


def _lines(axes: Any, table: StudyTable, at: list[float]) -> None:
    for place, name in enumerate(table.lines):
        style = _LINE_STYLES[place % len(_LINE_STYLES)]
        axes.plot(at, table.column(name), linestyle=style, marker="o", markersize=3, label=name)
    if table.log_x:
        axes.set_xscale("log", base=2)
    axes.set_xticks(at, [_length(value) for value in at])
    axes.minorticks_off()
    axes.set_xlabel(table.x)


def _bars(axes: Any, table: StudyTable, at: list[str]) -> None:
    width = 0.8 / len(table.lines)
    for place, name in enumerate(table.lines):
        shift = (place - (len(table.lines) - 1) / 2) * width
        positions = [k + shift for k in range(len(at))]
        axes.bar(positions, table.column(name), width=width, label=name)
    crowded = len(at) > _UNCROWDED
    axes.set_xticks(range(len(at)), at, fontsize="small")
    axes.tick_params(axis="x", labelrotation=20 if crowded else 0)


def _length(value: float) -> str:
    return f"{value / _K:.3g}K" if value >= _K and value % _K == 0 else f"{value:,.0f}"
