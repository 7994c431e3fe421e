"""`fleetopt queue-models`: which queue models there are."""

from __future__ import annotations

from optimizer.cli.fleet_options import Json
from optimizer.cli.plugins import Describe, describe_plugin, list_plugins

__all__ = ["queue_models"]


def queue_models(*, describe: Describe = None, as_json: Json = False) -> None:
    """List the queue models: ours and those of other distributions, broken ones with the reason.

    For example:

      fleetopt queue-models

      fleetopt queue-models --json

      fleetopt queue-models --describe mm1k-state-dependent
    """
    import queue_models as registry

    if describe is None:
        list_plugins("queue_models", registry.describe(), as_json=as_json)
        return
    described = registry.ModelDescription.of(registry.get(describe))
    describe_plugin("queue_model", described, as_json=as_json)
