"""A Prometheus server that says what a test wants: the rates of services."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

_VALUES = {
    "num_requests_waiting": 0.0,
    "num_requests_running": 1.0,
    "prompt_tokens_sum": 500.0,
    "generation_tokens_sum": 100.0,
}


class FakePrometheus:
    """Answers instant queries; `rates` are those of a gateway's counter, by service."""

    def __init__(self, rates: dict[str, float]) -> None:
        self.rates = dict(rates)
        self.empty = False
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, query: str) -> list[dict[str, Any]]:
        now = time.time()
        if self.empty:
            return []
        found = []
        for service, rate in self.rates.items():
            value = rate if "gateway_requests_total" in query else 1.0
            if query.startswith("max by"):
                value = now - 1.0
            elif "deriv" in query:
                value = 0.0
            else:
                value = next((v for part, v in _VALUES.items() if part in query), value)
            found.append({"metric": {"service": service}, "value": [now, str(value)]})
        return found


class _Handler(BaseHTTPRequestHandler):
    fake: FakePrometheus
    timeout = 10

    def log_message(self, *args: object) -> None:
        del args

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        query = parse_qs(self.rfile.read(length).decode())["query"][0]
        data = {"resultType": "vector", "result": self.fake.answer(query)}
        content = json.dumps({"status": "success", "data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
