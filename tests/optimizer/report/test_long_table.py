"""Long tables: the same lines as a table that folds, where nothing needs folding."""

from __future__ import annotations

from io import StringIO
from typing import Literal

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.report.long_table import LongTable


def _lines(view: object) -> list[str]:
    console = Console(file=StringIO(), width=120, color_system=None)
    console.print(view)
    written = console.file
    assert isinstance(written, StringIO)
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_lines_are_those_of_a_folding_table() -> None:
    """Alignment, gaps and wide characters are as `rich` lays them out."""
    columns: tuple[tuple[str, Literal["left", "right"]], ...] = (
        ("service", "left"),
        ("€/h", "right"),
        ("说明", "left"),
    )
    rows = [
        [Text(f"s{i}" * (1 + i % 3)), Text(f"{i**2:,.2f}", style="red"), Text("重い" * (i % 4))]
        for i in range(40)
    ]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for heading, justify in columns:
        table.add_column(heading, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*row)
    folding = _lines(Padding(table, (1, 0, 0, 0), expand=False))
    assert _lines(LongTable(columns, rows)) == folding
