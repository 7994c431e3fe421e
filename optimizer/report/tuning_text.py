"""What was learnt from a log of observations, on a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from optimizer.performance.tuner.replay import Replay

__all__ = ["tuning_view"]

_MOST_REJECTED = 10
# Beyond this a parameter is said not to be known.
_UNKNOWN = math.log(2.0)


def tuning_view(
    replicas: Sequence[tuple[Mapping[str, Any], Replay]], ignored: Sequence[str]
) -> RenderableType:
    """Return parameters with their intervals, residuals and rejected rows of each replica."""
    parts: list[RenderableType] = []
    for account, done in replicas:
        name = " on ".join(filter(None, (account["model"], account["accelerator"])))
        parts.append(
            f"{name or 'replica'}: {account['accepted']} of {account['rows']} observations taken "
            f"in by {account['tuner']}"
        )
        if done.learnt is not None:
            parts += ["", _parameters(account), "", *_words(account)]
        parts += [*_rejected(done), ""]
    if ignored:
        parts.append(f"columns not read: {', '.join(ignored)}")
    return Group(*parts)


def _parameters(account: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("parameter")
    for heading in ("value", "95 % interval"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for name, found in account["parameters"].items():
        unknown = found["log_sd"] > _UNKNOWN / 2
        table.add_row(
            name,
            f"{found['value']:.4g}",
            f"{found['low']:.3g} to {found['high']:.3g}",
            "the observed loads hardly tell" if unknown else "",
        )
    return table


def _words(account: Mapping[str, Any]) -> list[str]:
    """Return residuals and confidence, a line each."""
    lines = [
        f"{name}: off by {found['median']:.1%} in the median, {found['p90']:.1%} at the 90th "
        f"percentile, {_bias(found['bias'])} ({found['count']} predictions, each before its "
        f"observation)"
        for name, found in account["residuals"].items()
    ]
    lines.append(
        f"times predicted at the loads seen last are known within "
        f"{math.expm1(1.96 * account['prediction_log_sd']):.1%} (95 %)"
    )
    if account["changes"]:
        lines.append(f"the replica changed {account['changes']} times, and was learnt anew")
    return lines


def _bias(value: float) -> str:
    return f"{abs(value):.1%} too {'low' if value > 0 else 'high'} on the whole"


def _rejected(done: Replay) -> list[str]:
    if not done.rejected:
        return []
    lines = ["", f"not taken in: {len(done.rejected)}"]
    lines += [f"  line {row.line}: {row.reason}" for row in done.rejected[:_MOST_REJECTED]]
    if len(done.rejected) > _MOST_REJECTED:
        lines.append(f"  and {len(done.rejected) - _MOST_REJECTED} more; --json lists them all")
    return lines
