"""Why a service got what it got, on one screen of a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.explain import Explanation, Option, OptionState
from optimizer.fleet.uncertainty import ServiceAtLoad, UncertainExplanation
from optimizer.report.figures import number, percent

__all__ = ["best_of_each", "explanation_view", "remark_words"]

_STYLES = {
    OptionState.CHOSEN: "bold green",
    OptionState.POSSIBLE: "",
    OptionState.TOO_LARGE: "yellow",
    OptionState.IMPOSSIBLE: "dim",
}


def explanation_view(explanation: Explanation) -> RenderableType:
    """Return the verdict and the best option of every configuration beside the others."""
    verdict = Text.assemble((explanation.service, "bold"), ": ", explanation.verdict)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("accelerator", overflow="fold")
    table.add_column("")
    for heading in ("batch", "repl.", "cards", f"{explanation.currency}/h"):
        table.add_column(heading, justify="right")
    table.add_column("best reachable, ms", overflow="fold")
    table.add_column("remark", overflow="fold")
    for option, others in best_of_each(explanation.options):
        table.add_row(*_cells(option, others), style=_STYLES[option.state])
    parts: list[RenderableType] = [verdict, Padding(table, (1, 0, 0, 0), expand=False)]
    if isinstance(explanation, UncertainExplanation):
        loads = _loads(explanation.loads, explanation.currency)
        parts.insert(1, Padding(loads, (1, 0, 0, 0), expand=False))
    return Group(*parts)


def _loads(loads: tuple[ServiceAtLoad, ...], currency: str) -> Table:
    """Return what every load makes of the service."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("load", overflow="fold")
    for heading in ("probability", "requests/s", "repl.", f"{currency}/h", "margin"):
        table.add_column(heading, justify="right")
    table.add_column("", overflow="fold")
    for load in loads:
        table.add_row(
            Text(load.load),
            "-" if load.probability is None else f"{load.probability:g}",
            f"{load.arrival_rate_rps:.6g}",
            "-" if load.replicas is None else f"{load.replicas}",
            "-" if load.cost_per_hour is None else f"{load.cost_per_hour:,.2f}",
            "-" if load.margin is None else percent(load.margin),
            Text(load.cause, style="red"),
        )
    return table


def best_of_each(options: tuple[Option, ...]) -> Iterator[tuple[Option, int]]:
    """Yield the first option of each configuration and store, and how many more it has."""
    by_configuration: dict[tuple[str | None, ...], list[Option]] = {}
    for option in options:
        with_whom = ", ".join(option.shared_with)
        key = (option.accelerator, option.configuration, option.store, option.decode, with_whom)
        by_configuration.setdefault(key, []).append(option)
    for mine in by_configuration.values():
        yield mine[0], len(mine) - 1


def remark_words(option: Option, others: int) -> str:
    """Say what rules an option out, how sure its times are, and how many like it there are."""
    remark = option.detail
    if option.log_sd is not None:
        estimated = f"estimated, within {math.expm1(option.log_sd):.0%}"
        remark = f"{estimated}; {remark}" if remark else estimated
    if others:
        what = "batch" if option.store is None else "ratio"
        what += ("es" if option.store is None else "s") if others > 1 else ""
        more = f"{others} more {what} tried, none better"
        remark = f"{remark}; {more}" if remark else more
    return remark


def _cells(option: Option, others: int) -> tuple[Text, ...]:
    reachable = "\n".join(
        f"{r.statistic} {number(r.best_ms)} of {number(r.bound_ms)}" for r in option.reachable
    )
    return (
        Text(_place(option)),
        Text(option.state.value),
        Text(f"{option.max_batch}" if option.max_batch else "-"),
        Text("-" if option.replicas is None else f"{option.replicas}"),
        Text("-" if option.cards is None else f"{option.cards}"),
        Text("-" if option.cost_per_hour is None else f"{option.cost_per_hour:,.2f}"),
        Text(reachable or "-"),
        Text(remark_words(option, others)),
    )


def _place(option: Option) -> str:
    if option.accelerator is None:
        return "none"
    more = "" if option.decode is None else f"+ {option.decode}"
    if option.store is not None:
        more = f"with {option.store}, {option.recompute_ratio:.0%} recomputed"
    if option.shared_with:
        more = f"shared with {', '.join(option.shared_with)}"
    return " ".join(part for part in (option.accelerator, option.configuration, more) if part)
