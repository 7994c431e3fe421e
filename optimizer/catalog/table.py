"""Reading a data file of the catalogue into frozen records."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["load_table"]

Facts = TypeVar("Facts", bound="DataclassInstance")


def load_table(file_name: str, facts: type[Facts]) -> Mapping[str, Facts]:
    """Read the records of a packaged CSV file by their `name`, in file order.

    Parameters
    ----------
    file_name
        A file beside this module; its columns are the fields of `facts`, in their order. An empty
        cell is None.
    facts
        Dataclass of a record; its fields are str, int, float or bool, or one of these or None.

    Returns
    -------
    Mapping
        Read-only.

    Raises
    ------
    ValueError
        If the columns are not the fields, a cell is not of its field's type, or a name comes twice.
    """
    columns = [field.name for field in fields(facts)]
    types = get_type_hints(facts)
    table: dict[str, Facts] = {}
    lines = (files(__package__) / file_name).read_text(encoding="utf-8").splitlines()
    reader = csv.DictReader(lines, strict=True)
    if reader.fieldnames != columns:
        raise ValueError(f"{file_name}: columns are {reader.fieldnames}, wanted {columns}")
    for row in reader:
        values = {column: _cell(row[column], types[column]) for column in columns}
        if row["name"] in table:
            raise ValueError(f"{file_name}: {row['name']} comes twice")
        table[row["name"]] = facts(**values)
    return MappingProxyType(table)


def _cell(text: str, wanted: Any) -> str | int | float | bool | None:
    """Value of a cell as its field's type, e.g. `float | None`."""
    accepted = getattr(wanted, "__args__", (wanted,))
    if not text and type(None) in accepted:
        return None
    if bool in accepted:
        return {"true": True, "false": False}[text]
    if int in accepted:
        return int(text)
    return float(text) if float in accepted else text
