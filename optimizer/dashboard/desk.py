"""What lies on the desk: fleets that were loaded and plans that were made, the latest of each."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from optimizer.dashboard.bodies import OfFleet
from optimizer.dashboard.wanted import Wanted
from optimizer.errors import Fault, SpecError
from optimizer.fleet import FleetPlan
from optimizer.spec import FleetSpec

__all__ = ["ChangedFleet", "Desk", "LoadedFleet", "MadePlan"]

T = TypeVar("T")

_MOST_FLEETS = 16
_MOST_PLANS = 32


@dataclass(frozen=True, slots=True)
class LoadedFleet:
    """A fleet as it was loaded.

    Parameters
    ----------
    spec
        The fleet.
    name
        Of its file, for people and for the command line.
    command_path
        How the command line finds the file; of one that was pasted, where a person saves it.
    is_file
        Whether the file is on this machine, and not just the browser's.
    changes
        Made before anybody's, so that it can be planned here.
    notes
        What people have to know of it.
    """

    spec: FleetSpec
    name: str
    command_path: str
    is_file: bool
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedFleet:
    """A fleet with the changes of a request.

    Parameters
    ----------
    spec
        The changed fleet.
    loaded
        The fleet before.
    wanted
        What was changed.
    """

    spec: FleetSpec
    loaded: LoadedFleet
    wanted: Wanted

    def command(self, verb: str) -> str:
        """Return the command line that plans the same fleet."""
        return self.wanted.command(self.loaded.command_path, verb)


@dataclass(frozen=True, slots=True)
class MadePlan:
    """A plan, what it was made of and with which changes.

    Parameters
    ----------
    plan
        The plan.
    spec
        The changed fleet.
    loaded
        The fleet before.
    wanted
        What was changed.
    """

    plan: FleetPlan
    spec: FleetSpec
    loaded: LoadedFleet
    wanted: Wanted

    def figures(self) -> dict[str, Any]:
        """Return what a page says of it in a line, and what makes it again."""
        plan = self.plan
        return {
            "found": plan.found,
            "termination": plan.termination,
            "cost_per_hour": plan.total_cost_per_hour,
            "currency": plan.currency,
            "dual_bound": plan.dual_bound,
            "relative_gap": plan.relative_gap,
            "solver": plan.solver,
            "unserved": [service.service for service in plan.unserved],
            "changes": list(self.wanted.changes),
            "command": self.wanted.command(self.loaded.command_path),
            "file_to_save": None if self.loaded.is_file else self.loaded.command_path,
        }


@dataclass
class _Shelf(Generic[T]):
    """Holds so many things, dropping those not asked for longest."""

    kind: str
    most: int
    _things: OrderedDict[str, T] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, thing: T) -> str:
        name = secrets.token_urlsafe(9)
        with self._lock:
            self._things[name] = thing
            while len(self._things) > self.most:
                self._things.popitem(last=False)
        return name

    def get(self, name: str) -> T:
        with self._lock:
            if name not in self._things:
                raise SpecError(
                    [Fault(f"this {self.kind} is no longer there: load the page again")]
                )
            self._things.move_to_end(name)
            return self._things[name]


class Desk:
    """Keeps fleets and plans for as long as the dashboard runs; safe in threads."""

    def __init__(self) -> None:
        self.fleets: _Shelf[LoadedFleet] = _Shelf("fleet", _MOST_FLEETS)
        self.plans: _Shelf[MadePlan] = _Shelf("plan", _MOST_PLANS)

    def changed(self, body: OfFleet, *, all_loads: bool = False) -> ChangedFleet:
        """Return the fleet of a request with its changes; for large fleets, work for a thread.

        With `all_loads` it keeps the uncertain loads that most views leave aside.
        """
        loaded = self.fleets.get(body.fleet)
        wanted = body.wanted(() if all_loads else loaded.changes)
        return ChangedFleet(wanted.of(loaded.spec), loaded, wanted)

    def keep(self, changed: ChangedFleet, plan: FleetPlan) -> dict[str, Any]:
        """Keep a plan; return its name and figures."""
        made = MadePlan(plan, changed.spec, changed.loaded, changed.wanted)
        return {"plan": self.plans.add(made), **made.figures()}
