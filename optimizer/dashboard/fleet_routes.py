"""Fleets: loaded from a browser, and described to it."""

from __future__ import annotations

import re
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from optimizer.dashboard.asked import asked
from optimizer.dashboard.bodies import FleetBody
from optimizer.dashboard.controls import controls_of, wildcards_of
from optimizer.dashboard.desk import Desk, LoadedFleet
from optimizer.dashboard.wanted import refuse_new_files
from optimizer.spec import FleetSpec, loads

__all__ = ["FleetRoutes", "laid_out"]

_NOT_IN_FILE_NAMES = re.compile(r"[^\w.@+-]+")
_DEFAULT_NAME = "fleet.yaml"


def laid_out(spec: FleetSpec, name: str, *, path: str | None = None) -> LoadedFleet:
    """Return a fleet ready for the desk; uncertain loads give way to the services' own.

    Parameters
    ----------
    spec
        The fleet.
    name
        What people call it.
    path
        Its file on this machine; None: it came from a browser.
    """
    changes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if spec.uncertainty is not None:
        changes = ("uncertainty=null",)
        notes = (
            "most views are for the services' own loads; Uncertain loads plans for all of them",
        )
    if spec.horizon is not None:
        notes += ("most views are for one load; Periods plans all of the fleet's together",)
    safe = _NOT_IN_FILE_NAMES.sub("-", name).strip("-.") or _DEFAULT_NAME
    return LoadedFleet(
        spec, name, path or safe, is_file=path is not None, changes=changes, notes=notes
    )


class FleetRoutes:
    """Routes about fleets.

    Parameters
    ----------
    desk
        Where they lie.
    most
        Largest body [bytes].
    """

    def __init__(self, desk: Desk, most: int) -> None:
        self._desk = desk
        self._most = most

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/api/fleets", self._add, methods=["POST"]),
            Route("/api/fleets/{fleet}", self._describe, methods=["GET"]),
        ]

    async def _add(self, request: Request) -> Response:
        body = await asked(request, FleetBody, self._most)
        loaded = await run_in_threadpool(_loaded, body)
        name = self._desk.fleets.add(loaded)
        return JSONResponse(_document(name, loaded), 201)

    async def _describe(self, request: Request) -> Response:
        name = request.path_params["fleet"]
        return JSONResponse(_document(name, self._desk.fleets.get(name)))


def _loaded(body: FleetBody) -> LoadedFleet:
    spec = loads(body.text, body.name)
    refuse_new_files(spec)
    return laid_out(spec, body.name)


def _document(name: str, loaded: LoadedFleet) -> dict[str, Any]:
    spec = loaded.spec
    return {
        "id": name,
        "file": loaded.name,
        "is_file": loaded.is_file,
        "name": spec.name,
        "currency": spec.currency,
        "services": [service.name for service in spec.services],
        "over_loads": {
            "horizon": spec.horizon is not None and bool(spec.horizon.periods),
            "uncertain": spec.uncertainty is not None,
        },
        "wildcards": wildcards_of(spec),
        "controls": [control.document() for control in controls_of(spec)],
        "solver": spec.optimizer.solver,
        "relative_gap": spec.optimizer.relative_gap,
        "notes": [*loaded.notes, *spec.notes],
    }
