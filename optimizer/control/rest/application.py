"""The HTTP face of the services: an ASGI application whose OpenAPI is made of the spec."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Response, Security
from fastapi.security import HTTPBearer
from prometheus_client import CollectorRegistry, generate_latest

from optimizer.control.cycle_gauges import CycleGauges
from optimizer.control.rest.errors import handle_errors
from optimizer.control.rest.limits import RequestLimits, WithinLimits
from optimizer.control.rest.services import Services
from optimizer.control.rest.token import Authorized, Token
from optimizer.control.spec import (
    ActuateAnswer,
    ActuateRequest,
    CollectAnswer,
    ControlStatus,
    CycleDocument,
    ErrorAnswer,
    InvokeRequest,
    OptimizeAnswer,
    OptimizeRequest,
    TuneAnswer,
    TuneRequest,
)

__all__ = ["create_app"]

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": words}
    for status, words in (
        (401, "the token is missing or wrong"),
        (403, "no token is set: nobody may act"),
        (404, "the fleet has no such service or variant"),
        (409, "understood, and not possible now"),
        (413, "the body is too large"),
        (422, "the body cannot be read"),
        (503, "busy, or too slow"),
    )
}


def create_app(services: Services, token: Token, limits: RequestLimits) -> FastAPI:
    """Return the application; its lifespan is that of the loop.

    Parameters
    ----------
    services
        Who does what is asked.
    token
        What callers must show who let something be done.
    limits
        Of every request.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.begin()
        try:
            yield
        finally:
            services.end()

    app = FastAPI(
        title="fleetopt control",
        version=version("fleetopt"),
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        responses=_REFUSALS,
    )
    app.add_middleware(WithinLimits, limits=limits)
    app.add_middleware(Authorized, token=token)  # before anything is read
    handle_errors(app)
    registry = CollectorRegistry()
    gauges = CycleGauges(registry)
    services.listeners.append(lambda cycle: gauges.note(cycle))

    acting = [Security(HTTPBearer(auto_error=False))]  # for OpenAPI; `Authorized` looks

    @app.get("/collect", summary="Look at the fleet now")
    def collect() -> CollectAnswer:
        return services.collect()

    @app.get("/status", summary="The controller after its last cycle")
    def status() -> ControlStatus:
        return services.status()

    @app.post("/optimize", summary="Plan for loads; nothing is changed", dependencies=acting)
    def optimize(asked: OptimizeRequest) -> OptimizeAnswer:
        return services.optimize(asked)

    @app.post("/tune", summary="Learn the timing of a variant", dependencies=acting)
    def tune(asked: TuneRequest) -> TuneAnswer:
        return services.tune(asked)

    @app.post("/actuate", summary="Order replicas", dependencies=acting)
    def actuate(asked: ActuateRequest) -> ActuateAnswer:
        return services.actuate(asked)

    @app.post("/invoke", summary="Make a cycle now", dependencies=acting)
    def invoke(asked: InvokeRequest) -> CycleDocument:
        return services.invoke(asked)

    @app.get("/health", summary="Whether the loop comes round", response_class=Response)
    def health() -> Response:
        return Response(status_code=200 if services.well() else 503)

    @app.get("/metrics", summary="For Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    return app
