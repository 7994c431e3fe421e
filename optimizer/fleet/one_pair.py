"""One service on one accelerator, taken out of a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel

from optimizer.errors import Fault, SpecError
from optimizer.fleet.estimates import with_estimates
from optimizer.fleet.targets import targets_of
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import PerformanceSpec
from optimizer.spec.service import ServiceSpec
from optimizer.spec.wording import listed, suggestion

__all__ = ["bare_pair", "pair_data"]

_Named = TypeVar("_Named", bound=BaseModel)


def bare_pair() -> dict[str, Any]:
    """Return a document of one service on one accelerator, to be filled in.

    What it lacks: `performance[0].max_batch` and a timing, and the lengths of
    `services[0].load`.
    """
    return {
        "name": "one replica",
        "accelerators": [{"name": "accelerator", "cost_per_hour": 0.0}],
        "models": [{"name": "model"}],
        "performance": [{"model": "model", "accelerator": "accelerator"}],
        "classes": [{"name": "class", "priority": 1, "slos": [{"targets": []}]}],
        "services": [_bare_service("model")],
        "optimizer": {},
    }


def pair_data(
    fleet: FleetSpec,
    *,
    service: str | None = None,
    model: str | None = None,
    accelerator: str | None = None,
    own_load: bool = False,
) -> dict[str, Any]:
    """Return one service of a fleet on one accelerator as the document of a fleet of its own.

    Parameters
    ----------
    fleet
        A fleet.
    service
        Whose load and objectives; by default the only one (of the model).
    model, accelerator
        Which performance entry; by default the service's model, and the accelerator that it is
        pinned to or the only one with data for the model. Of several configurations on one
        accelerator, such as `H100 x4 TP4 fp8`, in full.
    own_load
        Without a service, take none: load and objectives are filled in afterwards.

    Returns
    -------
    dict
        As `bare_pair` has it. Replicas, pins, stores, pools and what runs today are left out.

    Raises
    ------
    SpecError
        If a name is unknown, or none is given where there are several; its path is the argument.
    """
    chosen = None if own_load and service is None else _service(fleet, service, model)
    of_model = model or (chosen.model if chosen is not None else None)
    if of_model is None:
        _refuse(fleet, "model", "is missing", f"models: {listed(m.name for m in fleet.models)}")
    _named(fleet, fleet.models, of_model, "model")
    wanted = accelerator or (chosen.accelerator if chosen is not None else None)
    if not any(e.model == of_model and wanted in (None, e.accelerator) for e in fleet.performance):
        fleet = with_estimates(fleet)
    entry = _entry(fleet, of_model, wanted)
    machine = _named(fleet, fleet.accelerators, entry.accelerator, "accelerator")
    data: dict[str, Any] = {
        "name": fleet.name,
        "currency": fleet.currency,
        "accelerators": [_plain(machine)],
        "models": [_plain(_named(fleet, fleet.models, of_model, "model"))],
        "performance": [_plain(entry)],
        "classes": [{"name": "class", "priority": 1, "slos": [{"targets": []}]}],
        "services": [_bare_service(of_model)],
        "optimizer": {"queue_model": fleet.optimizer.queue_model},
    }
    if chosen is not None:
        _fill_in(data, fleet, chosen, of_model)
    return data


def _bare_service(model: str) -> dict[str, Any]:
    load = {"arrival_rate_rps": 1.0}
    return {"name": "service", "model": model, "class": "class", "load": load}


def _fill_in(data: dict[str, Any], fleet: FleetSpec, service: ServiceSpec, model: str) -> None:
    """Put a service with its class and objectives into the document."""
    group = next(entry for entry in fleet.classes if entry.name == service.service_class)
    targets = [_plain(target) for target in targets_of(group, model)]
    data["classes"] = [{"name": group.name, "priority": 1, "slos": [{"targets": targets}]}]
    kept = _plain(service)
    for key in ("replicas", "accelerator", "current", "kv_reuse", "serving"):
        kept.pop(key, None)
    data["services"] = [{**kept, "model": model}]


def _entry(fleet: FleetSpec, model: str, accelerator: str | None) -> PerformanceSpec:
    of_model = {
        f"{entry.accelerator} {entry.configuration}".rstrip(): entry
        for entry in fleet.performance
        if entry.model == model
    }
    if accelerator in of_model and accelerator not in {a.name for a in fleet.accelerators}:
        return of_model[accelerator]
    if accelerator is not None:
        _named(fleet, fleet.accelerators, accelerator, "accelerator")
    entries = {
        name: entry for name, entry in of_model.items() if accelerator in (None, entry.accelerator)
    }
    if not entries:
        where = "" if accelerator is None else f" on {accelerator!r}"
        message = f"there is no performance entry for model {model!r}{where}"
        _refuse(fleet, "accelerator", message, f"it has: {listed(of_model) or 'none'}")
    if len(entries) > 1:
        places = {entry.accelerator for entry in entries.values()}
        where = "on several accelerators" if len(places) > 1 else "in several configurations"
        message = f"model {model!r} runs {where}"
        _refuse(fleet, "accelerator", message, f"say which: {listed(entries)}")
    return next(iter(entries.values()))


def _service(fleet: FleetSpec, name: str | None, model: str | None) -> ServiceSpec:
    if name is not None:
        return _named(fleet, fleet.services, name, "service")
    services = [s for s in fleet.services if model in (None, s.model)]
    of_model = "" if model is None else f" of model {model!r}"
    if not services:
        known = listed(dict.fromkeys(service.model for service in fleet.services))
        _refuse(fleet, "model", f"no service is{of_model}", f"services are of: {known}")
    if len(services) > 1:
        known = listed(service.name for service in services)
        _refuse(fleet, "service", f"there are several services{of_model}", f"say which: {known}")
    return services[0]


def _named(fleet: FleetSpec, entries: Sequence[_Named], name: str, what: str) -> _Named:
    known = {str(entry.name): entry for entry in entries}  # type: ignore[attr-defined]
    if name not in known:
        _refuse(fleet, what, f"there is no {what} {name!r}", suggestion(name, known, f"{what}s"))
    return known[name]


def _plain(part: BaseModel) -> dict[str, Any]:
    return part.model_dump(by_alias=True, exclude_defaults=True)


def _refuse(fleet: FleetSpec, argument: str, message: str, hint: str) -> NoReturn:
    fault = Fault(message, path=argument, hint=hint, source=f"fleet '{fleet.name}'")
    raise SpecError([fault])
