"""Solvers by name: entry points of the group `fleetopt.solvers`, ours and guests alike."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Literal

from solvers.base import Feature, Solver
from solvers.errors import BrokenPluginError, MissingExtraError, UnknownSolverError

__all__ = ["GROUP", "PluginInfo", "describe", "get", "names"]

GROUP = "fleetopt.solvers"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One registered solver.

    Parameters
    ----------
    name
        Name in the registry.
    distribution
        The distribution that registers it, and its version; "" when unknown.
    summary, features
        The solver's own; empty when broken.
    status
        "ok"; "unavailable" when its back end is not installed; "broken" when it cannot be loaded.
    reason
        Why it is not ok, else "".
    """

    name: str
    distribution: str
    version: str
    summary: str = ""
    features: frozenset[Feature] = frozenset()
    status: Literal["ok", "broken", "unavailable"] = "ok"
    reason: str = ""


def names() -> tuple[str, ...]:
    """Return the registered names in alphabetical order; imports none of them."""
    return tuple(sorted({point.name for point in _points()}))


def get(name: str) -> Solver:
    """Return the solver of that name, loaded when first asked for.

    Raises
    ------
    UnknownSolverError
        If no solver of that name is registered.
    BrokenPluginError
        If it cannot be loaded, is no solver, or two distributions register the name.
    MissingExtraError
        If its back end is not installed.
    """
    points = [point for point in _points() if point.name == name]
    if not points:
        close = difflib.get_close_matches(name, names(), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ";"
        raise UnknownSolverError(
            f"unknown solver '{name}'{hint} installed: {', '.join(names()) or 'none'}"
        )
    if len(points) > 1:
        both = " and ".join(sorted(_distribution(point) or point.value for point in points))
        raise BrokenPluginError(f"solver '{name}' is registered by {both}; uninstall one of them")
    solver = _load(points[0])
    if not solver.is_available():
        raise MissingExtraError(_missing(name, type(solver), points[0]))
    return solver


def describe() -> tuple[PluginInfo, ...]:
    """Return what is registered, in alphabetical order; loads each solver, but no back end."""
    points = sorted(_points(), key=lambda p: (p.name, _distribution(p)))
    taken = {p.name for p in points if sum(q.name == p.name for q in points) > 1}
    return tuple(_describe(point, point.name in taken) for point in points)


def _describe(point: EntryPoint, twice: bool) -> PluginInfo:
    distribution = _distribution(point)
    version = point.dist.version if point.dist is not None else ""
    try:
        solver = _load(point)
        available = solver.is_available()
    except BrokenPluginError as error:
        return PluginInfo(
            name=point.name,
            distribution=distribution,
            version=version,
            status="broken",
            reason=str(error),
        )
    reason = "" if available else _missing(point.name, type(solver), point)
    if twice:
        reason = f"solver '{point.name}' is registered by more than one distribution"
    return PluginInfo(
        name=point.name,
        distribution=distribution,
        version=version,
        summary=solver.summary,
        features=solver.features,
        status="broken" if twice else "ok" if available else "unavailable",
        reason=reason,
    )


def _points() -> tuple[EntryPoint, ...]:
    """Return the registered entry points; looked up anew when the import path has changed."""
    return _points_on(tuple(sys.path), entry_points)


@lru_cache(maxsize=16)
def _points_on(
    _path: tuple[str, ...], find: Callable[..., Iterable[EntryPoint]]
) -> tuple[EntryPoint, ...]:
    return tuple(find(group=GROUP))


@lru_cache(maxsize=256)
def _load(point: EntryPoint) -> Solver:
    where = f"solver '{point.name}' of {_distribution(point) or 'an unknown distribution'}"
    try:
        loaded = point.load()
    except Exception as error:
        raise BrokenPluginError(
            f"{where} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not (inspect.isclass(loaded) and issubclass(loaded, Solver)):
        raise BrokenPluginError(
            f"{where}: {point.value} is {loaded!r}, a subclass of solvers.Solver is wanted"
        )
    if inspect.isabstract(loaded):
        missing = ", ".join(sorted(loaded.__abstractmethods__))
        raise BrokenPluginError(f"{where}: {point.value} does not implement {missing}")
    lacking = [field for field in ("name", "summary", "features") if not hasattr(loaded, field)]
    if lacking:
        raise BrokenPluginError(f"{where}: {point.value} does not set {', '.join(lacking)}")
    return loaded()


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""


def _missing(name: str, solver: type[Solver], point: EntryPoint) -> str:
    wanted = solver.requires or (_distribution(point),)
    packages = " ".join(f"'{package}'" for package in wanted)
    return f"solver '{name}' needs packages that are not installed; try: pip install {packages}"
