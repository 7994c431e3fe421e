"""`fleetopt queue-models`: which queue models there are."""

from __future__ import annotations

from optimizer.cli.fleet_options import Json
from optimizer.cli.plugins import list_plugins

__all__ = ["queue_models"]


def queue_models(*, as_json: Json = False) -> None:
    """List the queue models: ours and those of other distributions, broken ones with the reason.

    For example:

      fleetopt queue-models

      fleetopt queue-models --json
    """
    from queue_models import describe

    list_plugins("queue_models", describe(), as_json=as_json)
