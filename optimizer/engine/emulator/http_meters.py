"""Counts of HTTP requests, under the names that vLLM's server has them."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HttpMeters"]

_METERED = ("/v1/completions", "/v1/chat/completions", "/v1/models")
_BUCKETS_S = (0.1, 0.5, 1.0)


class HttpMeters:
    """Counts and times the requests of clients; scrapes, health checks and orders are left out."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "http_requests",
            "HTTP requests, by how they were answered.",
            ("method", "status", "handler"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Time until the whole answer was sent.",
            ("method", "handler"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )

    def text(self) -> bytes:
        """Return the counts as Prometheus reads them."""
        lines = generate_latest(self._registry).splitlines(keepends=True)
        return b"".join(line for line in lines if b"_created" not in line)

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return an application whose requests are counted."""

        async def metered(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] not in _METERED:
                await app(scope, receive, send)
                return
            status = 500

            async def noting(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            began = time.monotonic()
            try:
                await app(scope, receive, noting)
            finally:
                # Of methods that nobody knows there may be any number.
                method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
                handler = scope["path"]
                self._requests.labels(method, f"{status // 100}xx", handler).inc()
                self._seconds.labels(method, handler).observe(time.monotonic() - began)

        return metered
