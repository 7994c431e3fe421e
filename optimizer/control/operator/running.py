"""The operator's process: kopf watches the objects, a thread of ours looks at the fleet.

Kopf tells that something changed; what is done is always found from the objects as they are, so a
lost, doubled or late message changes nothing. Nothing of kopf's is written into the objects.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from optimizer.control.errors import ActuationError, MissingExtraError
from optimizer.control.kubernetes import Credentials
from optimizer.control.kubernetes.lease import LeaseLock
from optimizer.control.operator.health import Health
from optimizer.control.operator.metrics import OperatorMetrics
from optimizer.control.operator.reconciler import Reconciler
from optimizer.control.operator.resources import (
    ANNOTATION_APPROVE,
    ANNOTATION_INVOKE,
    ANNOTATION_PAUSED,
    GROUP,
    KINDS,
    VERSION,
)

if TYPE_CHECKING:
    import kopf

__all__ = ["OperatorLoop", "watch"]

_log = logging.getLogger(__name__)

# Changes that come together are looked at together [s].
_TOGETHER_S = 0.3
# Kopf signs in again after so long: tokens of pods are renewed [s].
_SIGNED_IN_S = 600.0


class OperatorLoop:
    """Looks at the fleet by the clock and when it is woken.

    Parameters
    ----------
    reconciler, lease, metrics, health
        What it drives and tells.
    """

    def __init__(
        self, reconciler: Reconciler, lease: LeaseLock, metrics: OperatorMetrics, health: Health
    ) -> None:
        self._reconciler, self._lease = reconciler, lease
        self._metrics, self._health = metrics, health
        self._known: dict[str, object] = {}
        self._wake = threading.Event()
        self.stop = threading.Event()
        """Set at the end, and where it cannot go on."""
        self._threads = [
            threading.Thread(target=self._run, name="fleet", daemon=True),
            threading.Thread(target=lease.keep, args=(self.stop,), name="lease", daemon=True),
        ]

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def notice(self, kind: str | None, body: Any) -> None:
        """Hear that an object came, changed or went; statuses and what we wrote wake nobody."""
        metadata = body["metadata"]
        uid = str(metadata.get("uid"))
        if kind == "DELETED":
            self._known.pop(uid, None)
            self._wake.set()
            return
        annotations = metadata.get("annotations") or {}
        told = (
            metadata.get("generation"),
            annotations.get(ANNOTATION_PAUSED),
            annotations.get(ANNOTATION_APPROVE),
            annotations.get(ANNOTATION_INVOKE),
            metadata.get("deletionTimestamp"),
        )
        if self._known.get(uid) != told:
            self._known[uid] = told
            self._wake.set()

    def end(self, within_s: float = 30.0) -> None:
        """Stop after the look that goes on now, and give the lease back."""
        self.stop.set()
        self._wake.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(within_s)
        if not self._threads[0].is_alive():  # else it may write still: let the lease run out
            self._lease.release()
        self._reconciler.close()

    def _run(self) -> None:
        try:
            last_s = 0.0
            while not self.stop.is_set():
                self._wake.clear()
                last_s = max(last_s, time.time())  # never back, whatever is done to the clock
                self._look(last_s)
                if self._wake.wait(self._reconciler.observe_s):
                    self.stop.wait(_TOGETHER_S)
        finally:
            self.stop.set()

    def _look(self, now_s: float) -> None:
        begun_s = time.monotonic()
        try:
            look = self._reconciler.step(now_s)
        except ActuationError as error:
            _log.warning("nothing was done: %s", error)
            self._metrics.note_failure()
        else:
            self._metrics.note(look, time.monotonic() - begun_s)
        self._health.beat()


def watch(loop: OperatorLoop, credentials: Credentials, namespace: str) -> None:
    """Run until the process is told to end, or the loop cannot go on.

    Raises
    ------
    MissingExtraError
        If kopf is not installed.
    """
    try:
        import kopf
    except ImportError as error:
        raise MissingExtraError(
            "the operator needs the package kopf; pip install 'fleetopt[operator]'"
        ) from error
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.networking.request_timeout = 30
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    loop.start()
    try:
        kopf.run(
            registry=_registry(loop, credentials),
            settings=settings,
            standalone=True,
            namespaces=[namespace],
            stop_flag=loop.stop,
        )
    finally:
        loop.end()


def _registry(loop: OperatorLoop, credentials: Credentials) -> kopf.OperatorRegistry:
    """Return what kopf calls."""
    import kopf

    registry = kopf.OperatorRegistry()

    def sign_in(**_: object) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(
            server=credentials.server,
            ca_data=None if credentials.ca is None else credentials.ca.encode(),
            insecure=not credentials.verify,
            token=credentials.bearer(),
            certificate_data=credentials.certificate,
            private_key_data=credentials.key,
            expiration=datetime.now(UTC) + timedelta(seconds=_SIGNED_IN_S),
        )

    async def notice(event: Any, **_: object) -> None:
        loop.notice(event["type"], event["object"])

    def ended(**_: object) -> None:
        loop.stop.set()  # kopf waits for it in a thread, which has to end before it can

    kopf.on.login(registry=registry)(sign_in)
    kopf.on.cleanup(registry=registry)(ended)
    for kind in KINDS.values():
        kopf.on.event(GROUP, VERSION, kind.plural, registry=registry)(notice)
    return registry
