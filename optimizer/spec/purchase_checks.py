"""Purchase tiers that are named twice, or that nothing offers."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.spec.finding import Finding
from optimizer.spec.objective import Objective
from optimizer.spec.parts import Part
from optimizer.spec.wording import show_path, suggestion

__all__ = ["check_tiers"]


def check_tiers(fleet: Part) -> Iterator[Finding]:
    """Find tiers given twice, and classes that may use none there is."""
    known: dict[str, None] = {}
    for accelerator in fleet.entries("accelerators"):
        first: dict[str, Part] = {}
        for tier in accelerator.entries("tiers"):
            name = tier.text("tier")
            if name is None:
                continue
            known[name] = None
            if first.setdefault(name, tier) is not tier:
                where = show_path(first[name].path)
                yield tier.find("tier", f"the accelerator has this tier already: {where}")
    for group in fleet.entries("classes"):
        for tier in group.entries("tiers"):
            if isinstance(tier.value, str) and tier.value not in known:
                yield Finding(
                    tier.path,
                    "no accelerator is sold in this tier",
                    tier.value,
                    suggestion(tier.value, known, "accelerators[].tiers"),
                )
    options = fleet.part("optimizer")
    if known and options.text("objective") == Objective.INFERNO_VALUE:
        yield options.find(
            "objective", "knows one price per accelerator, and some have tiers",
            "set objective: cost",
        )  # fmt: skip
