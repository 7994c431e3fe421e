"""How large a request may be, and how long it may take."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from optimizer.control.errors import ControlError
from optimizer.control.rest.errors import error_response
from optimizer.control.spec import ErrorKind

__all__ = ["RequestLimits", "WithinLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Limits of one request.

    Parameters
    ----------
    body_bytes
        Of its body.
    seconds
        From its first byte to its answer.

    Raises
    ------
    ControlError
        If one is not positive.
    """

    body_bytes: int = 4 * 2**20
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.body_bytes <= 2**30:
            raise ControlError(f"the body's limit = {self.body_bytes}: must be 1 byte to 1 GiB")
        if not 0 < self.seconds <= 86_400:
            raise ControlError(f"the time limit = {self.seconds:g}: must be above 0, to 86400 s")


class WithinLimits:
    """Reads the whole body first, within the limits, and hands it on.

    Parameters
    ----------
    app
        Who answers.
    limits
        The limits.
    """

    def __init__(self, app: ASGIApp, limits: RequestLimits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._limits.seconds):
                body = await self._body(scope, receive)
                if body is None:
                    words = f"the body has more than {self._limits.body_bytes} bytes"
                    await error_response(413, ErrorKind.TOO_LARGE, words)(scope, receive, sent)
                    return
                await self._app(scope, _again(body, receive), sent)
        except TimeoutError:
            if not begun:
                words = f"no answer within {self._limits.seconds:g} s; try a smaller request"
                await error_response(503, ErrorKind.TOO_SLOW, words)(scope, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body; None where it is too large."""
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if not stated.isdigit() or int(stated[:20]) > self._limits.body_bytes:
            return None
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            part = message.get("body", b"")
            size += len(part)
            if size > self._limits.body_bytes:
                return None
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read before, then what follows it."""
    given = False

    async def one() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return one
