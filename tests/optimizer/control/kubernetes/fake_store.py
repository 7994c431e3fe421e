"""What the fake API server keeps: objects with versions, generations, subresources and schemas."""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jsonschema

Json = dict[str, Any]
_WITH_STATUS = {"deployments", "horizontalpodautoscalers", "pods"}


class RefusedError(Exception):
    """An answer of the API server that is not a success."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


@dataclass(frozen=True)
class Place:
    """Where a request goes: a collection, and maybe an object and a subresource of it."""

    group: str
    version: str
    namespace: str
    resource: str
    name: str = ""
    subresource: str = ""

    @property
    def collection(self) -> tuple[str, str, str]:
        return self.group, self.namespace, self.resource


def place_of(path: str) -> Place:
    parts = [p for p in path.split("/") if p]
    group, version, rest = (
        ("", parts[1], parts[2:]) if parts[0] == "api" else (parts[1], parts[2], parts[3:])
    )
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    rest += [""] * (3 - len(rest))
    return Place(group, version, namespace, rest[0], rest[1], rest[2])


def merged(old: Any, new: Any, strategic: bool = False) -> Any:
    """JSON merge patch; with `strategic`, lists of named things are merged by name."""
    if isinstance(new, list) and strategic and new and all("name" in _dict(e) for e in new):
        by_name = {e["name"]: e for e in old or ()}
        for entry in new:
            by_name[entry["name"]] = merged(by_name.get(entry["name"]), entry, True)
        return list(by_name.values())
    if not isinstance(new, dict):
        return new
    found = dict(old) if isinstance(old, dict) else {}
    for key, value in new.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value, strategic)
    return found


class Store:
    """Objects, and what happened to them."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.version = 100
        self.objects: dict[tuple[str, str, str], dict[str, Json]] = {}
        self.events: list[tuple[int, tuple[str, str, str], str, Json]] = []
        self.kinds: dict[tuple[str, str], Json] = {}  # custom resource definitions

    def all(self, place: Place) -> list[Json]:
        with self.lock:
            found = [
                (key[1], name, value)
                for key, objects in self.objects.items()
                if key[0] == place.group and key[2] == place.resource
                if place.namespace in ("", key[1])
                for name, value in objects.items()
            ]
        return [copy.deepcopy(value) for _, _, value in sorted(found, key=lambda f: f[:2])]

    def get(self, place: Place) -> Json:
        with self.lock:
            found = self.objects.get(place.collection, {}).get(place.name)
            if found is None:
                raise RefusedError(404, "NotFound", f'{place.resource} "{place.name}" not found')
            value = copy.deepcopy(found)
        if place.subresource == "scale":
            metadata = {
                k: value["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")
            }
            return {
                "kind": "Scale",
                "apiVersion": "autoscaling/v1",
                "metadata": metadata,
                "spec": {"replicas": value["spec"].get("replicas", 1)},
            }
        return value

    def create(self, place: Place, body: Json, dry_run: bool) -> Json:
        name = body["metadata"].get("name")
        if not name:
            name = body["metadata"]["generateName"] + uuid.uuid4().hex[:5]
        with self.lock:
            objects = self.objects.setdefault(place.collection, {})
            if name in objects:
                raise RefusedError(
                    409, "AlreadyExists", f'{place.resource} "{name}" already exists'
                )
            value = copy.deepcopy(body)
            value["metadata"] |= {
                "name": name,
                "uid": str(uuid.uuid4()),
                "generation": 1,
                "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            if place.namespace:
                value["metadata"]["namespace"] = place.namespace
            if self._has_status(place):
                value.pop("status", None)
            self._validate(place, value)
            if not dry_run:
                self._put(place, name, value, "ADDED")
            if place.resource == "customresourcedefinitions":
                self.kinds[value["spec"]["group"], value["spec"]["names"]["plural"]] = value
            return copy.deepcopy(value)

    def change(
        self, place: Place, body: Json, *, patch: bool, strategic: bool, dry_run: bool
    ) -> Json:
        with self.lock:
            old = self.get(
                Place(*place.collection[:1], place.version, *place.collection[1:], name=place.name)
            )
            asked = (body.get("metadata") or {}).get("resourceVersion")
            if asked is not None and asked != old["metadata"]["resourceVersion"]:
                raise RefusedError(
                    409,
                    "Conflict",
                    f'Operation cannot be fulfilled on {place.resource} "{place.name}": the object '
                    "has been modified",
                )
            new = merged(old, body, strategic) if patch else copy.deepcopy(body)
            value = self._changed(place, old, new)
            self._validate(place, value)
            if not dry_run and value != old:
                self._put(place, place.name, value, "MODIFIED")
            if place.subresource == "scale":
                return {
                    "kind": "Scale",
                    "metadata": value["metadata"],
                    "spec": {"replicas": value["spec"]["replicas"]},
                }
            return copy.deepcopy(value)

    def _changed(self, place: Place, old: Json, new: Json) -> Json:
        """What a write changes: a subresource alone, or all but the status."""
        value = copy.deepcopy(old)
        if place.subresource == "status":
            value["status"] = new.get("status", {})
            return value
        if place.subresource == "scale":
            value["spec"]["replicas"] = new["spec"]["replicas"]
        else:
            kept = (
                "uid",
                "creationTimestamp",
                "generation",
                "resourceVersion",
                "name",
                "namespace",
            )
            value = copy.deepcopy(new)
            value["metadata"] = {
                **new["metadata"],
                **{k: old["metadata"][k] for k in kept if k in old["metadata"]},
            }
            if self._has_status(place):
                value.pop("status", None)
                if "status" in old:
                    value["status"] = old["status"]
        if value.get("spec") != old.get("spec"):
            value["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        return value

    def delete(self, place: Place) -> Json:
        with self.lock:
            value = self.get(place)
            del self.objects[place.collection][place.name]
            self.version += 1
            value["metadata"]["resourceVersion"] = str(self.version)
            self.events.append((self.version, place.collection, "DELETED", value))
            self.lock.notify_all()
            return value

    def watch(self, place: Place, since: int, until: float, clock: Any) -> Iterator[Json]:
        """Events of a collection after a version, as they happen."""
        seen = since
        while clock() < until:
            with self.lock:
                fresh = [e for e in self.events if e[0] > seen]
                if not fresh:
                    self.lock.wait(0.2)
                    fresh = [e for e in self.events if e[0] > seen]
            for version, collection, kind, value in fresh:
                seen = version
                group, namespace, resource = collection
                if (group, resource) == (place.group, place.resource) and place.namespace in (
                    "",
                    namespace,
                ):
                    yield {"type": kind, "object": value}
            if not fresh:
                yield {}

    def _put(self, place: Place, name: str, value: Json, kind: str) -> None:
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)
        self.objects.setdefault(place.collection, {})[name] = copy.deepcopy(value)
        self.events.append((self.version, place.collection, kind, copy.deepcopy(value)))
        self.lock.notify_all()

    def _has_status(self, place: Place) -> bool:
        return place.resource in _WITH_STATUS or (place.group, place.resource) in self.kinds

    def _validate(self, place: Place, value: Json) -> None:
        if place.resource == "deployments" and value["spec"].get("replicas", 1) < 0:
            raise RefusedError(422, "Invalid", "spec.replicas: must be greater than or equal to 0")
        definition = self.kinds.get((place.group, place.resource))
        if definition is None:
            return
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        pruned(value, schema)
        checker = jsonschema.Draft4Validator(nullable(schema))
        errors = sorted(checker.iter_errors(value), key=lambda e: list(e.path))
        if errors:
            words = [f"{'.'.join(map(str, e.path))}: {e.message}" for e in errors[:5]]
            raise RefusedError(422, "Invalid", json.dumps(words))


def pruned(value: Any, schema: Json) -> None:
    """Drop what the schema does not know, as the API server does."""
    if isinstance(value, dict) and "properties" in schema:
        top = "metadata" in value and "kind" in value
        for key in list(value):
            if key in schema["properties"]:
                pruned(value[key], schema["properties"][key])
            elif not (
                (top and key in ("apiVersion", "kind", "metadata"))
                or schema.get("x-kubernetes-preserve-unknown-fields")
            ):
                del value[key]
    elif isinstance(value, list) and "items" in schema:
        for entry in value:
            pruned(entry, schema["items"])


def nullable(schema: Any) -> Any:
    """The same schema for a validator that does not know `nullable`."""
    if isinstance(schema, list):
        return [nullable(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: nullable(value) for key, value in schema.items()}
    if found.pop("nullable", False) is True and "type" in found:
        found["type"] = [found["type"], "null"]
    return found


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
