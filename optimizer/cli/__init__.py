"""The command `fleetopt`: one module per verb, thin."""

from __future__ import annotations

from optimizer.cli.command import main

__all__ = ["main"]
