"""Configurations of models: the fields of their `config.json` that fix shape and precision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from optimizer.catalog.lookup import find_entry

__all__ = ["configuration_names", "model_configuration"]


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    """Read the packaged file; an entry with `same_as` has that model's fields and its own."""
    text = (files(__package__) / "model_configurations.json").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = json.loads(text)
    table: dict[str, Mapping[str, Any]] = {}
    for name, entry in entries.items():
        own = {key: value for key, value in entry.items() if key != "same_as"}
        table[name] = {**table[entry["same_as"]], **own} if "same_as" in entry else own
    return MappingProxyType(table)


def configuration_names() -> tuple[str, ...]:
    """Hub ids of all configurations: the models of the catalogue first, then further ones."""
    return tuple(_table())


def model_configuration(name: str) -> Mapping[str, Any]:
    """Return the configuration of a model, as the `config.json` of its hub repository has it.

    Fields that fix neither shape nor precision are left out.

    Raises
    ------
    UnknownEntryError
        If the catalogue has none of that name; a `LookupError` with the nearest names.
    """
    return find_entry("model", name, _table())
