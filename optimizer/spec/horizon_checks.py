"""Contradictions in what a fleet says of its horizon."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.spec.finding import Finding
from optimizer.spec.parts import Part
from optimizer.spec.uncertainty_checks import check_rates
from optimizer.spec.wording import suggestion

__all__ = ["check_horizon"]


def check_horizon(fleet: Part) -> Iterator[Finding]:
    """Find periods and commitments that name what is not there."""
    horizon = fleet.part("horizon")
    for period in horizon.entries("periods"):
        yield from check_rates(fleet, period)
    names = fleet.names("accelerators")
    prices = {a.text("name"): a.number("cost_per_hour") for a in fleet.entries("accelerators")}
    for entry in horizon.entries("commitments"):
        name, price = entry.text("accelerator"), entry.number("cost_per_hour")
        if name is None:
            continue
        if name not in names:
            yield entry.find(
                "accelerator", "the fleet has no such accelerator", suggestion(name, names)
            )
            continue
        usual = prices.get(name)
        if price is not None and usual is not None and price > usual:
            yield entry.find(
                "cost_per_hour",
                f"is more than on demand, {usual:g} per hour",
                "a commitment is worth having below that price",
            )
