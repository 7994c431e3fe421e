"""From custom resources to one fleet: every fault of every object, together.

An object that is not valid stops nobody else: what it said when it was last valid is gone on with,
or, if it never was, it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from pydantic import ValidationError

from optimizer.control.collectors.prometheus import PrometheusOptions
from optimizer.control.operator.resources import FLEET_KEYS, Actuation, DeploymentEntrySpec
from optimizer.control.spec import ControlSpec
from optimizer.errors import Fault, SpecError
from optimizer.spec.base import SpecModel
from optimizer.spec.document import Document
from optimizer.spec.explanation import explain
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.loading import from_data

__all__ = ["Assembled", "Key", "assemble", "key_of"]

Json: TypeAlias = Mapping[str, Any]
Key: TypeAlias = tuple[str, str]
"""Kind and name of an object."""

S = TypeVar("S", bound=SpecModel)

# Where the entries of a fleet's lists come from.
_LISTS = {
    "Accelerator": "accelerators",
    "Model": "models",
    "ServiceClass": "classes",
    "Server": "services",
}
_PLACE = re.compile(r"(\w+)\[(\d+)\]\.?(.*)", re.DOTALL)
_URL = "http://prometheus.invalid"  # stands in for the operator's own while options are checked


@dataclass(frozen=True, slots=True)
class Assembled:
    """A fleet and how to control it, or why there is none.

    Parameters
    ----------
    fleet, control
        None where there is no valid fleet even without the objects at fault.
    deployments
        Entries for the actuator, by Server.
    metrics
        Options of the collector.
    actuation
        What may be changed.
    faults
        By object, every one found.
    good
        What each valid object says.
    """

    fleet: FleetSpec | None
    control: ControlSpec | None
    deployments: Mapping[str, tuple[DeploymentEntrySpec, ...]]
    metrics: Json
    actuation: Actuation
    faults: Mapping[Key, tuple[str, ...]]
    good: Mapping[Key, Json] = field(repr=False)


def key_of(document: Json) -> Key:
    """Return kind and name of an object."""
    return str(document["kind"]), str(document["metadata"]["name"])


def assemble(objects: Iterable[Json], good: Mapping[Key, Json]) -> Assembled:
    """Make a fleet of objects, exactly one of which is an Optimizer.

    Parameters
    ----------
    objects
        Custom resources, each with `kind`, `metadata.name` and `spec`.
    good
        What objects said when they were last valid.
    """
    specs: dict[Key, Json] = {key_of(one): one.get("spec") or {} for one in objects}
    told: dict[Key, tuple[str, ...]] = {}
    used = dict(specs)
    for _ in range(len(specs) + 1):
        attempt = _Attempt(used)
        if attempt.fleet is not None or not attempt.faults:
            break
        faulty = {key for key in attempt.faults if key in used}
        for key in faulty:
            told.setdefault(key, tuple(attempt.faults[key]))
            before = good.get(key)
            if before is not None and used[key] != before:
                used[key] = before
            elif key[0] != "Optimizer":
                del used[key]
            else:
                faulty = faulty - {key}
        if not faulty:
            break
    return Assembled(
        fleet=attempt.fleet,
        control=attempt.control,
        deployments=attempt.deployments,
        metrics=attempt.metrics,
        actuation=attempt.actuation,
        faults=told,
        good={} if attempt.fleet is None else {k: v for k, v in used.items() if k not in told},
    )


class _Attempt:
    """One try to make a fleet of what objects say."""

    def __init__(self, specs: Mapping[Key, Json]) -> None:
        self.faults: dict[Key, list[str]] = {}
        self.fleet: FleetSpec | None = None
        self._origins: dict[str, list[tuple[Key, str]]] = {}
        ((self._optimizer, said),) = [(k, v) for k, v in specs.items() if k[0] == "Optimizer"]
        document: dict[str, Any] = {"schema_version": 1, "name": self._optimizer[1]}
        document |= {key: said[key] for key in FLEET_KEYS if said.get(key) is not None}
        document |= {name: [] for name in (*_LISTS.values(), "performance")}
        self.deployments: dict[str, tuple[DeploymentEntrySpec, ...]] = {}
        self.actuation = Actuation(said.get("actuation") or Actuation.SCALE)
        for key, spec in specs.items():
            if key[0] in _LISTS:
                self._add(document, key, dict(spec))
        self.control = self._checked(
            ControlSpec, {"fleet": "-", **_given(said, "control")}, "control"
        )
        metrics = _given(said, "metrics")
        self._checked(PrometheusOptions, {"url": _URL, **metrics}, "metrics")
        self.metrics: Json = metrics
        try:
            fleet = from_data(document)
        except SpecError as error:
            for fault in error.faults:
                self._blame(fault)
        else:
            self.fleet = None if self.faults else fleet

    def _add(self, document: dict[str, Any], key: Key, spec: dict[str, Any]) -> None:
        """Add what one object says to the fleet's lists."""
        kind, name = key
        entry = {"name": name, **{k: v for k, v in spec.items() if k != "name" or v is not None}}
        if kind == "Model":
            for place, performance in enumerate(entry.pop("performance", None) or ()):
                self._append(
                    document,
                    "performance",
                    {"model": entry["name"], **performance},
                    (key, f"spec.performance[{place}]."),
                )
        if kind == "Server":
            listed = entry.pop("deployments", None) or ()
            found = [
                self._checked(DeploymentEntrySpec, given, f"deployments[{place}]", key)
                for place, given in enumerate(listed)
            ]
            valid = tuple(one for one in found if one is not None)
            self.deployments[str(entry["name"])] = valid
            batches = {one.max_batch for one in valid} - {None}
            if self.actuation is not Actuation.TEMPLATE and len(batches) == 1:
                # Pinned: engines go on with the batch that they were started with.
                entry["max_batch"] = entry.get("max_batch") or batches.pop()
        self._append(document, _LISTS[kind], entry, (key, "spec."))

    def _append(
        self, document: dict[str, Any], name: str, entry: Json, origin: tuple[Key, str]
    ) -> None:
        document[name].append(entry)
        self._origins.setdefault(name, []).append(origin)

    def _checked(
        self, model: type[S], given: object, path: str, key: Key | None = None
    ) -> S | None:
        """Check a part that is none of the fleet's; note every fault of it."""
        try:
            return model.model_validate(given, by_alias=True, by_name=False)
        except ValidationError as error:
            document = Document(given, "")
            for fault in document.faults(explain(error, root=model)):
                place = f"spec.{path}.{fault.path}".rstrip(".")
                self._note(key or self._optimizer, place, fault)
            return None

    def _blame(self, fault: Fault) -> None:
        """Note a fault of the fleet against the object that it stands in."""
        place = _PLACE.fullmatch(fault.path)
        origins = self._origins.get(place[1], []) if place is not None else []
        if place is None or int(place[2]) >= len(origins):
            path = f"spec.{fault.path}" if fault.path else ""
            self._note(self._optimizer, path, fault)
            return
        key, prefix = origins[int(place[2])]
        self._note(key, f"{prefix}{place[3]}".rstrip("."), fault)

    def _note(self, key: Key, path: str, fault: Fault) -> None:
        words = str(Fault(fault.message, path, fault.value, fault.hint))
        self.faults.setdefault(key, []).append(words)


def _given(spec: Json, key: str) -> dict[str, Any]:
    found = spec.get(key)
    return dict(found) if isinstance(found, Mapping) else {}
