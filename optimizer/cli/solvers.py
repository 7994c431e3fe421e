"""`fleetopt solvers`: which solvers there are."""

from __future__ import annotations

from optimizer.cli.fleet_options import Json
from optimizer.cli.plugins import Describe, describe_plugin, list_plugins

__all__ = ["solvers"]


def solvers(*, describe: Describe = None, as_json: Json = False) -> None:
    """List the solvers: ours and those of other distributions, broken ones with the reason.

    For example:

      fleetopt solvers

      fleetopt solvers --json

      fleetopt solvers --describe milp
    """
    import solvers as registry

    if describe is None:
        list_plugins("solvers", registry.describe(), as_json=as_json)
        return
    described = registry.SolverDescription.of(registry.get(describe))
    describe_plugin("solver", described, as_json=as_json)
