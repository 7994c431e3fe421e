"""`fleetopt solvers`: which solvers there are."""

from __future__ import annotations

from optimizer.cli.fleet_options import Json
from optimizer.cli.plugins import list_plugins

__all__ = ["solvers"]


def solvers(*, as_json: Json = False) -> None:
    """List the solvers: ours and those of other distributions, broken ones with the reason.

    For example:

      fleetopt solvers

      fleetopt solvers --json
    """
    from solvers import describe

    list_plugins("solvers", describe(), as_json=as_json)
