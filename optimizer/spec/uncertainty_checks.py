"""Contradictions in what a fleet says of uncertain loads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from optimizer.spec.finding import Finding
from optimizer.spec.parts import Part
from optimizer.spec.wording import suggestion

__all__ = ["check_rates", "check_uncertainty"]

# Probabilities are given in so many digits.
_SUM_TO_ONE = 1e-6


def check_uncertainty(fleet: Part) -> Iterator[Finding]:
    """Find scenarios and peaks that contradict each other, or name services that are not there."""
    if not fleet.has("uncertainty"):
        return
    part = fleet.part("uncertainty")
    if not isinstance(part.value, Mapping):
        return
    has_scenarios, has_peaks = bool(list(part.entries("scenarios"))), part.has("peaks")
    if not has_scenarios and not has_peaks:
        yield Finding(
            (*part.path, "scenarios"),
            "is missing",
            hint="give scenarios: [{name: usual}, {name: busy, factor: 1.5}], or peaks",
        )
    if has_scenarios and has_peaks:
        yield part.find("peaks", "stands beside scenarios", "keep one of them")
    yield from _probabilities(part)
    yield from _modes(part, has_peaks)
    for scenario in part.entries("scenarios"):
        yield from check_rates(fleet, scenario)
    yield from check_rates(fleet, part.part("peaks"))
    yield from _lower_peaks(fleet, part.part("peaks"))
    options = fleet.part("optimizer")
    policy = options.text("saturation_policy")
    if policy not in (None, "none"):
        yield options.find(
            "saturation_policy",
            "gives out what is left at one load, and the loads are uncertain",
            "with uncertainty, set saturation_policy: none",
        )


def check_rates(fleet: Part, owner: Part) -> Iterator[Finding]:
    """Find rates of services that the fleet does not have."""
    rates = owner.part("rates_rps")
    if not isinstance(rates.value, Mapping):
        return
    names = fleet.names("services")
    for name in rates.value:
        if isinstance(name, str) and name not in names:
            yield rates.find(name, "the fleet has no such service", suggestion(name, names))


def _probabilities(part: Part) -> Iterator[Finding]:
    scenarios = list(part.entries("scenarios"))
    given = [s.number("probability") for s in scenarios if s.has("probability")]
    if not given:
        return
    for scenario in scenarios:
        if not scenario.has("probability"):
            yield Finding(
                (*scenario.path, "probability"),
                "is missing",
                hint="other scenarios have one; give it to all, or to none",
            )
            return
    total = math.fsum(value for value in given if value is not None)
    if None not in given and abs(total - 1.0) > _SUM_TO_ONE:
        yield Finding(
            part.part("scenarios").path, f"have probabilities that sum to {total:.9g}, not 1"
        )


def _modes(part: Part, has_peaks: bool) -> Iterator[Finding]:
    probability = part.number("serve_probability")
    partly = probability is not None and probability < 1
    if has_peaks and part.text("replicas") == "fixed":
        yield part.find(
            "replicas",
            "with fixed replicas every service is sized for its own peak, however few come at once",
            "with peaks, leave replicas out; or give one scenario with all the peaks",
        )
    if partly and (has_peaks or part.text("replicas") == "adapt"):
        yield part.find(
            "serve_probability",
            "below 1 needs scenarios, and replicas that are fixed",
            "leave it out: every load is then served",
        )


def _lower_peaks(fleet: Part, peaks: Part) -> Iterator[Finding]:
    """Find peaks below the usual rate."""
    for service in fleet.entries("services"):
        name, usual = service.text("name"), service.part("load").number("arrival_rate_rps")
        peak = None if name is None else peaks.part("rates_rps").number(name)
        if peak is not None and usual is not None and peak < usual:
            yield peaks.part("rates_rps").find(
                str(name), f"must be at least the usual rate, {usual:g} requests/s"
            )
