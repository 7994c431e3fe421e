"""The study of KV caches as text, and as CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

from rich.console import Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.experiments.kv_study import KvStudy, ModelStudy, StudyTable
from optimizer.report.figures import number

__all__ = ["file_stem", "kv_study_view", "shown", "write_csv_tables"]


def kv_study_view(study: KvStudy) -> RenderableType:
    """Return every table, model after model."""
    parts: list[RenderableType] = []
    for one in study.studies:
        parts.append(Text(heading(one), style="bold"))
        for table in one.tables:
            parts.append(Padding(Text(table.title, style="bold"), (1, 0, 0, 0)))
            parts.append(Text(table.note, style="dim"))
            parts.append(_table(table))
    return Group(*parts)


def heading(one: ModelStudy) -> str:
    """Name a model's part, with its size."""
    count = f"{one.accelerators} x " if one.accelerators > 1 else ""
    return (
        f"{one.model} on {count}{one.accelerator}: {number(one.kv_bytes_per_token)} bytes of KV "
        f"per token, room for {number(one.kv_capacity_tokens)} tokens"
    )


def shown(cell: float | str | None) -> str:
    """Write a cell."""
    return cell if isinstance(cell, str) else number(cell)


def file_stem(one: ModelStudy, table: StudyTable) -> str:
    """Name the file of a table."""
    model = one.model.rpartition("/")[2]
    return f"{model}_{one.accelerator}_{table.name}".replace(" ", "-")


def write_csv_tables(study: KvStudy, folder: Path) -> list[Path]:
    """Write a CSV file per table; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = list[Path]()
    for one in study.studies:
        for table in one.tables:
            path = folder / f"{file_stem(one, table)}.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(table.columns)
                writer.writerows(
                    ["" if cell is None else cell for cell in row] for row in table.rows
                )
            written.append(path)
    return written


def _table(table: StudyTable) -> Table:
    view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in table.columns:
        first = column == table.x
        justify: JustifyMethod = "left" if first else "right"
        view.add_column(column, justify=justify, no_wrap=first)
    for row in table.rows:
        view.add_row(*map(shown, row))
    return view
