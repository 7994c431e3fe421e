"""Tables of thousands of rows: columns as wide as their widest cell, nothing folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

__all__ = ["LONG", "LongTable"]

LONG = 300
"""Rows from which a `rich` table, which measures and folds every cell, takes too long: it needs
about 0.7 ms a row, this one a tenth."""

_GAP = " "


@dataclass(frozen=True)
class LongTable:
    """Rows of cells under headings; lines wider than the console run over.

    Parameters
    ----------
    columns
        Heading and alignment of each.
    rows
        As many cells as columns.
    """

    columns: Sequence[tuple[str, Literal["left", "right"]]]
    rows: Sequence[Sequence[Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Yield an empty line, the headings, the rows."""
        widths = [
            max(cell_len(heading), *(cell_len(row[place].plain) for row in self.rows))
            for place, (heading, _) in enumerate(self.columns)
        ]
        headings = [Text(heading, style="bold") for heading, _ in self.columns]
        yield Segment.line()
        for row in (headings, *self.rows):
            for place, cell in enumerate(row):
                filling = " " * (widths[place] - cell_len(cell.plain))
                right = self.columns[place][1] == "right"
                style = console.get_style(cell.style) if cell.style else Style.null()
                yield Segment(filling + cell.plain if right else cell.plain + filling, style)
                yield Segment(_GAP)
            yield Segment.line()
