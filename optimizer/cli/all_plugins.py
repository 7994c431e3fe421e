"""`fleetopt plugins`: everything that other distributions can add to."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.fleet_options import Json
from optimizer.cli.output import show, write_data
from optimizer.cli.plugins import plain_row

if TYPE_CHECKING:
    from optimizer.report.plugin_text import PluginRow

__all__ = ["plugins"]

# By kind, the package that lists its plug-ins.
_KINDS = {
    "solvers": "solvers",
    "queue-models": "queue_models",
    "tuners": "optimizer.performance.tuner",
    "forecasters": "optimizer.control.forecast",
    "collectors": "optimizer.control.collectors",
    "actuators": "optimizer.control.actuators",
}


def plugins(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help=f"One of {', '.join(_KINDS)}; all by default.",
            show_default=False,
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List the plug-ins of every kind, ours and others', broken ones with the reason.

    For example:

      fleetopt plugins

      fleetopt plugins forecasters --json
    """
    if kind is not None and kind not in _KINDS:
        from optimizer.spec.wording import suggestion

        hint = suggestion(kind, list(_KINDS), "kinds")
        raise typer.BadParameter(f"there is no kind '{kind}'; {hint}", param_hint="KIND")
    chosen = [kind] if kind else list(_KINDS)
    found: dict[str, tuple[PluginRow, ...]] = {
        name: import_module(_KINDS[name]).describe() for name in chosen
    }
    if as_json:
        kinds = {name: [plain_row(row) for row in rows] for name, rows in found.items()}
        write_data(json.dumps({"schema_version": 1, "plugins": kinds}, indent=2), None)
        return
    from optimizer.report import plugin_view

    for name, rows in found.items():
        show(plugin_view(rows, title=name))
