"""Variants that the fleet had: their replicas still run when its description has changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from optimizer.control.planner import Planner
from optimizer.control.spec import ReplicaCount, Variant

__all__ = ["FormerVariants"]


class FormerVariants:
    """Remembers what replicas of variants carried that are the fleet's no more."""

    def __init__(self) -> None:
        self._rates: dict[Variant, float] = {}

    def replace(self, before: Planner, now: Planner) -> None:
        """Remember the variants that another description of the fleet no longer has."""
        self._rates |= {variant: before.rate_rps(variant) for variant in before.variants}
        for variant in now.variants:
            self._rates.pop(variant, None)

    def rate_rps(self, variant: Variant) -> float:
        """Return what one replica carried; 0 if unknown."""
        return self._rates.get(variant, 0.0)

    def forget_gone(self, counts: Iterable[ReplicaCount]) -> None:
        """Forget variants that have no replicas left."""
        there = {count.variant for count in counts if count.holding}
        self._rates = {variant: r for variant, r in self._rates.items() if variant in there}

    def state(self) -> list[list[Any]]:
        """Return what to write down."""
        return [[v.model_dump(mode="json"), rate] for v, rate in self._rates.items()]

    def restore(self, state: Iterable[Sequence[Any]]) -> None:
        """Go on from what was written down."""
        self._rates = {Variant.model_validate(v): float(rate) for v, rate in state}
