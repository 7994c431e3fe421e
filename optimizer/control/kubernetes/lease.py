"""A Lease that one process holds at a time: who does not hold it writes nothing.

The rules are those of Kubernetes' own leader election: a holder that has not renewed for
`leaseDurationSeconds`, as measured on the clock of whoever wants the lease, has lost it; the holder
itself stops earlier.

References
----------
.. [1] Kubernetes, client-go, `tools/leaderelection`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from optimizer.control.kubernetes.api_server import ApiError, ApiServer
from optimizer.control.kubernetes.names import path_of

__all__ = ["LeaseLock", "new_identity"]

Json = dict[str, Any]

# Of its duration, the share after which a holder that could not renew stops to write, and the
# share after which it renews.
_TRUSTED_SHARE = 2.0 / 3.0
_RENEWED_SHARE = 1.0 / 4.0
_NOT_FOUND, _CONFLICT = 404, 409


def new_identity() -> str:
    """Return a name that no other process has, past or present, not even one of the same pod."""
    return f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"


class LeaseLock:
    """Tries to hold one Lease.

    Parameters
    ----------
    server
        The API server.
    namespace, name
        Of the Lease.
    identity
        Ours; no other process, past or present, has it.
    duration_s
        After so long without renewal others may take it [s].
    clocks
        Each must agree that the lease is fresh: one of them may stand still while the process or
        its machine does. By default the monotonic and the wall clock.
    """

    def __init__(
        self,
        server: ApiServer,
        namespace: str,
        name: str,
        identity: str,
        duration_s: float = 15.0,
        clocks: tuple[Callable[[], float], ...] = (time.monotonic, time.time),
    ) -> None:
        self._server, self._identity, self._duration_s = server, identity, duration_s
        self._namespace, self._name = namespace, name
        self._collection = path_of(
            "apis", "coordination.k8s.io", "v1", "namespaces", namespace, "leases"
        )
        self._clocks = clocks
        self._lock = threading.Lock()
        self._renewed: tuple[float, ...] | None = None
        self._seen: tuple[str, float] = ("", 0.0)  # the record of another holder, since when
        self._released = False
        self.detail = "not tried yet"
        """Why it is not held, or could not be renewed."""

    def valid(self) -> bool:
        """Whether it is held, and was renewed so lately that nobody else can have taken it."""
        renewed = self._renewed
        if renewed is None:
            return False
        limit = self._duration_s * _TRUSTED_SHARE
        return all(
            0 <= now() - then < limit for now, then in zip(self._clocks, renewed, strict=True)
        )

    def hold(self) -> bool:
        """Take the lease if it is free, renew it if it is ours; whether it is held."""
        with self._lock:
            if self._released:
                return False
            # Before the request: its answer may take long.
            begun = tuple(now() for now in self._clocks)
            try:
                held = self._take()
            except ApiError as error:
                self.detail = str(error)
                return self.valid()
            self._renewed = begun if held else None
            return held

    def keep(self, stop: threading.Event) -> None:
        """Hold it again and again until somebody says that it is enough; for a thread."""
        while not stop.wait(self._duration_s * _RENEWED_SHARE):
            self.hold()

    def release(self) -> None:
        """Give it back, so that nobody has to wait for its end; it is not taken again."""
        with self._lock:
            held, self._renewed, self._released = self.valid(), None, True
            if not held:
                return
            try:
                found = self._server.get(f"{self._collection}{path_of(self._name)}")
                if found["spec"].get("holderIdentity") == self._identity:
                    self._write(found, {**found["spec"], "holderIdentity": ""})
            except ApiError as error:
                self.detail = str(error)

    def _take(self) -> bool:
        """Create, renew or take over; whether it is ours now."""
        try:
            found = self._server.get(f"{self._collection}{path_of(self._name)}")
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            return self._created()
        spec = found.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder not in ("", self._identity) and not self._expired(found):
            self.detail = f"held by {holder}"
            return False
        renewed: Json = {**spec, **self._record(), "acquireTime": spec.get("acquireTime")}
        if holder != self._identity:
            renewed["acquireTime"] = renewed["renewTime"]
            renewed["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        return self._write(found, renewed)

    def _created(self) -> bool:
        record = self._record()
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {**record, "acquireTime": record["renewTime"], "leaseTransitions": 0},
        }
        try:
            self._server.create(self._collection, body)
        except ApiError as error:
            if error.status != _CONFLICT:
                raise
            self.detail = "somebody else took it first"
            return False
        self.detail = ""
        return True

    def _write(self, found: Json, spec: Json) -> bool:
        """Replace the version that was looked at; whether nobody was faster."""
        try:
            self._server.replace(
                f"{self._collection}{path_of(self._name)}", {**found, "spec": spec}
            )
        except ApiError as error:
            if error.status != _CONFLICT:
                raise
            self.detail = "somebody else took it first"
            return False
        self.detail = ""
        return True

    def _expired(self, found: Json) -> bool:
        """Whether another's record has not changed for its whole duration, by our clock."""
        version = str(found["metadata"].get("resourceVersion"))
        now_s = self._clocks[0]()
        if self._seen[0] != version:
            self._seen = (version, now_s)
        lasts_s = float(found["spec"].get("leaseDurationSeconds") or self._duration_s)
        return now_s - self._seen[1] >= lasts_s

    def _record(self) -> Json:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(round(self._duration_s), 1),
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
