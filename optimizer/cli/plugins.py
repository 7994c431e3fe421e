"""Listing plug-ins, as `fleetopt solvers` and `fleetopt queue-models` do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from optimizer.cli.output import show, write_data

if TYPE_CHECKING:
    from optimizer.report.plugin_text import PluginRow

__all__ = ["list_plugins"]


def list_plugins(kind: str, plugins: Sequence[PluginRow], *, as_json: bool) -> None:
    """Print the plug-ins of a registry as a table, or as JSON under the key `kind`."""
    if as_json:
        rows = [_plain(asdict(cast("Any", plugin))) for plugin in plugins]
        write_data(json.dumps({"schema_version": 1, kind: rows}, indent=2), None)
        return
    from optimizer.report import plugin_view

    show(plugin_view(plugins))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Turn sets into sorted lists, which JSON has."""
    return {
        key: sorted(map(str, value)) if isinstance(value, set | frozenset) else value
        for key, value in row.items()
    }
