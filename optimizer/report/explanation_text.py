"""Why a service got what it got, on one screen of a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.explain import Explanation, Option, OptionState
from optimizer.report.figures import number

__all__ = ["explanation_view"]

_STYLES = {
    OptionState.CHOSEN: "bold green",
    OptionState.POSSIBLE: "",
    OptionState.TOO_LARGE: "yellow",
    OptionState.IMPOSSIBLE: "dim",
}


def explanation_view(explanation: Explanation) -> RenderableType:
    """Return the verdict and every option beside the others."""
    verdict = Text.assemble((explanation.service, "bold"), ": ", explanation.verdict)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("accelerator", overflow="fold")
    table.add_column("batch", justify="right")
    table.add_column("")
    table.add_column("replicas", justify="right")
    table.add_column("cards", justify="right")
    table.add_column(f"{explanation.currency}/h", justify="right")
    table.add_column("best reachable against SLO [ms]", overflow="fold")
    table.add_column("remark", overflow="fold")
    for option in explanation.options:
        table.add_row(*_cells(option), style=_STYLES[option.state])
    return Group(verdict, Padding(table, (1, 0, 0, 0), expand=False))


def _cells(option: Option) -> tuple[Text, ...]:
    reachable = "\n".join(
        f"{r.statistic} {number(r.best_ms)} of {number(r.bound_ms)}" for r in option.reachable
    )
    return (
        Text(option.accelerator or "none"),
        Text(f"{option.max_batch}" if option.max_batch else "-"),
        Text(option.state.value),
        Text(number(option.replicas)),
        Text(number(option.cards)),
        Text("-" if option.cost_per_hour is None else f"{option.cost_per_hour:,.2f}"),
        Text(reachable or "-"),
        Text(option.detail),
    )
