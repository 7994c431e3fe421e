"""The HTTP face of the emulator: an ASGI application."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from optimizer.engine.emulator.admin import Admin
from optimizer.engine.emulator.api_errors import (
    ApiError,
    answer_api_error,
    error_response,
    render,
)
from optimizer.engine.emulator.asked import Asked, asked_by_chat, asked_by_completion
from optimizer.engine.emulator.bodies import ChatBody, CompletionBody, read_body
from optimizer.engine.emulator.delivery import AnswerResponse, unserved
from optimizer.engine.emulator.documents import (
    AbstractDocuments,
    ChatDocuments,
    CompletionDocuments,
)
from optimizer.engine.emulator.emulator import Emulator
from optimizer.engine.emulator.exposition import CONTENT_TYPE, Exposition
from optimizer.engine.emulator.http_meters import HttpMeters
from optimizer.engine.emulator.limits import Limits
from optimizer.engine.emulator.request_body import read_capped
from optimizer.engine.live_replica import Phase

__all__ = ["ServerSettings", "create_app"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What the server is called and whom it lets in.

    Parameters
    ----------
    model
        Name that clients ask for.
    limits
        Caps of one request.
    api_key
        What clients of `/v1` must show; None: nothing.
    admin_token
        What callers of `/admin` must show; None: nobody may.
    most_replicas
        How many replicas there can be.
    former_names
        Whether renamed metrics are there under both names.
    """

    model: str
    limits: Limits = field(default_factory=Limits)
    api_key: str | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)
    most_replicas: int = 64
    former_names: bool = False


def create_app(emulator: Emulator, settings: ServerSettings) -> Starlette:
    """Return the application; its lifespan keeps the emulator in step with its clock."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        running = asyncio.create_task(emulator.run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    meters = HttpMeters()
    server = _Server(emulator, settings, meters)
    admin = Admin(emulator, settings.admin_token, settings.most_replicas)
    return Starlette(
        routes=[*server.routes(), *admin.routes()],
        middleware=[Middleware(meters.around)],
        lifespan=lifespan,
        exception_handlers={
            ApiError: answer_api_error,
            HTTPException: _answer_http_error,
            ClientDisconnect: _answer_nobody,
            Exception: _answer_fault,
        },
    )


class _Server:
    """Everything but administration."""

    def __init__(self, emulator: Emulator, settings: ServerSettings, meters: HttpMeters) -> None:
        self._emulator = emulator
        self._settings = settings
        self._meters = meters
        self._exposition = Exposition(
            settings.model, emulator.fleet.config, former_names=settings.former_names
        )

    def routes(self) -> list[Route]:
        get: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/v1/models": self._models,
            "/v1/models/{model:path}": self._model,
            "/health": self._health,
            "/ping": self._health,
            "/load": self._load,
            "/version": self._version,
            "/metrics": self._metrics,
            "/replicas/{number:int}/metrics": self._replica_metrics,
            "/replicas/targets": self._targets,
        }
        return [
            Route("/v1/completions", self._completions, methods=["POST"]),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            *(Route(path, endpoint, methods=["GET"]) for path, endpoint in get.items()),
        ]

    async def _completions(self, request: Request) -> Response:
        self._require_key(request)
        raw = await read_capped(request, self._settings.limits.body_bytes)
        body = read_body(CompletionBody, raw)
        self._require_model(body.model)
        asked = asked_by_completion(body, *self._bounds())
        return await self._answered(asked, CompletionDocuments)

    async def _chat(self, request: Request) -> Response:
        self._require_key(request)
        raw = await read_capped(request, self._settings.limits.body_bytes)
        body = read_body(ChatBody, raw)
        self._require_model(body.model)
        asked = asked_by_chat(body, *self._bounds())
        return await self._answered(asked, ChatDocuments)

    def _bounds(self) -> tuple[Any, Limits, int]:
        emulator = self._emulator
        return (
            emulator.model.tokenizer,
            self._settings.limits,
            emulator.fleet.config.max_model_len,
        )

    async def _answered(self, asked: Asked, kind: type[AbstractDocuments]) -> Response:
        emulator = self._emulator
        if emulator.failed:
            raise ApiError(500, "the emulator has failed; start it again", kind="server_error")
        answer = await emulator.submit(
            asked.prompts,
            asked.params,
            choices=asked.choices,
            priority=asked.priority,
            salt=asked.salt,
        )
        if not any(emulator.fleet.has(number) for number in answer.numbers):
            raise unserved("refused")
        documents = kind(asked, self._settings.model, emulator.model.tokenizer)
        return AnswerResponse(emulator, answer, documents)

    async def _models(self, request: Request) -> Response:
        self._require_key(request)
        return _json({"object": "list", "data": [self._card()]})

    async def _model(self, request: Request) -> Response:
        self._require_key(request)
        self._require_model(request.path_params["model"])
        return _json(self._card())

    def _card(self) -> dict[str, Any]:
        return {
            "id": self._settings.model,
            "object": "model",
            "created": 0,
            "owned_by": "fleetopt",
            "root": self._settings.model,
            "max_model_len": self._emulator.fleet.config.max_model_len,
        }

    async def _health(self, _request: Request) -> Response:
        ready = any(one.phase is Phase.READY for one in self._emulator.fleet.replicas())
        return Response(status_code=200 if ready and not self._emulator.failed else 503)

    async def _load(self, _request: Request) -> Response:
        return _json({"server_load": self._emulator.open_outputs})

    async def _version(self, _request: Request) -> Response:
        return _json({"version": version("fleetopt")})

    async def _metrics(self, _request: Request) -> Response:
        await self._emulator.catch_up()
        seen = self._emulator.fleet.metrics()
        if not seen and self._emulator.fleet.replicas():
            return Response("no replica answers\n", 503, media_type="text/plain")
        text = self._exposition.text(seen) + self._meters.text()
        return Response(text, headers={"content-type": CONTENT_TYPE})

    async def _replica_metrics(self, request: Request) -> Response:
        """As the replica would answer if it were a server of its own."""
        await self._emulator.catch_up()
        number = request.path_params["number"]
        if number not in [one.number for one in self._emulator.fleet.replicas()]:
            raise ApiError(404, f"there is no replica {number}", code="replica_not_found")
        seen = [one for one in self._emulator.fleet.metrics() if one.replica == number]
        if not seen:
            return Response("the replica does not answer\n", 503, media_type="text/plain")
        text = self._exposition.text(seen, alone=True)
        return Response(text, headers={"content-type": CONTENT_TYPE})

    async def _targets(self, request: Request) -> Response:
        """As Prometheus' `http_sd_configs` wants it: a target for every replica."""
        await self._emulator.catch_up()
        host = request.url.netloc
        return _json(
            [
                {
                    "targets": [host],
                    "labels": {
                        "__metrics_path__": f"/replicas/{one.number}/metrics",
                        "replica": str(one.number),
                    },
                }
                for one in self._emulator.fleet.replicas()
                if one.phase is not Phase.STARTING
            ]
        )

    def _require_key(self, request: Request) -> None:
        key = self._settings.api_key
        shown = request.headers.get("authorization", "")
        if key is not None and not hmac.compare_digest(shown.encode(), f"Bearer {key}".encode()):
            raise ApiError(
                401,
                "Incorrect API key provided.",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )

    def _require_model(self, model: str) -> None:
        if model != self._settings.model:
            raise ApiError(
                404,
                f"The model `{model[:200]}` does not exist; there is `{self._settings.model}`.",
                param="model",
                code="model_not_found",
            )


def _json(document: object) -> Response:
    return Response(render(document), media_type="application/json")


async def _answer_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return error_response(ApiError(error.status_code, str(error.detail), headers=headers))


async def _answer_nobody(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)


async def _answer_fault(_request: Request, error: Exception) -> Response:
    words = f"internal error: {type(error).__name__}"
    return error_response(ApiError(500, words, kind="server_error"))
