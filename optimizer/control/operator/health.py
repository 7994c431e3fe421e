"""A small HTTP server for those who watch the operator: /metrics and /healthz."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optimizer.control.errors import ControlError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Health", "serve"]

# A loop that has not come round for so long is stuck [s].
_STUCK_S = 180.0


class Health:
    """Remembers when the loop last came round."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s = clock()

    def beat(self) -> None:
        """Say that it came round."""
        self._last_s = self._clock()

    def well(self) -> bool:
        """Whether it did so lately."""
        return self._clock() - self._last_s < _STUCK_S


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, *args: object) -> None:
        """Say nothing of every scrape."""
        del args


def serve(address: str, port: int, health: Health, registry: CollectorRegistry) -> WSGIServer:
    """Serve in a thread; the caller shuts the server down.

    Raises
    ------
    ControlError
        If the address cannot be listened on.
    """
    from prometheus_client import make_wsgi_app

    metrics = make_wsgi_app(registry)

    def answer(environment: dict[str, Any], start: Any) -> Iterable[bytes]:
        path = environment.get("PATH_INFO")
        if path == "/metrics":
            return list(metrics(environment, start))
        status = "404 Not Found"
        if path == "/healthz":
            status = "200 OK" if health.well() else "503 Service Unavailable"
        start(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [status.encode() + b"\n"]

    try:
        server = make_server(address, port, answer, _Server, _Handler)
    except (OSError, OverflowError) as error:
        raise ControlError(
            f"cannot listen on {address}:{port}: {error}; choose another --listen"
        ) from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
