"""A sweep's results, one line per scenario."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from optimizer.experiments.sweep import Sweep, SweepRow
from optimizer.report.long_table import LongTable

__all__ = ["sweep_row_line", "sweep_view"]


def sweep_view(sweep: Sweep) -> RenderableType:
    """Return the view: what came of all scenarios, then each."""
    parts: list[RenderableType] = [Text(_verdict(sweep), style="bold")]
    if sweep.rows:
        parts.append(_table(sweep))
    faults = [f"{_words(row)}: {_fault(row)}" for row in sweep.rows if _fault(row)]
    parts += [Padding(Text(fault, style="red"), (0, 0, 0, 2)) for fault in faults]
    return Group(*parts)


def sweep_row_line(row: SweepRow) -> str:
    """Say in one line what became of a scenario."""
    cost = row.figures.get("total_cost_per_hour")
    answer = (
        row.status if cost is None else f"{row.status}, {cost:,.2f} {row.figures['currency']}/h"
    )
    return f"{_words(row)}: {answer}, {row.wall_s:.2f} s"


def _verdict(sweep: Sweep) -> str:
    counts = Counter(row.status for row in sweep.rows)
    said = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    missing = sweep.scenarios - len(sweep.rows)
    left = f", {missing} not reached" if missing else ""
    found = f" ({sweep.taken_over} found in the folder)" if sweep.taken_over else ""
    return f"{sweep.spec.name}: {sweep.scenarios} scenarios: {said or 'none solved'}{left}{found}"


def _table(sweep: Sweep) -> RenderableType:
    currencies = {row.figures["currency"] for row in sweep.rows if row.figures.get("currency")}
    money = f"{currencies.pop()}/h" if len(currencies) == 1 else "cost/h"
    several = len(sweep.spec.fleets) > 1
    axes = [axis.name for axis in sweep.spec.axes]
    labels = [*(["fleet"] if several else []), *axes]
    figures = (money, "gap", "served", "cards", "margin")
    rows = [
        [
            *([Text(row.fleet)] if several else []),
            *(Text(str(row.labels[axis])) for axis in axes),
            Text(row.status, style="" if row.status == "optimal" else "yellow"),
            *_figures(row, money == "cost/h"),
        ]
        for row in sweep.rows
    ]
    return LongTable(
        columns=[(label, "left") for label in (*labels, "status")]
        + [(figure, "right") for figure in figures],
        rows=rows,
    )


def _figures(row: SweepRow, with_currency: bool) -> list[Text]:
    figures = row.figures
    if figures.get("total_cost_per_hour") is None:
        return [Text("-")] * 5
    currency = f" {figures['currency']}" if with_currency else ""
    gap, margin = figures["relative_gap"], figures["smallest_margin"]
    short = figures["served"] < figures["services"]
    return [
        Text(f"{figures['total_cost_per_hour']:,.2f}{currency}"),
        Text("-" if gap is None else f"{gap:.3%}"),
        Text(f"{figures['served']}/{figures['services']}", style="red" if short else ""),
        Text(str(sum(figures["cards"].values()))),
        Text("-" if margin is None else f"{margin:.1%}"),
    ]


def _words(row: SweepRow) -> str:
    return ", ".join([row.fleet, *(f"{axis}={label}" for axis, label in row.labels.items())])


def _fault(row: SweepRow) -> str:
    return row.error or (row.figures.get("detail", "") if row.status == "invalid" else "")
