"""Listing and describing plug-ins, as `fleetopt solvers` and `fleetopt queue-models` do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from optimizer.cli.output import show, write_data

if TYPE_CHECKING:
    from optimizer.report.plugin_text import PluginRow

__all__ = ["Describe", "describe_plugin", "list_plugins", "plain_row"]

Describe = Annotated[
    str | None,
    typer.Option(
        "--describe", metavar="NAME", help="Say all there is to know of one.", show_default=False
    ),
]


def list_plugins(kind: str, plugins: Sequence[PluginRow], *, as_json: bool) -> None:
    """Print the plug-ins of a registry as a table, or as JSON under the key `kind`."""
    if as_json:
        rows = [plain_row(plugin) for plugin in plugins]
        write_data(json.dumps({"schema_version": 1, kind: rows}, indent=2), None)
        return
    from optimizer.report import plugin_view

    show(plugin_view(plugins))


def describe_plugin(kind: str, description: object, *, as_json: bool) -> None:
    """Print what a plug-in says of itself, or JSON under the key `kind`."""
    account = asdict(cast("Any", description))
    if as_json:
        write_data(json.dumps({"schema_version": 1, kind: account}, indent=2), None)
        return
    from optimizer.report import description_view

    show(description_view(account))


def plain_row(plugin: PluginRow) -> dict[str, Any]:
    """Return what is known of a plug-in, with sets as sorted lists, which JSON has."""
    return {
        key: sorted(map(str, value)) if isinstance(value, set | frozenset) else value
        for key, value in asdict(cast("Any", plugin)).items()
    }
