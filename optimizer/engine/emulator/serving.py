"""A socket, and the application behind it until someone ends it."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from optimizer.engine.errors import LiveFleetError, require_within

__all__ = ["opened_socket", "serve"]

_BACKLOG = 2048
_SECONDS_TO_END = 2


def opened_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises
    ------
    LiveFleetError
        If there is no such port, or the address cannot be listened at.
    """
    require_within("port", port, 0, 65_535)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        words = (error.strerror or str(error)).partition(" (while")[0]
        raise LiveFleetError(
            f"cannot listen at {host} port {port}: {words}; try another --host or --port"
        ) from error


def serve(app: Starlette, listening: socket.socket, at_end: Callable[[], None]) -> None:
    """Serve until interrupted or terminated.

    Parameters
    ----------
    at_end
        Called once it is to end, to end the answers that are on their way.
    """

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            at_end()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=_SECONDS_TO_END,
        server_header=False,
    )
    Server(config).run(sockets=[listening])
