"""Objectives that lack what they need, or contradict the rest of the options."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.spec.finding import Finding
from optimizer.spec.objective import Objective, StageMeasure
from optimizer.spec.options import PriorityMode, SaturationPolicy, UnservedPolicy
from optimizer.spec.parts import Part
from optimizer.spec.wording import show_path

__all__ = ["check_objective", "needs_carbon", "needs_power"]


def check_objective(fleet: Part) -> Iterator[Finding]:
    """Find weights and stages that are missing or not used, and penalties in another unit."""
    options = fleet.part("optimizer")
    objective = options.text("objective")
    measures = _measures(options)
    staged = objective == Objective.LEXICOGRAPHIC
    if staged and not list(options.entries("stages")):
        yield Finding(
            (*options.path, "stages"),
            "is missing: the objective is lexicographic",
            hint="give [{minimise: cost}, {minimise: carbon}], the most important first",
        )
    if not staged and list(options.entries("stages")):
        yield options.find(
            "stages", "is not used by this objective", "set objective: lexicographic"
        )
    weighs = "weighted" in measures
    if weighs and not options.has("weights"):
        yield Finding(
            (*options.path, "weights"),
            "is missing: the objective is weighted",
            hint="give {cost: 1, power: ..., carbon: ...}: money, per kWh and per kg CO2e",
        )
    if not weighs and options.has("weights"):
        yield options.find("weights", "is not used by this objective", "set objective: weighted")
    yield from _repeated_stages(options)
    transition = options.part("transition")
    leftovers = options.text("saturation_policy") or SaturationPolicy.NONE
    if leftovers != SaturationPolicy.NONE:
        for key in ("most_moved", "most_started", "most_stopped"):
            if transition.has(key):
                yield transition.find(
                    key,
                    "cannot be kept where leftovers are given out in parts",
                    "set saturation_policy: none",
                )
    if (
        objective in (Objective.POWER, Objective.CARBON, Objective.LEXICOGRAPHIC)
        and options.text("priorities") == PriorityMode.WEIGHTED
        and options.text("unserved") != UnservedPolicy.FORBIDDEN
    ):
        yield options.find(
            "objective",
            "cannot be weighed against penalties, which are money",
            "set priorities: strict, or objective: weighted with the prices of power and carbon",
        )


def needs_power(fleet: Part) -> bool:
    """Whether the objective counts power or carbon."""
    return needs_carbon(fleet) or _counts(fleet, "power")


def needs_carbon(fleet: Part) -> bool:
    """Whether the objective counts carbon."""
    return _counts(fleet, "carbon")


def _counts(fleet: Part, measure: str) -> bool:
    options = fleet.part("optimizer")
    measures = _measures(options)
    weight = options.part("weights").number(measure) or 0.0
    return measure in measures or ("weighted" in measures and weight > 0)


def _measures(options: Part) -> set[str]:
    """Return what the objective counts, by the names of stages."""
    objective = options.text("objective") or Objective.COST
    if objective == Objective.LEXICOGRAPHIC:
        stages = (stage.text("minimise") for stage in options.entries("stages"))
        return {name for name in stages if name is not None}
    return {objective} & {measure.value for measure in StageMeasure}


def _repeated_stages(options: Part) -> Iterator[Finding]:
    first: dict[str, Part] = {}
    for stage in options.entries("stages"):
        name = stage.text("minimise")
        if name is not None and first.setdefault(name, stage) is not stage:
            yield stage.find(
                "minimise", f"is minimised already: {show_path(first[name].path)}", "remove it"
            )
