"""Distributions of simulated latencies (needs matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optimizer.engine import PlanSimulation, SimulatedService
from optimizer.report.matplotlib_figure import new_figure, plain, save_figure

__all__ = ["draw_latencies"]

_WIDTH_INCHES, _HEIGHT_INCHES, _LEGEND_ROW_INCHES = 11.0, 4.0, 0.22
_DOTS_PER_INCH = 160
_INK = "#333333"
# Okabe and Ito's colours, told apart by people who see few.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLES = ("-", "--", ":")
_TITLES = {
    "ttft_ms": "time to first token",
    "itl_ms": "gaps between tokens",
    "e2e_ms": "whole request",
}
# More curves cannot be told apart: those that miss come first.
_MOST = len(_COLOURS) * len(_STYLES)
_TICKS = (0.0, 0.5, 0.9, 0.99, 0.999)


def draw_latencies(simulation: PlanSimulation, path: Path) -> None:
    """Draw the share of requests (of tokens, for gaps) within a latency, against it.

    The upper end is stretched so that p99 and p99.9 can be read; marks are the objectives.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    known = [s for s in simulation.services if s.distributions]
    shown = sorted(known, key=lambda s: not s.misses)[:_MOST]
    rows = -(-len(shown) // 3)
    figure = new_figure(_WIDTH_INCHES, _HEIGHT_INCHES + _LEGEND_ROW_INCHES * rows)
    for axes, (metric, title) in zip(figure.subplots(1, 3), _TITLES.items(), strict=True):
        _draw_metric(axes, metric, shown)
        axes.set_title(title, fontsize="medium", loc="left", color=_INK)
        axes.set_xlabel("ms", color=_INK)
    first = figure.axes[0]
    first.set_ylabel("share within", color=_INK)
    handles, labels = first.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize="small"
        )
    left_out = f", {len(known) - len(shown)} more not drawn" if len(known) > len(shown) else ""
    words = f"{plain(simulation.fleet)}: simulated latencies{left_out}; marks are objectives"
    figure.suptitle(words, fontsize="medium", color=_INK)
    save_figure(figure, path, dots_per_inch=_DOTS_PER_INCH)


def _draw_metric(axes: Any, metric: str, shown: Sequence[SimulatedService]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("function", functions=(_stretched, _shrunk))
    axes.set_ylim(0.0, 0.9995)
    axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if not shown:
        axes.text(0.5, 0.5, "nothing simulated", transform=axes.transAxes, ha="center")
    for place, service in enumerate(shown):
        colour = _COLOURS[place % len(_COLOURS)]
        style = _STYLES[place // len(_COLOURS)]
        for one in service.distributions:
            if one.metric == metric:
                label = _label(service)
                axes.plot(one.values, one.shares, style, color=colour, linewidth=1.5, label=label)
        for row in service.statistics:
            if row.metric == metric and row.bound is not None and row.statistic != "mean":
                share = float(row.statistic.removeprefix("p")) / 100.0
                axes.plot([row.bound], [share], "|", color=colour, ms=14, mew=2.2)
    _label_times(axes)


def _label_times(axes: Any) -> None:
    """Label so many times of the logarithmic axis that labels do not overlap."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 50.0 * low else (1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: f"{time:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _label(service: SimulatedService) -> str:
    decode = service.decode
    where = service.accelerator or ""
    return plain(f"{service.service}  {where}") + (
        "" if decode is None else f" → {decode.accelerator}"
    )


def _stretched(share: Any) -> Any:
    import numpy as np

    return -np.log10(1.0 - np.clip(share, 0.0, 0.99999))


def _shrunk(height: Any) -> Any:
    return 1.0 - 10.0 ** (-height)
