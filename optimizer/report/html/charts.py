"""Charts as SVG that takes its ink from the page: the same one is dark on light and light on dark.

Colours are those of Okabe and Ito (2008), told apart by colour-blind people too; nothing is said
by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optimizer.report.matplotlib_figure import inline_svg, new_figure, plain, short

__all__ = [
    "COLOURS",
    "Swing",
    "bar_chart",
    "curve_chart",
    "share_chart",
    "staircase",
    "tornado_chart",
]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999933", "#882255")
_MISSED, _GREY = "#D55E00", "#808080"
_HATCHES = ("", "//", "..", "xx", "\\\\", "--", "oo", "++")
_WIDTH_INCHES, _ROW_INCHES, _MARGIN_INCHES = 8.0, 0.3, 0.9
_HEIGHT_INCHES = 3.6

Swing = tuple[str, float | None, float | None]
"""A figure in words, and what comes of less and of more of it."""


def bar_chart(
    rows: Sequence[tuple[str, Mapping[str, float]]],
    unit: str,
    title: str,
    *,
    known: Sequence[str] = (),
) -> str:
    """Draw a stacked bar per row; parts have a colour and a hatch each.

    Parameters
    ----------
    rows
        Name, and amounts by part.
    unit
        Of the amounts.
    title
        Read out instead of the picture.
    known
        Parts that have the first colours in any chart, whether they are in this one or not.
    """
    figure, axes = _rows_figure(len(rows))
    there = dict.fromkeys(part for _, amounts in rows for part in amounts)
    parts = list(dict.fromkeys((*known, *there)))
    lefts = [0.0] * len(rows)
    for place, part in enumerate(parts):
        if part not in there:
            continue
        widths = [amounts.get(part, 0.0) for _, amounts in rows]
        axes.barh(
            range(len(rows)), widths, left=lefts, height=0.62, label=short(part),
            color=COLOURS[place % len(COLOURS)],
            hatch=_HATCHES[place // len(COLOURS) % len(_HATCHES)],
        )  # fmt: skip
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    _name_rows(axes, [name for name, _ in rows])
    axes.set_xlabel(plain(unit))
    if len(there) > 1:
        figure.legend(loc="outside upper left", ncols=min(len(there), 5), frameon=False)
    return inline_svg(figure, title)


def share_chart(rows: Sequence[tuple[str, float, bool]], whole: str, title: str) -> str:
    """Draw a dot per row at its share of a whole; a cross where the share is too much."""
    figure, axes = _rows_figure(len(rows))
    for place, (_, share, kept) in enumerate(rows):
        colour = COLOURS[0] if kept else _MISSED
        axes.plot([0, share], [place, place], color=colour, linewidth=1.4)
        axes.plot([share], [place], "o" if kept else "X", color=colour, markersize=7)
    axes.axvline(1.0, color="black", linewidth=1.2)
    axes.set_xlim(left=0.0, right=max(1.05, *(1.05 * share for _, share, _ in rows)))
    _name_rows(axes, [name for name, _, _ in rows])
    axes.set_xlabel(whole)
    return inline_svg(figure, title)


def tornado_chart(base: float, rows: Sequence[Swing], unit: str, ends: tuple[str, str]) -> str:
    """Draw what comes of less (left in the legend) and more of each figure, around a base."""
    figure, axes = _rows_figure(len(rows))
    for end, (name, place_of) in enumerate(zip(ends, (1, 2), strict=True)):
        values = [row[place_of] for row in rows]
        widths = [0.0 if value is None else float(value) - base for value in values]
        axes.barh(
            range(len(rows)), widths, left=base, height=0.62, label=name,
            color=COLOURS[end], hatch="" if end else "//", alpha=0.85,
        )  # fmt: skip
    axes.axvline(base, color="black", linewidth=1.2)
    _name_rows(axes, [row[0] for row in rows])
    axes.set_xlabel(plain(unit))
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    return inline_svg(figure, "cost with less and more of each figure")


def staircase(
    costs: Sequence[float],
    values: Sequence[float],
    proven: Sequence[bool],
    axes_words: tuple[str, str],
    *,
    line: tuple[float, str] | None = None,
) -> str:
    """Draw a front: between two points lies what no plan reaches; hollow points are not proven.

    A line, with its name, is drawn across where it is given.
    """
    figure, axes = _figure()
    axes.step(costs, values, where="post", color=COLOURS[0], linewidth=1.2, alpha=0.6)
    for cost, value, sure in zip(costs, values, proven, strict=True):
        axes.plot([cost], [value], "o", color=COLOURS[0], mfc=COLOURS[0] if sure else "none")
    axes.set_xlabel(plain(axes_words[0]))
    axes.set_ylabel(plain(axes_words[1]))
    axes.set_ylim(bottom=0)
    if line is not None:
        axes.axhline(line[0], color=_MISSED, linewidth=1.4, linestyle="--")
        axes.annotate(
            line[1], (1.0, line[0]), xycoords=("axes fraction", "data"), ha="right",
            xytext=(0, 3), textcoords="offset points",
        )  # fmt: skip
        axes.set_ylim(top=max(axes.get_ylim()[1], 1.12 * line[0]))
    return inline_svg(figure, f"{axes_words[1]} against {axes_words[0]}")


def curve_chart(
    curves: Iterable[tuple[str, Sequence[float], Sequence[float]]],
    axes_words: tuple[str, str],
    *,
    steps: bool,
    logarithmic: str = "",
    from_zero: bool = False,
) -> str:
    """Draw curves with colours, dashes and names; `logarithmic` names axes, as in "xy"."""
    figure, axes = _figure()
    for place, (name, x, y) in enumerate(curves):
        style = {
            "color": COLOURS[place % len(COLOURS)],
            "linestyle": ("-", "--", ":", "-.")[place % 4],
        }
        axes.plot(x, y, label=short(name), drawstyle="steps-post" if steps else "default", **style)
    for axis in logarithmic:
        getattr(axes, f"set_{axis}scale")("log")
    if from_zero:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(plain(axes_words[0]))
    axes.set_ylabel(plain(axes_words[1]))
    if axes.lines:
        axes.legend(frameon=False)
    return inline_svg(figure, f"{axes_words[1]} against {axes_words[0]}")


def _figure() -> tuple[Any, Any]:
    figure = new_figure(_WIDTH_INCHES, _HEIGHT_INCHES)
    axes = figure.subplots()
    axes.grid(visible=True, color=_GREY, alpha=0.25, linewidth=0.8)
    _strip(axes, ("top", "right"))
    return figure, axes


def _rows_figure(rows: int) -> tuple[Any, Any]:
    figure = new_figure(_WIDTH_INCHES, _MARGIN_INCHES + _ROW_INCHES * max(rows, 1))
    axes = figure.subplots()
    axes.grid(axis="x", color=_GREY, alpha=0.25, linewidth=0.8)
    _strip(axes, ("top", "right", "left"))
    return figure, axes


def _strip(axes: Any, sides: Sequence[str]) -> None:
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    for side in sides:
        axes.spines[side].set_visible(False)


def _name_rows(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)
