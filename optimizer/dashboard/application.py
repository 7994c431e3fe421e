"""The HTTP face of the dashboard: an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from optimizer.catalog import accelerator_names, configuration_names, model_names
from optimizer.dashboard.asked import answer_with_faults, faults_response
from optimizer.dashboard.desk import Desk, LoadedFleet
from optimizer.dashboard.fleet_routes import FleetRoutes
from optimizer.dashboard.guard import Guard
from optimizer.dashboard.jobs import Jobs
from optimizer.dashboard.plan_routes import PlanRoutes
from optimizer.dashboard.study_routes import GivenScenario, StudyRoutes
from optimizer.engine.emulator.api_errors import ApiError
from optimizer.errors import FleetError
from optimizer.fleet import ParetoMeasure
from optimizer.kv.device_text import catalogue_devices
from optimizer.report.html import rendered
from optimizer.report.pareto_text import measure_words
from queue_models import QueueModelError
from solvers import SolverError, describe

__all__ = ["DashboardSettings", "create_dashboard"]

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardSettings:
    """What the dashboard shows first, and by which names it is called.

    Parameters
    ----------
    fleet
        Loaded at the start; None: an empty desk.
    scenario
        Offered on the laboratory's page.
    names
        Host names that it goes by, beside `localhost`.
    any_address
        Whether it is reached from other machines, by its IP addresses.
    time_limit_s
        Of a solve, where the page says nothing else.
    body_bytes
        Largest body of a request.
    """

    fleet: LoadedFleet | None = None
    scenario: GivenScenario | None = None
    names: frozenset[str] = field(default_factory=frozenset)
    any_address: bool = False
    time_limit_s: float = 10.0
    body_bytes: int = 8 * 2**20


def create_dashboard(settings: DashboardSettings) -> Starlette:
    """Return the application; its lifespan ends what is still being solved."""
    desk, jobs = Desk(), Jobs()
    first = None if settings.fleet is None else desk.fleets.add(settings.fleet)
    most = settings.body_bytes

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            jobs.end()

    pages = _Pages(settings, first)
    return Starlette(
        routes=[
            *pages.routes(),
            *FleetRoutes(desk, most).routes(),
            *PlanRoutes(desk, jobs, most).routes(),
            *StudyRoutes(desk, jobs, most, settings.scenario).routes(),
        ],
        middleware=[
            Middleware(Guard, names=settings.names, any_address=settings.any_address),
        ],
        lifespan=lifespan,
        exception_handlers={
            ApiError: answer_with_faults,
            FleetError: answer_with_faults,
            SolverError: answer_with_faults,
            QueueModelError: answer_with_faults,
            HTTPException: _answer_http_error,
        },
    )


async def _answer_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return faults_response([{"text": error.detail}], error.status_code)


class _Pages:
    """The page itself, and the files that it is made of."""

    def __init__(self, settings: DashboardSettings, first: str | None) -> None:
        self._settings = settings
        self._first = first
        # No path of a request is ever joined to a folder: these are all there are.
        folder = resources.files("optimizer.dashboard") / "assets"
        self._files = {
            file.name: (file.read_bytes(), _TYPES[Path(file.name).suffix])
            for file in folder.iterdir()
            if Path(file.name).suffix in _TYPES
        }
        style = resources.files("optimizer.report.html") / "templates" / "style.css"
        self._files["style.css"] = (style.read_bytes(), _TYPES[".css"])

    def routes(self) -> list[Route]:
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/favicon.ico", self._icon, methods=["GET"]),
            Route("/assets/{name}", self._file, methods=["GET"]),
        ]

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(await run_in_threadpool(self._rendered))

    def _rendered(self) -> str:
        given = self._settings.scenario
        return rendered(
            "dashboard.html.j2",
            fleet_id=self._first or "",
            time_limit_s=self._settings.time_limit_s,
            solvers=[info.name for info in describe() if info.status == "ok"],
            measures=[(measure.value, measure_words(measure)) for measure in ParetoMeasure],
            kv_models=model_names(),
            models=configuration_names(),
            accelerators=accelerator_names(),
            devices=[device.name for device in catalogue_devices()],
            scenario="" if given is None else given.path.name,
        )

    async def _icon(self, _request: Request) -> Response:
        content, kind = self._files["icon.svg"]
        return Response(content, media_type=kind)

    async def _file(self, request: Request) -> Response:
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "there is no such file")
        content, kind = found
        return Response(content, media_type=kind)
