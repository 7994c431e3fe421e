"""An SLO sheet put on a fleet: what decides its plan, and what only a running system shows."""

from __future__ import annotations

from optimizer.errors import Fault, SpecError
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.service_class import ServiceClassSpec, SloMetric, SloSpec, TargetSpec
from optimizer.spec.slo_sheet import ObjectiveSpec, SloSheetSpec
from optimizer.spec.wording import suggestion

__all__ = ["with_slo_sheet"]


def with_slo_sheet(fleet: FleetSpec, sheet: SloSheetSpec) -> FleetSpec:
    """Return a fleet whose classes are held to a sheet's latencies and throughputs.

    An objective replaces those of its class with the same metric and statistic, and joins the
    others. Throughputs hold for each service by itself. An end-to-end latency stated for answers of
    a length holds in proportion: for a model's services with several lengths, for the shortest.
    What only a running system shows is told in the fleet's notes.

    Raises
    ------
    SpecError
        If an objective is for a class that the fleet does not have; names the nearest.
    """
    known = [group.name for group in fleet.classes]
    faults = [
        Fault(
            "the fleet has no such class",
            path=f"objectives[{place}].class",
            value=repr(one.service_class),
            hint=suggestion(one.service_class, known, "classes"),
            source=f"SLO sheet '{sheet.name}'",
        )
        for place, one in enumerate(sheet.objectives)
        if one.service_class is not None and one.service_class not in known
    ]
    if faults:
        raise SpecError(faults)
    classes = tuple(_held(fleet, group, sheet) for group in fleet.classes)
    return fleet.model_copy(update={"classes": classes, "notes": (*fleet.notes, *_notes(sheet))})


def _held(fleet: FleetSpec, group: ServiceClassSpec, sheet: SloSheetSpec) -> ServiceClassSpec:
    objectives = _of_class(sheet, group.name)
    if not objectives:
        return group
    models = {slo.model for slo in group.slos}
    served = {s.model for s in fleet.services if s.service_class == group.name}
    # Models whose answers an objective depends on get targets of their own.
    if any(one.output_tokens is not None for one in objectives):
        models |= served
    general = next((slo.targets for slo in group.slos if slo.model is None), ())
    own = {slo.model: slo.targets for slo in group.slos}
    slos = tuple(
        SloSpec(
            model=model,
            targets=_merged(own.get(model, general), _targets(fleet, group, model, objectives)),
        )
        for model in sorted(models | {None}, key=lambda name: (name is None, name or ""))
    )
    return group.model_copy(update={"slos": slos})


def _of_class(sheet: SloSheetSpec, name: str) -> list[ObjectiveSpec]:
    """Objectives that a plan decides by; a class's own go before those for every class."""
    chosen: dict[tuple[str, str], ObjectiveSpec] = {}
    for one in sorted(sheet.objectives, key=lambda one: one.service_class is not None):
        if one.metric.planned is not None and one.service_class in (None, name):
            chosen[one.metric.value, one.statistic] = one
    return list(chosen.values())


def _targets(
    fleet: FleetSpec, group: ServiceClassSpec, model: str | None, objectives: list[ObjectiveSpec]
) -> tuple[TargetSpec, ...]:
    lengths = [
        service.load.mean_output_tokens
        for service in fleet.services
        if service.service_class == group.name and model in (None, service.model)
    ]
    targets = []
    for one in objectives:
        metric = one.metric.planned
        assert metric is not None
        bound = one.target
        if metric is SloMetric.E2E_MS and one.output_tokens is not None and lengths:
            bound *= min(lengths) / one.output_tokens
        targets.append(TargetSpec(metric=metric, statistic=one.statistic, bound=bound))
    return tuple(targets)


def _merged(given: tuple[TargetSpec, ...], new: tuple[TargetSpec, ...]) -> tuple[TargetSpec, ...]:
    replaced = {(target.metric, target.statistic) for target in new}
    kept = (one for one in given if (one.metric, one.statistic) not in replaced)
    return (*kept, *new)


def _notes(sheet: SloSheetSpec) -> tuple[str, ...]:
    planned = [one for one in sheet.objectives if one.metric.planned is not None]
    shown = [
        f"{one.metric.value} {'at least' if one.metric.is_floor else 'at most'} {one.target:g}"
        for one in sheet.objectives
        if one.metric.planned is None
    ]
    part = f"{len(planned)} of {len(sheet.objectives)}"
    lines = [f"SLO sheet {sheet.name!r}: {part} objectives decide the plan"]
    if shown:
        lines.append(
            f"not decided by a plan, only a running system shows: {'; '.join(shown)}; "
            "`fleetopt export SHEET --format prometheus-rules` watches them"
        )
    return tuple(lines)
