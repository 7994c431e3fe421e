"""Prices of resources on one screen of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.shadow_prices import ShadowPrice

__all__ = ["shadow_prices_view"]

_MEANING = (
    "prices of the continuous relaxation: what one unit more would save there. Whole plans change\n"
    "in jumps: ask `fleetopt whatif` what a certain number more is worth"
)


def shadow_prices_view(prices: Sequence[ShadowPrice], currency: str) -> RenderableType:
    """Return the table, and what its figures mean."""
    if not prices:
        return Text("nothing is limited, so nothing has a price")
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("resource", overflow="fold")
    table.add_column("limit", justify="right")
    table.add_column(f"{currency}/h per unit more", justify="right")
    for price in prices:
        row = price.requirement
        unit = "" if row.kind.is_whole else f" {row.unit}"
        style = "" if price.price_per_hour else "dim"
        limit = f"{row.capacity:,.6g}{unit}"
        table.add_row(
            Text(row.name), Text(limit), Text(f"{price.price_per_hour:,.4g}"), style=style
        )
    return Group(
        Padding(table, (0, 0, 1, 0), expand=False),
        Text(_MEANING, style="dim"),
    )
