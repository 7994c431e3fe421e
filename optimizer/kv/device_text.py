"""Reading storage devices as people write them: by name, by figures on a line, in files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import IO, TypeVar

from optimizer.catalog import storage_device, storage_device_names
from optimizer.catalog.lookup import UnknownEntryError
from optimizer.errors import Fault, SpecError
from optimizer.kv.devices import DeviceScope, StorageDevice
from optimizer.kv.profiles.records import DeviceProfile
from optimizer.kv.topology import StorageTopology
from optimizer.spec.document import parse
from optimizer.spec.source_text import read_text
from optimizer.spec.wording import kind_of, show_value, suggestion

__all__ = [
    "DeviceFile",
    "catalogue_devices",
    "device_named",
    "device_profiled",
    "read_device_file",
]

Made = TypeVar("Made")

_DEVICE_KEYS = tuple(entry.name for entry in fields(StorageDevice))
_REQUIRED = tuple(e.name for e in fields(StorageDevice) if e.default is MISSING)
_LINK_KEYS = ("from", "to", "bandwidth_gb_s", "latency_ms")
_FILE_KEYS = ("devices", "links", "compute")
# Accelerators' memory, one's own or a peer's, has no price of its own in the catalogue.
_NO_STORAGE = ("hbm", "gpu_peer")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFile:
    """Candidates, and how the compute node reaches them; no topology: all directly."""

    devices: tuple[StorageDevice, ...]
    topology: StorageTopology | None
    compute: str


def catalogue_devices() -> tuple[StorageDevice, ...]:
    """Every storage device of the catalogue but accelerators' memory."""
    facts = map(storage_device, storage_device_names())
    return tuple(StorageDevice.of_catalog(f) for f in facts if f.kind not in _NO_STORAGE)


def device_named(text: str) -> StorageDevice:
    """Read a device from one line.

    Parameters
    ----------
    text
        A name of the catalogue, or fields of `StorageDevice` as `name=nvme,bandwidth_gb_s=4.8`;
        with `like=NAME` the others are the catalogue's.

    Raises
    ------
    SpecError
        If there is no such device or field, or a figure is wrong.
    """
    if "=" not in text:
        return _of_catalogue(text.strip(), "device")
    try:
        return _of_figures(text)
    except SpecError as error:
        raise SpecError([replace(fault, source=text) for fault in error.faults]) from error


def _of_figures(text: str) -> StorageDevice:
    given: dict[str, object] = {}
    for part in text.split(","):
        key, _, value = (piece.strip() for piece in part.partition("="))
        given[key] = value if key in ("name", "scope", "like") else _number(key, value)
    like = given.pop("like", None)
    base = None if like is None else _of_catalogue(str(like), "like")
    return _device(given, "", base)


def device_profiled(profile: DeviceProfile) -> StorageDevice:
    """Return a measured device; prices and all else are those of the catalogue, if it is there."""
    if profile.device in storage_device_names():
        return _of_catalogue(profile.device, "device").as_measured(profile)
    return StorageDevice(
        name=profile.device,
        bandwidth_gb_s=profile.bandwidth_gb_s,
        latency_ms=profile.latency_ms,
    )


def read_device_file(source: str | os.PathLike[str] | IO[str]) -> DeviceFile:
    """Read devices and links from a YAML or JSON file.

    Parameters
    ----------
    source
        A path, `-` for the standard input, or an open file: a mapping with `devices` (fields of
        `StorageDevice`), and optionally `links` (`from`, `to`, `bandwidth_gb_s`, `latency_ms`)
        with `compute`, the node that loads.

    Raises
    ------
    SpecError
        With every fault found.
    """
    text = read_text(source)
    document = parse(text)
    if document.findings:
        raise SpecError(document.faults(document.findings))
    try:
        return _device_file(document.data)
    except SpecError as error:
        raise SpecError([replace(fault, source=text.name) for fault in error.faults]) from error


def _device_file(data: object) -> DeviceFile:
    content = _mapping(data, "", _FILE_KEYS)
    devices = tuple(
        _collected(
            lambda entry, path: _device(entry, path, None), content.get("devices"), "devices"
        )
    )
    links = content.get("links")
    if links is None:
        return DeviceFile(devices=devices, topology=None, compute="")
    compute = content.get("compute")
    if not isinstance(compute, str):
        hint = "name the node of the links that loads"
        raise SpecError([Fault("is missing or no text", "compute", hint=hint)])
    topology = StorageTopology()
    _collected(lambda entry, path: _link(topology, entry, path), links, "links")
    if compute not in topology:
        raise SpecError([Fault("is on no link", "compute", repr(compute))])
    return DeviceFile(devices=devices, topology=topology, compute=compute)


def _collected(read: Callable[[object, str], Made], entries: object, path: str) -> list[Made]:
    """Read every entry of a list, and collect the faults of all."""
    if not isinstance(entries, list) or not entries:
        message = f"must be a list of one or more, not {kind_of(entries)}"
        raise SpecError([Fault(message, path)])
    found: list[Made] = []
    faults: list[Fault] = []
    for k, entry in enumerate(entries):
        try:
            found.append(read(entry, f"{path}[{k}]"))
        except SpecError as error:
            faults += error.faults
    if faults:
        raise SpecError(faults)
    return found


def _device(data: object, path: str, base: StorageDevice | None) -> StorageDevice:
    content = _mapping(data, path, _DEVICE_KEYS)
    prefix = f"{path}." if path else ""
    faults = list(_faults_of_kinds(content, prefix))
    if base is None:
        faults += [Fault("is missing", prefix + key) for key in _REQUIRED if key not in content]
    if faults:
        raise SpecError(faults)
    figures = {k: DeviceScope(str(v)) if k == "scope" else v for k, v in content.items()}
    try:
        if base is not None:
            return replace(base, **figures)  # type: ignore[arg-type]
        return StorageDevice(**figures)  # type: ignore[arg-type]
    except SpecError as error:
        raise SpecError([replace(f, path=prefix + f.path) for f in error.faults]) from error


def _link(topology: StorageTopology, data: object, path: str) -> None:
    content = _mapping(data, path, _LINK_KEYS)
    given = {"latency_ms": 0.0, **content}
    faults = []
    for key in _LINK_KEYS:
        kind = "a text" if key in ("from", "to") else "a number"
        if key not in given:
            faults.append(Fault("is missing", f"{path}.{key}"))
        elif kind_of(given[key]) != kind:
            shown = show_value(given[key])
            faults.append(Fault(f"must be {kind}", f"{path}.{key}", shown))
    if faults:
        raise SpecError(faults)
    try:
        topology.connect(
            str(given["from"]),
            str(given["to"]),
            bandwidth_gb_s=given["bandwidth_gb_s"],  # type: ignore[arg-type]
            latency_ms=given["latency_ms"],  # type: ignore[arg-type]
        )
    except SpecError as error:
        raise SpecError([replace(f, path=f"{path}.{f.path}") for f in error.faults]) from error


def _faults_of_kinds(content: Mapping[str, object], prefix: str) -> Iterator[Fault]:
    """Yield what is no number where one is wanted, and unknown scopes."""
    for key, value in content.items():
        if key == "name":
            if not isinstance(value, str) or not value:
                yield Fault("must be a text", prefix + key, show_value(value))
        elif key == "scope":
            if value not in list(DeviceScope):
                wanted = ", ".join(DeviceScope)
                yield Fault(f"must be one of {wanted}", prefix + key, show_value(value))
        elif isinstance(value, bool) or not isinstance(value, int | float):
            yield Fault(f"must be a number, not {kind_of(value)}", prefix + key, show_value(value))


def _mapping(data: object, path: str, known: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(data, Mapping):
        message = f"must be a mapping with the keys {', '.join(known)}, not {kind_of(data)}"
        raise SpecError([Fault(message, path)])
    prefix = f"{path}." if path else ""
    unknown = [key for key in data if key not in known]
    if unknown:
        raise SpecError(
            [
                Fault("unknown key", f"{prefix}{key}", hint=suggestion(str(key), known))
                for key in unknown
            ]
        )
    return data


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SpecError([Fault("must be a number", key, repr(text))]) from error


def _of_catalogue(name: str, path: str) -> StorageDevice:
    try:
        return StorageDevice.of_catalog(storage_device(name))
    except UnknownEntryError as error:
        hint = "or give its figures as name=...,bandwidth_gb_s=...,latency_ms=..."
        raise SpecError([Fault(str(error), path, repr(name), hint)]) from error
