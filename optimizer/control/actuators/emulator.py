"""Emulated replicas that are added and removed over HTTP: one emulator per variant."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from optimizer.control.actuators.base import Actuator, outcome
from optimizer.control.actuators.variant_entries import read_entries, variants_meant
from optimizer.control.errors import ActuationError, ControlError
from optimizer.control.spec import (
    Order,
    OrderOutcome,
    OrderResult,
    ReplicaCount,
    ReplicaCounts,
    Variant,
)
from optimizer.spec.base import SpecModel
from optimizer.spec.fleet_spec import FleetSpec

if TYPE_CHECKING:
    import httpx

__all__ = ["EmulatorActuator"]

_TOKEN_VARIABLE = "FLEETOPT_ADMIN_TOKEN"
_PATH = "/admin/replicas"
_MS_PER_S = 1000.0
_MOST_BYTES = 2**20


class _Replica(SpecModel, extra="ignore"):
    phase: str
    added_ms: float


class _Replicas(SpecModel, extra="ignore"):
    now_ms: float
    replicas: list[_Replica] = Field(max_length=100_000)

    def count(self, variant: Variant) -> ReplicaCount:
        """Return them as a controller counts them."""
        phases = [one.phase for one in self.replicas]
        ready, stopping = phases.count("ready"), phases.count("draining")
        waits_ms = [
            self.now_ms - one.added_ms
            for one in self.replicas
            if one.phase not in ("ready", "draining")
        ]
        return ReplicaCount(
            variant=variant,
            wanted=len(phases) - stopping,
            ready=ready,
            pending=len(waits_ms),
            stopping=stopping,
            pending_for_s=max(max(waits_ms, default=0.0), 0.0) / _MS_PER_S,
        )


class EmulatorActuator(Actuator):
    """Sets how many replicas emulators have (`fleetopt serve --admin-token`).

    Options: `servers`, a list of entries with the keys of a variant and `url`, the address of its
    emulator; `timeout_s` of every call, and `token_file`, in place of the environment's
    FLEETOPT_ADMIN_TOKEN. Variants without an emulator are not available to the plans.
    """

    name = "emulator"
    summary = "emulated replicas of `fleetopt serve`, over HTTP"

    def __init__(
        self,
        fleet: FleetSpec,
        folder: Path,
        options: Mapping[str, Any],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        import httpx

        rest = dict(options)
        file, timeout_s = rest.pop("token_file", None), rest.pop("timeout_s", 10.0)
        servers = rest.pop("servers", [])
        super().__init__(fleet, folder, rest)
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or timeout_s <= 0:
            raise ControlError(
                f"actuator 'emulator': timeout_s = {timeout_s!r}: must be above 0 (s)"
            )
        self._given = read_entries("actuator 'emulator': servers", servers, "url")
        for url in self._given.values():
            if not url.startswith(("http://", "https://")):
                raise ControlError(
                    f"actuator 'emulator': url = {url!r}: must begin with http:// or https://"
                )
        self._url_of = dict(self._given)
        self._seen: dict[Variant, int] = {}
        self._client = httpx.Client(
            timeout=float(timeout_s),
            headers={"Authorization": f"Bearer {_token(folder, file)}"},
            transport=transport,
            follow_redirects=False,
        )

    def begin(self, variants: Sequence[Variant]) -> None:
        """Find the variant of every entry; refuse emulators of what the fleet does not have."""
        found, unmatched = variants_meant("the emulator at", self._given, variants)
        for words in unmatched.values():
            raise ControlError(f"actuator 'emulator': {words}")
        self._url_of = found

    def deployable(self) -> frozenset[Variant]:
        """Return the variants that have an emulator."""
        return frozenset(self._url_of)

    def counts(self, now_s: float) -> ReplicaCounts:
        """Ask every emulator; nothing is known where one of them does not answer."""
        found = []
        for variant, url in self._url_of.items():
            result, told = self._call("GET", url, None)
            if isinstance(told, str):
                raise ActuationError(f"the emulator at {url}: {result}: {told}")
            found.append(told.count(variant))
        self._seen = {count.variant: count.wanted for count in found}
        return ReplicaCounts(at_s=now_s, counts=tuple(found))

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Set the replicas, unless somebody else has changed them since they were counted."""
        del now_s
        url = self._url_of.get(order.variant)
        if url is None:
            return outcome(order, OrderResult.REFUSED, "no emulator stands for this variant")
        result, told = self._call("GET", url, None)
        if isinstance(told, str):
            return outcome(order, result, told)
        there = told.count(order.variant).wanted
        if there == order.replicas:
            return outcome(order, OrderResult.UNCHANGED)
        if there != self._seen.get(order.variant):
            words = f"it was set to {there} by somebody else since it was looked at"
            return outcome(order, OrderResult.CONFLICT, words)
        result, told = self._call("PUT", url, {"count": order.replicas})
        if isinstance(told, str):
            return outcome(order, result, told)
        self._seen[order.variant] = order.replicas
        return outcome(order, OrderResult.APPLIED)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _call(
        self, method: str, url: str, body: object
    ) -> tuple[OrderResult, _Replicas] | tuple[OrderResult, str]:
        """Return the replicas that are there; what went wrong, where that is not told."""
        import httpx

        try:
            answer = self._client.request(method, url.rstrip("/") + _PATH, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return OrderResult.FAILED, f"{type(error).__name__}: {error}"[:300]
        if answer.status_code >= 500 or answer.status_code == 429:
            return OrderResult.FAILED, f"HTTP {answer.status_code}"
        if answer.status_code != 200 or len(answer.content) > _MOST_BYTES:
            words = answer.text[:200].replace("\n", " ")
            return OrderResult.REFUSED, f"HTTP {answer.status_code}: {words}"
        try:
            return OrderResult.APPLIED, _Replicas.model_validate_json(answer.content)
        except ValidationError as error:
            return OrderResult.FAILED, f"not an emulator's answer: {error.error_count()} fault(s)"


def _token(folder: Path, file: object) -> str:
    """Return the token of a file beside the configuration, or of the environment."""
    if file is None:
        return os.environ.get(_TOKEN_VARIABLE, "")
    if not isinstance(file, str):
        raise ControlError(
            f"actuator 'emulator': token_file = {file!r}: must be the name of a file"
        )
    try:
        return (folder / file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is no text"
        raise ControlError(
            f"actuator 'emulator': token_file = {file!r}: cannot be read: {words}"
        ) from error
