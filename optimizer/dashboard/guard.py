"""Who may talk to the dashboard: pages that it served itself, by the names it goes by.

A page of somebody else's that a person has open can send requests to 127.0.0.1, or make its own
name lead there (DNS rebinding). The first are told by `Origin` and `Sec-Fetch-Site`, the second by
`Host`; neither header can be set by a page.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard"]

_READING = ("GET", "HEAD")
_OWN = ("same-origin", "none")
# Drawings carry their colours in style attributes; nothing else is inline, and nothing is foreign.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Lets requests through to an application, or refuses them.

    Parameters
    ----------
    app
        The application.
    names
        Host names it goes by, beside `localhost`.
    any_address
        Whether it goes by every IP address, or by loopback ones alone. No other site can have an
        address for a name.
    """

    def __init__(self, app: ASGIApp, *, names: frozenset[str], any_address: bool) -> None:
        self._app = app
        self._names = names | {"localhost"}
        self._any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal:
            answer = JSONResponse({"faults": [{"text": refusal}]}, 403)
            await answer(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> str:
        host = headers.get("host", "")
        if not self._is_mine(host):
            return (
                f"Host {host[:100]!r} is not a name of this dashboard; "
                f"start it with --allow-host to add one"
            )
        if method in _READING:
            return ""
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "the request comes from another site's page"
        if headers.get("sec-fetch-site", "none") not in _OWN:
            return "the request comes from another site's page"
        # Forms of other sites cannot send this type without asking first.
        if method == "POST" and headers.get("content-type", "") != "application/json":
            return "the content type must be application/json"
        return ""

    def _is_mine(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return self._any_address or address.is_loopback
