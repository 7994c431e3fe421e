"""A small client of Kubernetes' API server: the verbs that are used, with a deadline for each.

Plain HTTP over httpx: what is sent can be read here, and what a role must allow with it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.control.errors import ActuationError, MissingExtraError
from optimizer.control.kubernetes.credentials import Credentials

if TYPE_CHECKING:
    import httpx

__all__ = ["ApiError", "ApiServer", "Items"]

Json = dict[str, Any]

# Objects of one page of a list.
_PAGE = 500
# Answers longer than this are not read [bytes].
_MOST_BYTES = 64 * 2**20
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_GONE = 410


class ApiError(ActuationError):
    """The API server refused, or did not answer.

    Parameters
    ----------
    message
        For people.
    status
        Of HTTP; None where nothing came back, and it is not known what became of the request.
    reason
        Of Kubernetes, such as Conflict.
    """

    def __init__(self, message: str, status: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


@dataclass(frozen=True, slots=True)
class Items:
    """A list of objects, as of one version.

    Parameters
    ----------
    items
        The objects.
    resource_version
        Of the list.
    """

    items: tuple[Json, ...]
    resource_version: str

    def __iter__(self) -> Iterator[Json]:
        """Go through the objects."""
        return iter(self.items)


class ApiServer:
    """One API server.

    Parameters
    ----------
    credentials
        Where it is, and who we are.
    timeout_s
        For a whole request [s].
    dry_run
        Whether writes are checked by the server and then thrown away (`dryRun=All`).
    transport
        For tests; by default the network.

    Raises
    ------
    MissingExtraError
        If httpx is not installed.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        timeout_s: float = 10.0,
        dry_run: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtraError(
                "Kubernetes needs the package httpx; pip install 'fleetopt[control]'"
            ) from error
        self._credentials, self._timeout_s, self._dry_run = credentials, timeout_s, dry_run
        secure = credentials.server.startswith("https://")
        self._client = httpx.Client(
            base_url=credentials.server,
            verify=credentials.ssl_context() if secure else False,
            timeout=timeout_s,
            headers={"Accept": "application/json", "User-Agent": "fleetopt"},
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    @property
    def namespace(self) -> str:
        """Where we are, or work by default."""
        return self._credentials.namespace

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def get(self, path: str, **query: str) -> Json:
        """Return one object.

        Raises
        ------
        ApiError
            As from every request here: if it is refused, or no answer comes in time.
        """
        return self._request("GET", path, query)

    def items(self, path: str, **query: str) -> Items:
        """Return all objects of a collection, page by page; begins anew where a page is gone."""
        try:
            return self._pages(path, query)
        except ApiError as error:
            if error.status != _GONE:
                raise
        return self._pages(path, query)

    def create(self, path: str, body: Json) -> Json:
        """Create an object in a collection."""
        return self._request("POST", path, {}, body)

    def replace(self, path: str, body: Json) -> Json:
        """Replace an object; with a `resourceVersion` in it, if it is still of that version."""
        return self._request("PUT", path, {}, body)

    def merge(self, path: str, body: Json, *, strategic: bool = False) -> Json:
        """Change parts of an object; with a `resourceVersion`, if it is still of that version.

        Parameters
        ----------
        path
            Of the object.
        body
            The parts.
        strategic
            Whether lists of named things are merged by name, as containers are.
        """
        return self._request("PATCH", path, {}, body, _STRATEGIC if strategic else _MERGE)

    def _pages(self, path: str, query: Mapping[str, str]) -> Items:
        found: list[Json] = []
        more = ""
        while True:
            asked = {**query, "limit": str(_PAGE)} | ({"continue": more} if more else {})
            page = self._request("GET", path, asked)
            items, metadata = page.get("items"), page.get("metadata")
            if not isinstance(metadata, dict) or not isinstance(items, list | None):
                raise ApiError(f"GET {path}: the answer is no list of objects")
            found += items or ()
            more = str(metadata.get("continue") or "")
            if not more:
                return Items(tuple(found), str(metadata.get("resourceVersion", "")))

    def _request(
        self,
        verb: str,
        path: str,
        query: Mapping[str, str],
        body: Json | None = None,
        kind: str = "application/json",
    ) -> Json:
        import httpx

        parameters = dict(query)
        if body is not None and self._dry_run:
            parameters["dryRun"] = "All"
        headers = {} if body is None else {"Content-Type": kind}
        token = self._credentials.bearer()
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        content = None if body is None else json.dumps(body).encode()
        until_s = time.monotonic() + self._timeout_s
        read = bytearray()
        try:
            with self._client.stream(
                verb, path, params=parameters, headers=headers, content=content
            ) as response:
                for part in response.iter_bytes():
                    read += part
                    if len(read) > _MOST_BYTES:
                        raise ApiError(f"{verb} {path}: the answer is too long")
                    if time.monotonic() > until_s:
                        raise ApiError(f"{verb} {path}: no whole answer in {self._timeout_s:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            words = f"{type(error).__name__}: {error}"[:300]
            raise ApiError(f"{verb} {path}: no answer: {words}") from error
        return _object(verb, path, response.status_code, bytes(read))


def _object(verb: str, path: str, status: int, content: bytes) -> Json:
    """Read an answer; raise what the server has to say against the request."""
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if 200 <= status < 300 and isinstance(document, dict):
        return document
    if not isinstance(document, dict):
        raise ApiError(f"{verb} {path}: HTTP {status}, and no object", _failed(status))
    message = str(document.get("message", ""))[:500]
    reason = str(document.get("reason", ""))
    raise ApiError(f"{verb} {path}: HTTP {status} {reason}: {message}", status, reason)


def _failed(status: int) -> int | None:
    """Return the status of an answer without an object; a success that cannot be read is none."""
    return None if 200 <= status < 300 else status
