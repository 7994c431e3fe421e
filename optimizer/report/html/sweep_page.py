"""A sweep's results as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from optimizer.experiments.sweep import SweepRow, SweepSpec
from optimizer.report.html.charts import curve_chart
from optimizer.report.html.pages import rendered

__all__ = ["sweep_page"]

# Curves that can be told apart.
_MOST_CURVES = 8


def sweep_page(spec: SweepSpec, rows: Sequence[SweepRow]) -> str:
    """Return the page.

    Parameters
    ----------
    spec
        What was asked.
    rows
        What came of it.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    currencies = {row.figures["currency"] for row in rows if row.figures.get("currency")}
    money = currencies.pop() if len(currencies) == 1 else "money"
    return rendered(
        "sweep.html.j2",
        name=spec.name,
        axes=[axis.name for axis in spec.axes],
        several_fleets=len(spec.fleets) > 1,
        rows=rows,
        counts=Counter(row.status for row in rows).most_common(),
        money=money,
        worst_gap=max((row.figures.get("relative_gap") or 0.0 for row in rows), default=0.0),
        charts=_charts(spec, rows, money),
        short=sum(_leaves_someone(row) for row in rows),
    )


def _leaves_someone(row: SweepRow) -> bool:
    """Whether its plan leaves services unserved."""
    served = row.figures.get("served")
    return served is not None and served < row.figures["services"]


def _charts(spec: SweepSpec, rows: Sequence[SweepRow], money: str) -> list[tuple[str, str]]:
    """Draw the cost against every axis of numbers, a curve for each setting of the others."""
    charts = []
    for axis in (axis.name for axis in spec.axes):
        curves = _curves(axis, rows)
        if curves:
            chart = curve_chart(curves, (axis, f"{money} per hour"), steps=False)
            charts.append((axis, chart))
    return charts


def _curves(axis: str, rows: Sequence[SweepRow]) -> list[tuple[str, list[float], list[float]]]:
    curves: dict[str, list[tuple[float, float]]] = {}
    several = len({row.fleet for row in rows}) > 1
    for row in rows:
        place, cost = row.labels.get(axis), row.figures.get("total_cost_per_hour")
        if cost is None or isinstance(place, bool) or not isinstance(place, int | float):
            continue
        curves.setdefault(_other_settings(row, axis, several), []).append((place, cost))
    if not 1 <= len(curves) <= _MOST_CURVES or all(len(points) < 2 for points in curves.values()):
        return []
    return [
        (name, *(list(values) for values in zip(*sorted(points), strict=True)))  # type: ignore[misc]
        for name, points in curves.items()
    ]


def _other_settings(row: SweepRow, axis: str, several_fleets: bool) -> str:
    fleet = [("", row.fleet)] if several_fleets else []
    others: list[tuple[str, Any]] = [*fleet, *row.labels.items()]
    return ", ".join(f"{name} {label}".strip() for name, label in others if name != axis)
