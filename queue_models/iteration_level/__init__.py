"""Continuous batching modelled iteration by iteration."""

from __future__ import annotations

from queue_models.iteration_level.model import IterationLevelModel

__all__ = ["IterationLevelModel"]
