"""Estimation sheets as text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from optimizer.capacity.sheets import Cell, Section, Sheet
from optimizer.report.figures import number

__all__ = ["sheet_markdown", "sheet_view"]


def sheet_view(sheet: Sheet) -> RenderableType:
    """Return a sheet for a terminal: each line with its arithmetic, figure and unit."""
    parts: list[RenderableType] = [Text(sheet.title, style="bold")]
    for section in sheet.sections:
        parts += [Text(), Text(section.title, style="bold")]
        parts += list(_section_parts(section))
    return Group(*parts)


def _section_parts(section: Section) -> Iterator[RenderableType]:
    if section.lines:
        table = _plain()
        for justify in ("left", "left", "right", "left", "left"):
            table.add_column(justify=justify, overflow="fold")
        for line in section.lines:
            figure = f"= {_written(line.value)}"
            table.add_row(f"  {line.name}", line.arithmetic, figure, line.unit, line.note)
        yield table
    if section.table is not None:
        table = _plain(show_header=True)
        for heading in section.table.columns:
            table.add_column(heading, justify="right", overflow="fold")
        for row in section.table.rows:
            table.add_row(*map(_cell, row))
        yield table
    for note in section.notes:
        yield Text(f"  {note}")


def _plain(*, show_header: bool = False) -> Table:
    return Table(
        box=None, pad_edge=False, header_style="bold", padding=(0, 1), show_header=show_header
    )


def sheet_markdown(sheet: Sheet) -> str:
    """Return a sheet as Markdown."""
    blocks = [f"# {_escaped(sheet.title)}"]
    for section in sheet.sections:
        blocks.append(f"## {_escaped(section.title)}")
        if section.lines:
            rows = [
                (line.name, line.arithmetic, _written(line.value), line.unit, line.note)
                for line in section.lines
            ]
            blocks.append(_grid(("figure", "arithmetic", "value", "unit", "note"), rows, 2))
        if section.table is not None:
            cells = [tuple(map(_cell, row)) for row in section.table.rows]
            blocks.append(_grid(section.table.columns, cells, 0))
        blocks += [_escaped(note) for note in section.notes]
    return "\n\n".join(blocks) + "\n"


def _grid(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], first_number: int) -> str:
    rule = ["---" if place < first_number else "---:" for place in range(len(headings))]
    lines = [headings, tuple(rule), *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _written(value: float | None) -> str:
    """Return a figure with four digits, whole numbers with all of theirs."""
    if value is None:
        return "-"
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _cell(cell: Cell) -> str:
    if cell is None:
        return "-"
    return cell if isinstance(cell, str) else number(cell)
