"""A Pareto front as a picture (needs matplotlib)."""

from __future__ import annotations

from pathlib import Path

from optimizer.fleet.pareto import ParetoFront
from optimizer.report.matplotlib_figure import new_figure, plain, save_figure
from optimizer.report.pareto_text import measure_words

__all__ = ["draw_pareto"]

_WIDTH_INCHES, _HEIGHT_INCHES = 7.0, 4.6
_DOTS_PER_INCH = 160
# Okabe and Ito (2008), told apart by colour-blind people too.
_COLOUR, _INK, _PALE = "#0072B2", "#333333", "#8a8a8a"


def draw_pareto(front: ParetoFront, path: Path) -> None:
    """Draw the measure against the cost; the file's ending says the format.

    Between two points lies what no plan reaches: the front is a staircase. Points without proof
    are hollow.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    figure = new_figure(_WIDTH_INCHES, _HEIGHT_INCHES)
    axes = figure.subplots()
    costs = [point.cost_per_hour for point in front.points]
    values = [point.value for point in front.points]
    axes.step(costs, values, where="post", color=_COLOUR, linewidth=1.2, alpha=0.6)
    for proven in (True, False):
        mine = [point for point in front.points if point.proven is proven]
        axes.plot(
            [point.cost_per_hour for point in mine],
            [point.value for point in mine],
            "o",
            color=_COLOUR,
            markerfacecolor=_COLOUR if proven else "white",
        )
    plan = front.points[0].plan
    axes.set_title(plain(plan.fleet), loc="left", color=_INK)
    axes.set_xlabel(plain(f"{plan.currency} per hour"), color=_INK)
    axes.set_ylabel(measure_words(front.measure), color=_INK)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_PALE)
    axes.tick_params(colors=_INK, length=3)
    save_figure(figure, path, dots_per_inch=_DOTS_PER_INCH)
