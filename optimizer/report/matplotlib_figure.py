"""Figures of matplotlib without its global state; it is an extra."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from solvers import MissingExtraError

__all__ = ["new_figure", "plain", "require_matplotlib"]


def require_matplotlib() -> None:
    """Refuse at once what would fail after hours of runs.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed; says how to add it.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError(
            "plots need matplotlib, which is not installed; try: pip install 'fleetopt[plot]'"
        )


def new_figure(width_inches: float, height_inches: float) -> Any:
    """Return an empty figure, made without pyplot: no window, no global state.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    require_matplotlib()
    size = (width_inches, height_inches)
    return import_module("matplotlib.figure").Figure(figsize=size, layout="constrained")


def plain(text: str) -> str:
    """Return a text that is drawn as it is: between dollar signs there would be formulas."""
    return text.replace("$", r"\$")
