"""The custom resources of one namespace: read together, told of one by one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from optimizer.control.kubernetes import ApiError, ApiServer, path_of
from optimizer.control.operator.conditions import Told, as_time, changed, conditions_of
from optimizer.control.operator.resources import GROUP, KINDS, VERSION

__all__ = ["Objects"]

Json = dict[str, Any]

_log = logging.getLogger(__name__)
# Of one cycle; what happens oftener is told by conditions and metrics.
_MOST_EVENTS = 50
_MOST_MESSAGE = 1024  # characters of an event's message, by the API


class Objects:
    """Reads, statuses and events of one namespace.

    Parameters
    ----------
    server
        The API server.
    namespace
        The namespace.
    writer
        Who tells, in events.
    """

    def __init__(self, server: ApiServer, namespace: str, writer: str) -> None:
        self._server, self._namespace, self._writer = server, namespace, writer
        self._last: dict[tuple[str, str], str] = {}
        self._events_left = _MOST_EVENTS

    def read(self) -> list[Json]:
        """Return all objects that are not on their way out.

        Raises
        ------
        ApiError
            If one kind cannot be listed: part of a fleet is not a fleet.
        """
        self._events_left = _MOST_EVENTS
        found = []
        for kind in KINDS.values():
            for item in self._server.items(self._path(kind.plural)):
                if "deletionTimestamp" not in item["metadata"]:
                    found.append({**item, "kind": kind.kind})
        return found

    def tell(
        self, item: Json, told: Sequence[Told], now_s: float, figures: Mapping[str, Any] | None
    ) -> None:
        """Bring an object's status up to date; where it is, nothing is written."""
        before = item.get("status") or {}
        generation = int(item["metadata"].get("generation", 1))
        old = before.get("conditions") or ()
        status = {
            **before,
            **(figures or {}),
            "observedGeneration": generation,
            "conditions": conditions_of(told, old, generation, now_s),
        }
        status = {key: value for key, value in status.items() if value is not None}
        if status == before:
            return
        gone = {key: None for key in before if key not in status}
        kind = KINDS[item["kind"]]
        try:
            self._server.merge(
                self._path(kind.plural, item["metadata"]["name"], "status"),
                {"status": {**gone, **status}},
            )
        except ApiError as error:
            _log.warning("the status of %s was not told: %s", item["metadata"]["name"], error)
            return
        for one in changed(told, old):
            self.event(item, one.reason, f"{one.kind}: {one.message}", now_s, well=one.well)

    def event(self, item: Json, reason: str, message: str, now_s: float, *, well: bool) -> None:
        """Say what happened; the same again and again is said once."""
        key = (item["metadata"].get("uid", ""), reason)
        if self._events_left <= 0 or self._last.get(key) == message:
            return
        self._last[key] = message
        self._events_left -= 1
        name = item["metadata"]["name"]
        time = as_time(now_s)
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{name[:200]}.", "namespace": self._namespace},
            "involvedObject": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": item["kind"],
                "name": name,
                "namespace": self._namespace,
                "uid": item["metadata"].get("uid", ""),
            },
            "reason": reason,
            "message": message[:_MOST_MESSAGE],
            "type": "Normal" if well else "Warning",
            "source": {"component": self._writer},
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        }
        try:
            self._server.create(path_of("api", "v1", "namespaces", self._namespace, "events"), body)
        except ApiError as error:
            _log.warning("an event was not told: %s", error)

    def _path(self, *segments: str) -> str:
        return path_of("apis", GROUP, VERSION, "namespaces", self._namespace, *segments)
