"""Reading a request's body, up to a size."""

from __future__ import annotations

from starlette.requests import Request

from optimizer.engine.emulator.api_errors import ApiError

__all__ = ["read_capped"]


async def read_capped(request: Request, most: int) -> bytes:
    """Return the body.

    Raises
    ------
    ApiError
        With status 413, if it has more than so many bytes.
    """
    stated = request.headers.get("content-length", "0")
    size, parts = 0, []
    if not stated.isdecimal() or int(stated) <= most:
        async for part in request.stream():
            size += len(part)
            if size > most:
                break
            parts.append(part)
        else:
            return b"".join(parts)
    raise ApiError(413, f"the body has more than {most} bytes", code="request_too_large")
