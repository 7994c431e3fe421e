"""Fitted against measured times, and their relative residuals (needs matplotlib)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.report.matplotlib_figure import new_figure, save_figure

if TYPE_CHECKING:
    from optimizer.performance.measurements import FittedTiming

__all__ = ["draw_residuals"]

_SIZE_INCHES = (9.0, 4.0)


def draw_residuals(fitted: FittedTiming, path: Path) -> None:
    """Draw both panels into a file; its suffix chooses the format.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure = new_figure(*_SIZE_INCHES)
    against, relative = figure.subplots(1, 2)
    ends = [float(fitted.observed_ms.min()), float(fitted.observed_ms.max())]
    against.plot(ends, ends, color="grey", linewidth=1)
    against.scatter(fitted.observed_ms, fitted.fitted_ms, s=14)
    against.set(xscale="log", yscale="log", xlabel="measured [ms]", ylabel="fitted [ms]")
    relative.axhline(0.0, color="grey", linewidth=1)
    off = (fitted.fitted_ms / fitted.observed_ms - 1) * 100
    relative.scatter(fitted.observed_ms, off, s=14)
    relative.set(xscale="log", xlabel="measured [ms]", ylabel="fitted less measured [%]")
    for axes in (against, relative):
        axes.grid(visible=True, which="major", alpha=0.3)
    save_figure(figure, path)
