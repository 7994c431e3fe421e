"""Requests read and refused, all in one shape: a list of faults, each a text with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from optimizer.dashboard.bodies import Body, read_body
from optimizer.engine.emulator.api_errors import ApiError
from optimizer.engine.emulator.request_body import read_capped
from optimizer.errors import SpecError

__all__ = ["answer_with_faults", "asked", "faults_response"]

B = TypeVar("B", bound=Body)

_UNPROCESSABLE = 422


async def asked(request: Request, kind: type[B], most: int) -> B:
    """Read a request's body.

    Raises
    ------
    ApiError
        If it is too large, no JSON, or not what is wanted.
    """
    return read_body(kind, await read_capped(request, most))


def faults_response(faults: Sequence[dict[str, Any]], status: int) -> Response:
    """Return faults as a response."""
    return JSONResponse({"faults": list(faults)}, status)


async def answer_with_faults(_request: Request, error: Exception) -> Response:
    """Answer with everything that is wrong."""
    if isinstance(error, ApiError):
        return faults_response([{"text": error.message}], error.status)
    if isinstance(error, SpecError):
        faults = [{"text": str(fault), **asdict(fault)} for fault in error.faults]
        return faults_response(faults, _UNPROCESSABLE)
    return faults_response([{"text": str(error)}], _UNPROCESSABLE)
