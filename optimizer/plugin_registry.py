"""Plug-ins of the product by name: found through entry points, loaded when asked for."""

from __future__ import annotations

import difflib
import inspect
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Generic, Literal, TypeVar

from optimizer.errors import FleetError

__all__ = ["PluginInfo", "PluginRegistry"]


K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """What is known of a registered plug-in.

    Parameters
    ----------
    name
        Its name.
    distribution, version
        The installed package that registers it; several, separated by commas, where they clash.
    summary
        The plug-in's own line; empty where it is broken.
    status
        "ok"; "unavailable" when what it needs is not installed; "broken" when it cannot be loaded.
    reason
        Why it is not ok; empty where it is.
    """

    name: str
    distribution: str
    version: str
    summary: str
    status: Literal["ok", "unavailable", "broken"]
    reason: str = ""


@dataclass(frozen=True)
class PluginRegistry(Generic[K]):
    """The classes that distributions register in one entry-point group.

    Parameters
    ----------
    group
        The entry-point group.
    kind
        What a plug-in is called in messages, as in `forecaster`.
    base
        Class that plug-ins derive from.
    unknown, broken, missing
        Errors raised where no plug-in has the name, where it cannot be loaded, and where a module
        that it needs is not installed.
    needs
        What one of ours needs beside the core: name -> (module, extra).
    """

    group: str
    kind: str
    base: type[K]
    unknown: type[FleetError]
    broken: type[FleetError]
    missing: type[Exception]
    needs: dict[str, tuple[str, str]] = field(default_factory=dict, hash=False)

    def names(self) -> tuple[str, ...]:
        """Return the registered names, sorted; none is imported."""
        return tuple(sorted({point.name for point in self._points()}))

    def get(self, name: str) -> type[K]:
        """Return the class of this name.

        Raises
        ------
        FleetError
            `unknown`, with the nearest name, if none is registered by it; `broken`, with its
            distribution and the reason, if it cannot be loaded.
        Exception
            `missing`, with the extra that adds it, if what it needs is not installed.
        """
        points = [point for point in self._points() if point.name == name]
        if not points:
            installed = self.names()
            near = difflib.get_close_matches(name, installed, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ";"
            raise self.unknown(
                f"unknown {self.kind} '{name}'{hint} installed: {', '.join(installed) or 'none'}"
            )
        if len(points) > 1:
            claimants = " and ".join(sorted(_distribution(point) for point in points))
            raise self.broken(
                f"{self.kind} '{name}' is registered by {claimants}: uninstall all but one"
            )
        absent = self._absent(name)
        if absent:
            raise self.missing(absent)
        return self._load(points[0])

    def describe(self) -> tuple[PluginInfo, ...]:
        """Return every registered plug-in, sorted by name; each is loaded, and may be broken."""
        return tuple(self._describe(name) for name in self.names())

    def _describe(self, name: str) -> PluginInfo:
        points = [point for point in self._points() if point.name == name]
        known = [point.dist for point in points if point.dist is not None]
        summary, reason = "", self._absent(name)
        status: Literal["ok", "unavailable", "broken"] = "unavailable" if reason else "ok"
        if not reason:
            try:
                summary = str(getattr(self.get(name), "summary", ""))
            except self.broken as error:
                status, reason = "broken", str(error)
        return PluginInfo(
            name=name,
            distribution=", ".join(dist.name for dist in known),
            version=", ".join(dist.version for dist in known),
            summary=summary,
            status=status,
            reason=reason,
        )

    def _absent(self, name: str) -> str:
        """Say what one of ours lacks; empty where it lacks nothing."""
        module, extra = self.needs.get(name, ("", ""))
        if not module or find_spec(module) is not None:
            return ""
        return (
            f"{self.kind} '{name}' needs {module}, which is not installed; "
            f"try: pip install 'fleetopt[{extra}]'"
        )

    def _points(self) -> tuple[EntryPoint, ...]:
        return _points_on(self.group, tuple(sys.path))

    def _load(self, point: EntryPoint) -> type[K]:
        where = f"{self.kind} '{point.name}' of {_distribution(point)} ({point.value})"
        try:
            loaded = point.load()
        except Exception as error:  # a plug-in's import may raise anything
            raise self.broken(f"{where}: {type(error).__name__}: {error}") from error
        if not (inspect.isclass(loaded) and issubclass(loaded, self.base)):
            raise self.broken(f"{where}: it is not a subclass of {self.base.__name__}")
        if inspect.isabstract(loaded):
            lacking = ", ".join(sorted(getattr(loaded, "__abstractmethods__", ())))
            raise self.broken(f"{where}: it is abstract: {lacking} is not implemented")
        return loaded


@lru_cache(maxsize=64)
def _points_on(group: str, _path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return a group's distinct entry points on a module path: reading them takes 10 ms."""
    found = {
        (point.name, _distribution(point), point.value): point
        for point in entry_points(group=group)
    }
    return tuple(found[key] for key in sorted(found))


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
