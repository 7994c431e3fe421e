"""How figures are written for people."""

from __future__ import annotations

__all__ = ["number", "percent"]


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; `-` where unknown."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(value: float | None) -> str:
    """Signed whole percent; `-` where unknown."""
    return "-" if value is None else f"{value:+.0%}"
