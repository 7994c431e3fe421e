"""Plain HTTP calls to an emulator."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

ADMIN = {"authorization": "Bearer secret"}


def call(
    url: str,
    method: str,
    path: str,
    body: bytes | object = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Send a request; return status, headers and body."""
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, raw, headers or {})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def document(url: str, method: str, path: str, body: object = None, **headers: str) -> Any:
    """Send a request that succeeds; return the document that comes back."""
    status, _, raw = call(url, method, path, body, headers)
    assert status in (200, 201), raw
    return json.loads(raw)


def events(raw: bytes) -> list[Any]:
    """The documents of a stream of server-sent events, which must end as OpenAI's do."""
    lines = [line for line in raw.split(b"\n\n") if line]
    assert all(line.startswith(b"data: ") for line in lines)
    assert lines[-1] == b"data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]
