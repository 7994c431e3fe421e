"""TTFT and ITL of one replica against its rate, with the objectives (needs matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from optimizer.fleet.replica import ReplicaSize, ReplicaStudy
from optimizer.report.figures import number
from optimizer.report.matplotlib_figure import new_figure, save_figure
from optimizer.report.replica_text import latency_words

__all__ = ["draw_replica"]

_WIDTH_INCHES, _HEIGHT_INCHES = 8.0, 7.0
_DOTS_PER_INCH = 160
# Okabe and Ito (2008), told apart by colour-blind people too; black is kept for objectives.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_INK, _PALE = "#333333", "#8a8a8a"
_WIDEST, _NARROWEST = 2.4, 1.2
_STYLES = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (5, 1.5, 1, 1.5)))
# The axis ends at this many times the loosest objective, where values go beyond it.
_HEADROOM = 1.35
_MARGIN = 1.12
# Without objectives it ends at this share of capacity's value, before latencies leave the picture.
_SHOWN_LOAD = 0.95
_PANELS = (("ttft", "time to first token [ms]"), ("itl", "time between tokens [ms]"))


def draw_replica(study: ReplicaStudy, path: Path) -> None:
    """Draw the curves of every queue model that answered; the file's ending says the format.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    answers = [size for size in study.sizes if size.curve]
    figure = new_figure(_WIDTH_INCHES, _HEIGHT_INCHES)
    panels = figure.subplots(len(_PANELS), sharex=True)
    for axes, (metric, words) in zip(panels, _PANELS, strict=True):
        _panel(axes, metric, words, answers)
    panels[0].set_title(_title(study), fontsize="large", loc="left", color=_INK, pad=34)
    panels[-1].set_xlabel("requests/s per replica", color=_INK)
    whose = "capacity" if len(answers) == 1 else f"the capacity by {answers[0].queue_model}"
    _load_axis(panels[0], answers[0], f"load [% of {whose}]")
    _mark_answers(panels, answers)
    save_figure(figure, path, dots_per_inch=_DOTS_PER_INCH)


def _title(study: ReplicaStudy) -> str:
    shared = "" if study.replicas == 1 else f", one of {study.replicas} replicas"
    return f"{study.service} on {study.accelerator} ({study.model}){shared}"


def _panel(axes: Any, metric: str, words: str, answers: Sequence[ReplicaSize]) -> None:
    names = [name for name in answers[0].curve[0].latencies_ms if name.startswith(f"{metric}_")]
    widest = _WIDEST if len(answers) == 1 else 2 * _WIDEST
    for place, size in enumerate(answers):
        colour = _COLOURS[place % len(_COLOURS)]
        for style, name in enumerate(names):
            points = [p for p in size.curve if p.latencies_ms.get(name) is not None]
            label = latency_words(name) if len(answers) == 1 else _of_model(size, name)
            axes.plot(
                [p.rate_rps for p in points],
                [p.latencies_ms[name] for p in points],
                color=colour,
                linestyle=_STYLES[style % len(_STYLES)],
                # A later curve that covers an earlier one leaves its edges to be seen.
                linewidth=max(widest - 0.9 * place - 0.5 * (style > 0), _NARROWEST),
                alpha=1.0 if style == 0 else 0.8,
                label=label,
            )
    _bounds(axes, metric, answers[0])
    axes.set_ylim(0, _top(metric, answers))
    axes.set_xlim(0, max(size.capacity_rps or 0.0 for size in answers))
    axes.set_ylabel(words, color=_INK)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_PALE)
    axes.tick_params(colors=_INK, length=3)
    axes.legend(
        loc="best",  # where it covers least of the curves
        fontsize="small",
        labelcolor=_INK,
        facecolor="white",
        edgecolor="none",
        framealpha=0.85,
    )


def _of_model(size: ReplicaSize, name: str) -> str:
    return f"{latency_words(name)}, {size.queue_model}"


def _bounds(axes: Any, metric: str, size: ReplicaSize) -> None:
    """Draw the objectives of a panel as dotted lines with their words."""
    for target in size.targets:
        if not target.name.startswith(f"{metric}_"):
            continue
        axes.axhline(target.bound_ms, color=_INK, linestyle=":", linewidth=1.3)
        axes.annotate(
            f"{latency_words(target.name)}\n≤ {number(target.bound_ms)} ms",
            (1.0, target.bound_ms),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=_INK,
        )


def _top(metric: str, answers: Sequence[ReplicaSize]) -> float:
    """Return where the axis ends: above the objectives, and not where latencies run away to."""
    bounds = [
        target.bound_ms
        for size in answers
        for target in size.targets
        if target.name.startswith(f"{metric}_")
    ]
    seen = [
        value
        for size in answers
        for point in size.curve
        if point.rate_rps <= _SHOWN_LOAD * (size.capacity_rps or 0.0)
        for name, value in point.latencies_ms.items()
        if name.startswith(f"{metric}_") and value is not None
    ]
    # Every curve begins within the picture.
    beginnings = [size.curve[0].latencies_ms.get(f"{metric}_ms") or 0.0 for size in answers]
    top = _HEADROOM * max(bounds) if bounds else _MARGIN * max(seen, default=1.0)
    return max(top, _MARGIN * max(beginnings))


def _load_axis(axes: Any, size: ReplicaSize, words: str) -> None:
    """Show the load above the picture."""
    capacity = size.capacity_rps or 1.0
    above = axes.secondary_xaxis(
        "top", functions=(lambda rate: 100 * rate / capacity, lambda load: load * capacity / 100)
    )
    above.set_xlabel(words, color=_INK)
    above.tick_params(colors=_INK, length=3)
    above.spines["top"].set_color(_PALE)


def _mark_answers(panels: Sequence[Any], answers: Sequence[ReplicaSize]) -> None:
    """Draw the largest rate within the objectives through both panels."""
    outline = import_module("matplotlib.patheffects").withStroke(linewidth=3, foreground="white")
    for place, size in enumerate(answers):
        rate = size.max_rate_rps or 0.0
        if not size.targets or rate <= 0:
            continue
        colour = _COLOURS[place % len(_COLOURS)]
        for axes in panels:
            axes.axvline(rate, color=colour, linewidth=1.0, alpha=0.9)
            if len(answers) == 1:
                axes.axvspan(rate, axes.get_xlim()[1], color="#D55E00", alpha=0.07, linewidth=0)
        what = "capacity" if size.binding == "capacity" else latency_words(size.binding)
        words = f"{number(rate)}/s: {what} binds"
        if len(answers) > 1:
            words += f" ({size.queue_model})"
        panels[0].annotate(
            words,
            (rate, 0.96),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize="small",
            color=colour,
            path_effects=[outline],
        )
