"""Performance profiles and anytime curves as figures (needs matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optimizer.experiments import AnytimeCurve, Profile
from optimizer.report.matplotlib_figure import new_figure, plain, save_figure

__all__ = ["draw_anytime_curves", "draw_profiles"]

_SIZE_INCHES = (7.0, 4.5)
_LINE_STYLES = ("-", "--", "-.", ":")

# Gaps below this are drawn there: a log scale has no zero.
_SMALLEST_GAP = 1e-6


def draw_profiles(profiles: Sequence[Profile], path: Path, *, clock: str, solved: str) -> None:
    """Draw performance profiles; the file's ending says in which format.

    Parameters
    ----------
    profiles
        At least one.
    clock, solved
        In words, for the axes: what time and "solved" mean.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure, axes = _figure()
    right = 1.1 * max((max(p.ratios, default=1.0) for p in profiles), default=1.0)
    for place, profile in enumerate(profiles):
        last = profile.at(right)
        axes.step(
            [1.0, *profile.ratios, right],
            [profile.at(1.0), *profile.fractions, last],
            where="post",
            linestyle=_LINE_STYLES[place % len(_LINE_STYLES)],
            label=f"{plain(profile.solver)} ({last:.0%})",
        )
    axes.set_xscale("log")
    axes.set_xlim(1.0, right)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel(f"{clock} over that of the fastest solver (log scale)")
    axes.set_ylabel(f"fraction of {profiles[0].problems} problems")
    axes.set_title(f"Performance profile; solved: {solved}", fontsize="medium")
    _finish(figure, axes, path)


def draw_anytime_curves(curves: Sequence[AnytimeCurve], path: Path) -> None:
    """Draw the mean primal gap over time, the spread of the seeds as a band.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure, axes = _figure()
    for place, curve in enumerate(curves):
        (line,) = axes.step(
            curve.times_s,
            curve.mean.clip(_SMALLEST_GAP),
            where="post",
            linestyle=_LINE_STYLES[place % len(_LINE_STYLES)],
            label=plain(curve.solver),
        )
        axes.fill_between(
            curve.times_s,
            curve.low.clip(_SMALLEST_GAP),
            curve.high.clip(_SMALLEST_GAP),
            step="post",
            color=line.get_color(),
            alpha=0.2,
            linewidth=0,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("wall-clock seconds of the solve (log scale)")
    axes.set_ylabel("mean primal gap to the best value")
    axes.set_title("Incumbent over time; band: least and largest seed", fontsize="medium")
    _finish(figure, axes, path)


def _figure() -> tuple[Any, Any]:
    figure = new_figure(*_SIZE_INCHES)
    return figure, figure.add_subplot()


def _finish(figure: Any, axes: Any, path: Path) -> None:
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    save_figure(figure, path)
