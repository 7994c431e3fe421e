"""Replicas added, removed and made to fail over HTTP; nothing of it without the token."""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from optimizer.engine.emulator.api_errors import ApiError, render
from optimizer.engine.emulator.emulator import Emulator
from optimizer.engine.emulator.request_body import read_capped
from optimizer.engine.live_fleet import LONGEST_RESTART_MS

__all__ = ["Admin"]

_Read = TypeVar("_Read")
_MOST_BYTES = 4096


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Count(_Strict):
    count: Annotated[int, Field(ge=0, strict=True)]


class _Added(_Strict):
    count: Annotated[int, Field(ge=1, strict=True)] = 1
    startup_s: Annotated[float | None, Field(ge=0, le=86_400)] = None


class _Slow(_Strict):
    kind: Literal["slow"]
    factor: Annotated[float, Field(ge=0.001, le=1e6)]
    duration_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0


class _Crash(_Strict):
    kind: Literal["crash", "out_of_memory"]
    restart_s: Annotated[float, Field(ge=0, le=LONGEST_RESTART_MS / 1e3)] = 30.0


class _MetricGap(_Strict):
    kind: Literal["metric_gap"]
    duration_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0


_COUNT = TypeAdapter(_Count)
_ADDED = TypeAdapter(_Added)
_FAULT: TypeAdapter[_Slow | _Crash | _MetricGap] = TypeAdapter(
    Annotated[_Slow | _Crash | _MetricGap, Field(discriminator="kind")]
)


class Admin:
    """The endpoints below `/admin`.

    Parameters
    ----------
    emulator
        Whose fleet is changed.
    token
        What callers must show as a bearer token; None refuses everyone.
    most_replicas
        How many there can be.
    """

    def __init__(self, emulator: Emulator, token: str | None, most_replicas: int) -> None:
        self._emulator = emulator
        self._token = token
        self._most = most_replicas

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/admin/replicas", self._replicas, methods=["GET"]),
            Route("/admin/replicas", self._scale, methods=["PUT"]),
            Route("/admin/replicas", self._add, methods=["POST"]),
            Route("/admin/replicas/{number:int}", self._remove, methods=["DELETE"]),
            Route("/admin/replicas/{number:int}/faults", self._fault, methods=["POST"]),
            Route("/admin/replicas/{number:int}/faults", self._heal, methods=["DELETE"]),
        ]

    async def _replicas(self, request: Request) -> Response:
        self._require_token(request)
        return await self._shown()

    async def _scale(self, request: Request) -> Response:
        self._require_token(request)
        wanted = await _read(_COUNT, request)
        await self._emulator.catch_up()
        self._require_room(wanted.count)
        self._emulator.fleet.scale_to(wanted.count)
        return await self._shown()

    async def _add(self, request: Request) -> Response:
        self._require_token(request)
        wanted = await _read(_ADDED, request)
        fleet = self._emulator.fleet
        await self._emulator.catch_up()
        self._require_room(fleet.count() + wanted.count)
        startup = wanted.startup_s
        fleet.add(wanted.count, startup_ms=None if startup is None else 1e3 * startup)
        return await self._shown(201)

    async def _remove(self, request: Request) -> Response:
        self._require_token(request)
        drain = request.query_params.get("drain", "true")
        if drain not in ("true", "false"):
            raise ApiError(400, f"drain = {drain[:20]!r}: must be true or false", param="drain")
        number = await self._known(request)
        self._emulator.fleet.remove(number, drain=drain == "true")
        return await self._shown()

    async def _fault(self, request: Request) -> Response:
        self._require_token(request)
        fault = await _read(_FAULT, request)
        number = await self._known(request)
        fleet = self._emulator.fleet
        match fault:
            case _Slow():
                fleet.slow(number, fault.factor, duration_ms=1e3 * fault.duration_s)
            case _MetricGap():
                fleet.hide_metrics(number, duration_ms=1e3 * fault.duration_s)
            case _Crash(kind="crash"):
                fleet.crash(number, restart_ms=1e3 * fault.restart_s)
            case _Crash():
                fleet.run_out_of_memory(number, restart_ms=1e3 * fault.restart_s)
        return await self._shown()

    async def _heal(self, request: Request) -> Response:
        self._require_token(request)
        self._emulator.fleet.heal(await self._known(request))
        return await self._shown()

    def _require_token(self, request: Request) -> None:
        if self._token is None:
            raise ApiError(
                403,
                "administration is off; start the emulator with --admin-token to use it",
                kind="permission_error",
            )
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        same = hmac.compare_digest(shown.encode(), self._token.encode())
        if scheme.lower() != "bearer" or not same:
            raise ApiError(
                401,
                "the token is missing or wrong; send it as Authorization: Bearer TOKEN",
                kind="authentication_error",
                code="invalid_token",
                headers={"www-authenticate": "Bearer"},
            )

    def _require_room(self, count: int) -> None:
        if count > self._most:
            raise ApiError(
                400, f"count: {count} replicas, must be at most {self._most}", param="count"
            )

    async def _known(self, request: Request) -> int:
        """Return the number in the path, once the fleet has worked until now."""
        await self._emulator.catch_up()
        number = int(request.path_params["number"])
        if number not in [one.number for one in self._emulator.fleet.replicas()]:
            raise ApiError(404, f"there is no replica {number}", code="replica_not_found")
        return number

    async def _shown(self, status: int = 200) -> Response:
        await self._emulator.catch_up()
        self._emulator.changed()
        fleet = self._emulator.fleet
        document: dict[str, Any] = {
            "now_ms": fleet.now_ms,
            "replicas": [asdict(one) for one in fleet.replicas()],
        }
        return Response(render(document), status, media_type="application/json")


async def _read(adapter: TypeAdapter[_Read], request: Request) -> _Read:
    raw = await read_capped(request, _MOST_BYTES)
    try:
        return adapter.validate_python(json.loads(raw))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise ApiError(400, f"{place}: {first['msg']}", param=place) from error
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
