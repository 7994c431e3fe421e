"""How figures are written for people."""

from __future__ import annotations

__all__ = ["money_change", "number", "percent"]


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; `-` where unknown."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(value: float | None) -> str:
    """Signed whole percent; `-` where unknown."""
    return "-" if value is None else f"{value:+.0%}"


def money_change(delta: float, before: float | None) -> str:
    """Signed money, and its share of what it was before where that is something."""
    share = f", {delta / before:+.1%}" if before else ""
    return f"{delta:+,.2f}{share}"
