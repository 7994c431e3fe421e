"""Errors of the REST services: one shape for all of them, and never more than is meant."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from optimizer.control.spec import ErrorAnswer, ErrorDetail, ErrorKind, RequestFault
from optimizer.errors import FleetError
from queue_models import QueueModelError
from solvers import SolverError

__all__ = ["RestError", "error_response", "handle_errors"]

_LOG = logging.getLogger(__name__)
_MOST_FAULTS = 20
_LONGEST = 500
_KINDS = {404: ErrorKind.NOT_FOUND, 405: ErrorKind.NOT_FOUND, 413: ErrorKind.TOO_LARGE}


class RestError(Exception):
    """A request that is refused.

    Parameters
    ----------
    status
        Of HTTP.
    kind, message
        Of the error.
    headers
        To be sent with it.
    """

    def __init__(
        self,
        status: int,
        kind: ErrorKind,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message
        self.headers = dict(headers or {})


def error_response(
    status: int,
    kind: ErrorKind,
    message: str,
    faults: Sequence[RequestFault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error as it is sent."""
    detail = ErrorDetail(kind=kind, message=message[:_LONGEST], faults=tuple(faults))
    text = ErrorAnswer(error=detail).to_json()
    return Response(
        text.encode("utf-8", "replace"), status, dict(headers or {}), "application/json"
    )


def handle_errors(app: FastAPI) -> None:
    """Answer every exception in the one shape."""

    def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RestError)
        return error_response(error.status, error.kind, error.message, headers=error.headers)

    def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [_fault(entry) for entry in list(error.errors())[:_MOST_FAULTS]]
        first = f"{found[0].where}: {found[0].message}" if found else "the body cannot be read"
        return error_response(422, ErrorKind.INVALID, first, found)

    def of_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = _KINDS.get(error.status_code, ErrorKind.INVALID)
        return error_response(error.status_code, kind, _clean(error.detail), headers=error.headers)

    def impossible(_: Request, error: Exception) -> Response:
        return error_response(409, ErrorKind.IMPOSSIBLE, _clean(error))

    def internal(_: Request, error: Exception) -> Response:
        _LOG.error("a request failed", exc_info=error)
        words = "the service failed; its log says more"
        return error_response(500, ErrorKind.INTERNAL, words)

    app.add_exception_handler(RestError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, of_http)
    for kind in (FleetError, SolverError, QueueModelError):
        app.add_exception_handler(kind, impossible)
    app.add_exception_handler(Exception, internal)


def _fault(entry: Mapping[str, Any]) -> RequestFault:
    """Return one fault without what came: it may be anything, and secret."""
    parts = [part for part in entry.get("loc", ()) if part != "body"]
    if entry.get("type") == "json_invalid":
        parts = []  # only where in the text
    where = ""
    for part in parts[:20]:
        where += f"[{part}]" if isinstance(part, int) else f".{_clean(part)[:80]}"
    message = _clean(entry.get("msg", "")).replace("JSON decode error", "is not JSON")
    return RequestFault(where=where.removeprefix(".") or "the body", message=message)


def _clean(words: object) -> str:
    """Return words that can be sent: text on one line, without lone surrogates."""
    text = str(words).encode("utf-8", "replace").decode("utf-8")
    return " ".join(text.split())[:_LONGEST]
