"""A fake API server over HTTP, with the verbs, roles and refusals that the product meets.

The contract tests run against it and against the real one: what it answers is what they agree on.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.optimizer.control.kubernetes.fake_store import Json, Place, RefusedError, Store, place_of

_BUILT_IN = {
    "": {
        "v1": (
            "pods",
            "configmaps",
            "events",
            "namespaces",
            "secrets",
            "services",
            "serviceaccounts",
        )
    },
    "apps": {"v1": ("deployments",)},
    "autoscaling": {"v1": ("horizontalpodautoscalers",)},
    "coordination.k8s.io": {"v1": ("leases",)},
    "rbac.authorization.k8s.io": {"v1": ("roles", "rolebindings")},
    "apiextensions.k8s.io": {"v1": ("customresourcedefinitions",)},
}
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Request:
    """One request, as an audit log has it."""

    user: str
    verb: str
    resource: str
    subresource: str
    name: str
    namespace: str
    code: int
    dry_run: bool = False


@dataclass
class FakeApiServer:
    """Serves until it is closed.

    `failing` refuses the next requests that match (verb, resource): a count and the status; with
    None in its place they are carried out, and the answer is lost. `watched` says what is sent
    in place of an event of a watch; where it raises OSError, the connection ends there.
    """

    users: dict[str, str] = field(default_factory=lambda: {"admintok": "admin"})
    store: Store = field(default_factory=Store)
    log: list[Request] = field(default_factory=list)
    failing: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    watched: Callable[[Json], Iterable[Json]] | None = None

    def __post_init__(self) -> None:
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def allowed(self, user: str, verb: str, place: Place) -> bool:
        """Whether a role that is bound to the user says so."""
        if user == "admin":
            return True
        rbac = "rbac.authorization.k8s.io"
        wanted = place.resource + (f"/{place.subresource}" if place.subresource else "")
        for binding in self.store.all(Place(rbac, "v1", place.namespace or "-", "rolebindings")):
            if user not in [s["name"] for s in binding["subjects"] if s["kind"] == "User"]:
                continue
            name = binding["roleRef"]["name"]
            role = self.store.get(Place(rbac, "v1", place.namespace, "roles", name))
            for rule in role["rules"]:
                named = rule.get("resourceNames")
                if (
                    place.group in rule["apiGroups"]
                    and wanted in rule["resources"]
                    and verb in rule["verbs"]
                    and (not named or place.name in named)
                ):
                    return True
        return False

    def served(self, group: str, version: str) -> bool:
        known = any(g == group for g, _ in self.store.kinds)
        return known or version in _BUILT_IN.get(group, {})


class _Server(ThreadingHTTPServer):
    """Clients may go as they like."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    fake: FakeApiServer
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        del args

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        user = self.fake.users.get(token)
        try:
            if user is None:
                raise RefusedError(401, "Unauthorized", "Unauthorized")
            if self._discovery(path):
                return
            place = place_of(path)
            self._answer(user, place, query, json.loads(text) if text else {})
        except RefusedError as refused:
            self._send(
                refused.code,
                {
                    "kind": "Status",
                    "status": "Failure",
                    "code": refused.code,
                    "reason": refused.reason,
                    "message": str(refused),
                },
            )

    def _answer(self, user: str, place: Place, query: dict[str, str], body: Json) -> None:
        verb = _VERBS.get(self.command) or ("get" if place.name else "list")
        if "watch" in query:
            verb = "watch"
        dry_run = query.get("dryRun") == "All"
        code = 200
        try:
            self._refuse(user, verb, place)
            if verb == "watch":
                self._note(user, verb, place, 200, dry_run)
                self._watch(place, query)
                return
            answer = self._done(verb, place, query, body, dry_run)
            code = 201 if verb == "create" else 200
        except RefusedError as refused:
            self._note(user, verb, place, refused.code, dry_run)
            raise
        self._note(user, verb, place, code, dry_run)
        failing = self.fake.failing.get((verb, place.resource))
        if failing and failing[0] > 0:
            failing[0] -= 1
            self.close_connection = True  # done, and nobody hears of it
            return
        self._send(code, answer)

    def _refuse(self, user: str, verb: str, place: Place) -> None:
        if not self.fake.allowed(user, verb, place):
            raise RefusedError(
                403,
                "Forbidden",
                f'{place.resource} is forbidden: User "{user}" cannot {verb} resource '
                f'"{place.resource}" in API group "{place.group}"',
            )
        if not self.fake.served(place.group, place.version):
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        failing = self.fake.failing.get((verb, place.resource))
        if failing and failing[0] > 0 and failing[1] is not None:
            failing[0] -= 1
            raise RefusedError(failing[1], "Injected", "as the test says")

    def _done(
        self, verb: str, place: Place, query: dict[str, str], body: Json, dry_run: bool
    ) -> Json:
        store = self.fake.store
        if verb == "get":
            return store.get(place)
        if verb == "list":
            return self._page(store.all(place), query)
        if verb == "create":
            return store.create(place, body, dry_run)
        if verb == "delete":
            return store.delete(place)
        return store.change(
            place,
            body,
            patch=verb == "patch",
            strategic="strategic" in (self.headers.get("Content-Type") or ""),
            dry_run=dry_run,
        )

    def _page(self, found: list[Json], query: dict[str, str]) -> Json:
        begin = int(query.get("continue") or 0)
        limit = int(query.get("limit") or 0) or len(found) or 1
        more = begin + limit < len(found)
        metadata = {"resourceVersion": str(self.fake.store.version)}
        if more:
            metadata["continue"] = str(begin + limit)
        return {"kind": "List", "metadata": metadata, "items": found[begin : begin + limit]}

    def _watch(self, place: Place, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        since = int(query.get("resourceVersion") or self.fake.store.version)
        until = time.monotonic() + min(float(query.get("timeoutSeconds") or 20), 20)
        try:
            for event in self.fake.store.watch(place, since, until, time.monotonic):
                if self.fake.closed:
                    break
                if not event:
                    continue
                for sent in self.fake.watched(event) if self.fake.watched else (event,):
                    self._chunk(json.dumps(sent).encode() + b"\n")
            self._chunk(b"")
        except OSError:
            self.close_connection = True

    def _chunk(self, part: bytes) -> None:
        self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.flush()

    def _discovery(self, path: str) -> bool:
        """Answer what resources there are, as kopf asks."""
        groups: dict[str, dict[str, list[Json]]] = {}
        for group, versions in _BUILT_IN.items():
            for version, names in versions.items():
                resources = [_resource(name, name.rstrip("s").capitalize()) for name in names]
                groups.setdefault(group, {})[version] = resources
        for (group, plural), definition in self.fake.store.kinds.items():
            version = definition["spec"]["versions"][0]["name"]
            entries = groups.setdefault(group, {}).setdefault(version, [])
            entries.append(_resource(plural, definition["spec"]["names"]["kind"]))
            entries.append(_resource(f"{plural}/status", definition["spec"]["names"]["kind"]))
        parts = [p for p in path.split("/") if p]
        if parts in (["api"], ["version"]):
            self._send(200, {"kind": "APIVersions", "versions": ["v1"], "major": "1"})
        elif parts == ["apis"]:
            listed = []
            for group, versions in groups.items():
                offered = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
                listed.append({"name": group, "versions": offered, "preferredVersion": offered[0]})
            self._send(200, {"kind": "APIGroupList", "groups": [g for g in listed if g["name"]]})
        elif (parts[:1] == ["api"] and len(parts) == 2) or (
            parts[:1] == ["apis"] and len(parts) == 3
        ):
            group = "" if parts[0] == "api" else parts[1]
            resources = groups.get(group, {}).get(parts[-1], [])
            self._send(200, {"kind": "APIResourceList", "resources": resources})
        else:
            return False
        return True

    def _note(self, user: str, verb: str, place: Place, code: int, dry_run: bool) -> None:
        self.fake.log.append(
            Request(
                user,
                verb,
                place.resource,
                place.subresource,
                place.name,
                place.namespace,
                code,
                dry_run,
            )
        )

    def _send(self, code: int, document: Json) -> None:
        content = json.dumps(document).encode()
        try:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True


def _resource(name: str, kind: str) -> Json:
    return {
        "name": name,
        "singularName": kind.lower(),
        "kind": kind,
        "namespaced": True,
        "verbs": ["get", "list", "watch", "patch", "create", "update", "delete"],
    }
