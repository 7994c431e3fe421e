"""How answers reach the client: at once, or as a stream of server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from optimizer.engine.emulator.api_errors import ApiError, error_document, error_response, render
from optimizer.engine.emulator.documents import AbstractDocuments
from optimizer.engine.emulator.emulator import Answer, Emulator
from optimizer.engine.emulator.mailbox import Piece
from optimizer.engine.language import Emission

__all__ = ["AnswerResponse"]

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class AnswerResponse(Response):
    """The answer of the emulator to one request; given up when the client goes.

    Parameters
    ----------
    emulator, answer
        Where it comes from.
    documents
        What it is made of.
    """

    def __init__(self, emulator: Emulator, answer: Answer, documents: AbstractDocuments) -> None:
        super().__init__()
        self._emulator = emulator
        self._answer = answer
        self._documents = documents

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        mailbox = self._answer.mailbox
        gone = asyncio.ensure_future(_disconnected(receive, mailbox.close))
        try:
            if self._documents.asked.streams:
                await _Stream(self._answer, self._documents, send).run()
            else:
                response = await self._whole()
                if response is not None:
                    await response(scope, receive, send)
        finally:
            gone.cancel()
            self._emulator.cancel(self._answer)

    async def _whole(self) -> Response | None:
        """Return the answer when it is complete; None if the client has gone."""
        outputs: list[list[Emission]] = [[] for _ in self._answer.numbers]
        open_outputs, cached = len(outputs), 0
        while open_outputs:
            items = await self._answer.mailbox.take()
            if items is None:
                return None
            for item in items:
                if isinstance(item, Piece):
                    outputs[item.choice].append(item.emission)
                elif item.outcome != "completed":
                    return error_response(unserved(item.outcome))
                else:
                    cached += self._documents.cached_tokens(item)
                    open_outputs -= 1
        document = self._documents.whole(outputs, cached)
        return Response(render(document), media_type="application/json")


class _Stream:
    """Sends an answer token by token."""

    def __init__(self, answer: Answer, documents: AbstractDocuments, send: Send) -> None:
        self._mailbox = answer.mailbox
        self._documents = documents
        self._send = send
        outputs = len(answer.numbers)
        self._open = outputs
        self._places = [0] * outputs
        self._begun = [False] * outputs
        self._tokens = self._cached = 0

    async def run(self) -> None:
        """Send everything, until the end or until the client has gone."""
        await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        while self._open:
            items = await self._mailbox.take()
            if items is None:
                return
            events: list[bytes] = []
            for item in items:
                if isinstance(item, Piece):
                    events.append(self._piece(item))
                elif item.outcome == "completed":
                    self._cached += self._documents.cached_tokens(item)
                    self._open -= 1
                else:
                    failure = error_document(unserved(item.outcome))
                    await self._close(b"".join(events) + _event(failure))
                    return
            if events:
                body = b"".join(events)
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
        last = b""
        if self._documents.asked.tells_usage:
            usage = self._documents.usage(self._tokens, self._cached)
            last = _event(self._documents.chunk([], usage))
        await self._close(last)

    def _piece(self, piece: Piece) -> bytes:
        """Return the events of a token: with the first comes what opens the output."""
        choice, emission = piece
        events = b""
        delta = self._documents.delta(choice, emission, self._places[choice])
        if not self._begun[choice]:
            self._begun[choice] = True
            self._documents.with_prompt(delta, choice)
            opening = self._documents.opening(choice)
            if opening is not None:
                events = _event(self._documents.chunk([opening]))
        self._tokens += 1
        self._places[choice] += len(emission.text)
        always = self._documents.asked.always_tells_usage
        usage = self._documents.usage(self._tokens, self._cached) if always else None
        return events + _event(self._documents.chunk([delta], usage))

    async def _close(self, events: bytes) -> None:
        done = events + b"data: [DONE]\n\n"
        await self._send({"type": "http.response.body", "body": done, "more_body": False})


def unserved(outcome: str) -> ApiError:
    """Return the error of a request that was not served to its end."""
    if outcome == "failed":
        return ApiError(
            500,
            "the replica that served the request has failed; try again",
            kind="server_error",
            code="replica_failed",
        )
    if outcome == "aborted":
        return ApiError(503, "the emulator is ending", kind="server_error", code="ending")
    return ApiError(
        503,
        "no replica can take the request now; try again later",
        kind="server_error",
        code="overloaded",
        headers={"retry-after": "1"},
    )


async def _disconnected(receive: Receive, tell: Callable[[], None]) -> None:
    """Wait until the client has gone, and tell."""
    while (await receive())["type"] != "http.disconnect":
        pass
    tell()


def _event(document: object) -> bytes:
    return b"data: " + render(document) + b"\n\n"
