"""Queue models by name: found through entry points, loaded when asked for."""

from __future__ import annotations

import difflib
import inspect
import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from queue_models.base import QueueModel
from queue_models.errors import BrokenPluginError, UnknownQueueModelError

__all__ = ["PluginInfo", "describe", "get", "names"]

_GROUP = "fleetopt.queue_models"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """What is known of a registered queue model.

    Parameters
    ----------
    name
        Its name.
    distribution, version
        The installed package that registers it; several, separated by commas, where they clash.
    summary
        The model's own line; empty where it is broken.
    status
        Whether it can be used.
    reason
        Why not; empty where it can.
    """

    name: str
    distribution: str
    version: str
    summary: str
    status: Literal["ok", "broken"]
    reason: str = ""


def names() -> tuple[str, ...]:
    """Return the names of the registered models, sorted; none is imported."""
    return tuple(sorted({entry.name for entry in _all_entries(tuple(sys.path))}))


def get(name: str) -> QueueModel:
    """Return the model of this name; it is loaded once.

    Raises
    ------
    UnknownQueueModelError
        If none is registered by this name; the message offers the nearest and lists all.
    BrokenPluginError
        If it cannot be loaded; the message names its distribution and the reason.
    """
    entries = _entries(name)
    if not entries:
        installed = names()
        near = difflib.get_close_matches(name, installed, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ";"
        raise UnknownQueueModelError(
            f"unknown queue model '{name}'{hint} installed: {', '.join(installed) or 'none'}"
        )
    if len(entries) > 1:
        claimants = " and ".join(_distribution(entry) for entry in entries)
        raise BrokenPluginError(
            f"queue model '{name}' is registered by {claimants}: uninstall all but one"
        )
    return _load(entries[0])


def describe() -> tuple[PluginInfo, ...]:
    """Return every registered model, sorted by name; each is loaded, and may be broken."""
    return tuple(_describe(name) for name in names())


def _describe(name: str) -> PluginInfo:
    entries = _entries(name)
    distribution = ", ".join(entry.dist.name if entry.dist else "unknown" for entry in entries)
    version = ", ".join(entry.dist.version if entry.dist else "unknown" for entry in entries)
    try:
        summary = get(name).summary
    except BrokenPluginError as error:
        return PluginInfo(
            name=name,
            distribution=distribution,
            version=version,
            summary="",
            status="broken",
            reason=str(error),
        )
    return PluginInfo(
        name=name, distribution=distribution, version=version, summary=summary, status="ok"
    )


def _entries(name: str) -> list[EntryPoint]:
    """Return the distinct registrations of a name, one per distribution and object."""
    return [entry for entry in _all_entries(tuple(sys.path)) if entry.name == name]


@lru_cache(maxsize=16)
def _all_entries(_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the group's distinct entry points on a module path.

    Reading them takes 10 ms, and asking one for its distribution's name 2 ms.
    """
    found = {
        (entry.name, entry.dist.name if entry.dist else "", entry.value): entry
        for entry in entry_points(group=_GROUP)
    }
    return tuple(found[key] for key in sorted(found))


def _distribution(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"


@cache
def _load(entry: EntryPoint) -> QueueModel:
    """Import and make a model; whatever the plug-in raises becomes its reason."""
    where = f"queue model '{entry.name}' of {_distribution(entry)} ({entry.value})"
    try:
        loaded = entry.load()
    except Exception as error:  # a plug-in's import may raise anything
        raise BrokenPluginError(f"{where}: {type(error).__name__}: {error}") from error
    if not (inspect.isclass(loaded) and issubclass(loaded, QueueModel)):
        raise BrokenPluginError(f"{where}: it is not a subclass of QueueModel")
    if inspect.isabstract(loaded):
        missing = ", ".join(sorted(loaded.__abstractmethods__))
        raise BrokenPluginError(f"{where}: it is abstract: {missing} is not implemented")
    try:
        model: QueueModel = loaded()
    except Exception as error:  # so may its constructor
        raise BrokenPluginError(f"{where}: {type(error).__name__}: {error}") from error
    return model
