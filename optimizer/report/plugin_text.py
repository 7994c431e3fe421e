"""Registered plug-ins as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["PluginRow", "description_view", "plugin_view"]


class PluginRow(Protocol):
    """What the registries of solvers and queue models say of a plug-in."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        ...

    @property
    def distribution(self) -> str:
        """Distribution it comes from."""
        ...

    @property
    def version(self) -> str:
        """Version of the distribution."""
        ...

    @property
    def summary(self) -> str:
        """What it is, in one line."""
        ...

    @property
    def status(self) -> str:
        """`ok`, or what is wrong in one word."""
        ...

    @property
    def reason(self) -> str:
        """Why it cannot be used."""
        ...


def plugin_view(plugins: Sequence[PluginRow], title: str | None = None) -> RenderableType:
    """Return a row per plug-in: name, where it comes from, what it is or why it is broken."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    table.title, table.title_justify, table.title_style = title, "left", "bold underline"
    table.add_column("name", style="bold", overflow="fold")
    table.add_column("from", overflow="fold")
    table.add_column("status")
    table.add_column("what it is", overflow="fold")
    for plugin in plugins:
        good = plugin.status == "ok"
        table.add_row(
            Text(plugin.name),
            Text(f"{plugin.distribution} {plugin.version}"),
            Text(plugin.status, style="green" if good else "red"),
            Text(plugin.summary if good else plugin.reason),
        )
    return table


def description_view(description: Mapping[str, object]) -> RenderableType:
    """Return what a plug-in says of itself, a line per attribute."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in description.items():
        table.add_row(Text(name.replace("_", " ")), Text(_words(value)))
    return table


def _words(value: object) -> str:
    if value is None:
        return "as the model that it chooses"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {default}" for name, default in value.items()) or "none"
    if isinstance(value, tuple):
        sentences = any(str(one).endswith(".") for one in value)
        return ("\n" if sentences else ", ").join(map(str, value)) or "none"
    return str(value) or "not stated"
