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
    kinds = [kind for kind in ("peaks", "spread") if part.has(kind)]
    has_scenarios = bool(list(part.entries("scenarios")))
    if not has_scenarios and not kinds:
        yield Finding(
            (*part.path, "scenarios"),
            "is missing",
            hint="give scenarios: [{name: usual}, {name: busy, factor: 1.5}], or peaks, or spread",
        )
    if has_scenarios and kinds:
        yield part.find(kinds[0], "stands beside scenarios", "keep one of them")
    elif len(kinds) > 1:
        yield part.find("spread", "stands beside peaks", "keep one of them")
    yield from _probabilities(part)
    yield from _modes(part, kinds)
    if "spread" in kinds:
        yield from _spread(fleet, part.part("spread"))
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
    yield from _strangers(fleet, owner.part("rates_rps"))


def _strangers(fleet: Part, rates: Part) -> Iterator[Finding]:
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


def _modes(part: Part, kinds: list[str]) -> Iterator[Finding]:
    """Find promises that do not go with peaks (`kinds`), spread, or replicas that adapt."""
    probability = part.number("serve_probability")
    partly = probability is not None and probability < 1
    if "peaks" in kinds and part.text("replicas") == "fixed":
        yield part.find(
            "replicas",
            "with fixed replicas every service is sized for its own peak, however few come at once",
            "with peaks, leave replicas out; or give one scenario with all the peaks",
        )
    if "spread" in kinds and part.text("replicas") == "fixed":
        yield part.find(
            "replicas",
            "loads that spread have no end that fixed replicas could be sized for",
            "with spread, leave replicas out; or give quantiles as rates_rps of a scenario",
        )
    if "spread" in kinds and part.text("minimize") == "worst":
        yield part.find(
            "minimize", "loads that spread have no worst cost", "leave it out: the expected cost"
        )
    if partly and (kinds or part.text("replicas") == "adapt"):
        hint = "leave it out: every load is then served"
        if "spread" in kinds:
            hint = "with spread, set spread.keep_probability"
        yield part.find(
            "serve_probability", "below 1 needs scenarios, and replicas that are fixed", hint
        )


def _spread(fleet: Part, spread: Part) -> Iterator[Finding]:
    """Find deviations of unknown services, and limits that are about one load."""
    yield from _strangers(fleet, spread.part("std_rps"))
    transition = fleet.part("optimizer").part("transition")
    for limit in ("most_moved", "most_started", "most_stopped"):
        if transition.has(limit):
            yield transition.find(
                limit,
                "is about a step from today's plan to one load, and the loads spread",
                "remove it, or uncertainty.spread",
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
