"""Instant queries to Prometheus' HTTP API; what goes wrong is a reason, not an exception."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from optimizer.control.errors import ControlError
from optimizer.control.spec import MissingReason

if TYPE_CHECKING:
    import httpx

__all__ = ["Answer", "PrometheusQueries", "Sample", "escaped", "selector"]

_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
# Answers longer than this are not read [bytes].
_MOST_BYTES = 32 * 2**20


def escaped(value: str) -> str:
    """Return a label's value as it stands between the quotes of PromQL.

    References
    ----------
    .. [1] Prometheus documentation, *Querying basics: string literals*; as in Go.
    """
    marks = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\x00"}
    return "".join(marks.get(mark, mark) for mark in value)


def selector(name_pattern: str, labels: Mapping[str, str]) -> str:
    """Return a selector of series by a pattern of their name and by labels, escaped."""
    matchers = [f'__name__=~"{escaped(name_pattern)}"']
    matchers += [f'{label}="{escaped(value)}"' for label, value in labels.items()]
    return "{" + ",".join(matchers) + "}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an answer."""

    labels: Mapping[str, str]
    value: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Samples, or why there are none.

    Parameters
    ----------
    samples
        May be empty: the server knows of no such series.
    missing, detail
        Why nothing came; None where something could have.
    """

    samples: tuple[Sample, ...] = ()
    missing: MissingReason | None = None
    detail: str = ""


class PrometheusQueries:
    """Asks one Prometheus server.

    Parameters
    ----------
    url
        Its address, such as `http://prometheus:9090`.
    timeout_s
        For every query [s].
    headers
        Of every request, such as an authorisation.
    ca_file
        Certificates to be trusted; by default those of the system.
    transport
        For tests; by default the network.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 10.0,
        headers: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        import ssl

        import httpx

        if not url.startswith(("http://", "https://")):
            raise ControlError(
                f"collector 'prometheus': url = {url!r}: must begin with http:// or https://"
            )
        verify: bool | ssl.SSLContext = True
        if ca_file is not None:
            try:
                verify = ssl.create_default_context(cafile=ca_file)
            except OSError as error:
                raise ControlError(
                    f"collector 'prometheus': ca_file = {ca_file!r}: cannot be read: {error}"
                ) from error
        self._client = httpx.Client(
            base_url=url.rstrip("/"),
            timeout=timeout_s,
            headers=dict(headers or {}),
            verify=verify,
            transport=transport,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close its connections."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def ask(self, query: str, at_s: float | None = None) -> Answer:
        """Return what an instant query finds."""
        import httpx

        form = {"query": query} | ({} if at_s is None else {"time": f"{at_s:.3f}"})
        try:
            response = self._client.post("/api/v1/query", data=form)
        except httpx.TimeoutException as error:
            return Answer(missing=MissingReason.TIMEOUT, detail=_words(error))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(missing=MissingReason.UNREACHABLE, detail=_words(error))
        status = response.status_code
        if status in (401, 403):
            return Answer(missing=MissingReason.REFUSED, detail=f"HTTP {status}")
        if status >= _SERVER_ERRORS or status == _TOO_MANY_REQUESTS:
            return Answer(missing=MissingReason.SERVER_ERROR, detail=f"HTTP {status}")
        if len(response.content) > _MOST_BYTES:
            return Answer(missing=MissingReason.BAD_ANSWER, detail="the answer is too long")
        try:
            document = response.json()
        except ValueError as error:
            return _nonsense(f"HTTP {status}, no JSON: {error}")
        return _read(document, status)


def _read(document: Any, status: int) -> Answer:
    """Read a document of the API."""
    if not isinstance(document, dict):
        return _nonsense(f"HTTP {status}, not an object")
    if document.get("status") != "success":
        return _nonsense(f"HTTP {status}: {document.get('errorType')}: {document.get('error')}")
    data = document.get("data")
    if not isinstance(data, dict) or data.get("resultType") != "vector":
        return _nonsense("the answer is no instant vector")
    try:
        samples = tuple(
            Sample(
                labels={str(k): str(v) for k, v in entry["metric"].items()},
                value=_number(entry["value"][1]),
                at_s=float(entry["value"][0]),
            )
            for entry in data["result"]
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        return _nonsense(f"a sample cannot be read: {type(error).__name__}: {error}")
    return Answer(samples)


def _number(text: object) -> float:
    """Return the value of a sample, which is written as text; NaN and infinities are values."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is no text")
    return float(text)


def _nonsense(detail: str) -> Answer:
    return Answer(missing=MissingReason.BAD_ANSWER, detail=detail[:300])


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
