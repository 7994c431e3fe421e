"""Errors in the shape that OpenAI's clients understand."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["ApiError", "error_document", "error_response", "render"]


class ApiError(Exception):
    """A request that is refused, or that failed.

    Parameters
    ----------
    status
        HTTP status.
    message
        What came, what is wanted, what to try.
    kind
        `type` in the document.
    param
        The field that it is about.
    code
        A word for programs.
    headers
        To be sent with it.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = dict(headers or {})


def error_document(error: ApiError) -> dict[str, object]:
    """Return the error as OpenAI sends it."""
    return {
        "error": {
            "message": error.message,
            "type": error.kind,
            "param": error.param,
            "code": error.code,
        }
    }


def render(document: object) -> bytes:
    """Write a document as JSON."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


def error_response(error: ApiError) -> Response:
    """Return the error as a response."""
    return Response(
        render(error_document(error)), error.status, error.headers, media_type="application/json"
    )


async def answer_api_error(_request: Request, error: Exception) -> Response:
    """Answer with an `ApiError` that was raised."""
    assert isinstance(error, ApiError)
    return error_response(error)
