"""Decisions in a ConfigMap: a restart anywhere in the cluster goes on with them.

Every write names the version that it replaces. Whoever goes on from a state writes it again first;
one whose lease was taken meanwhile then meets a conflict, and changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import logging
import math
from collections.abc import Callable
from typing import Any

from optimizer.control.errors import JournalError
from optimizer.control.kubernetes import ApiError, ApiServer, path_of

__all__ = ["ConfigMapJournal"]

_log = logging.getLogger(__name__)

_SCHEMA_VERSION = 1
_KEY, _OBJECTS_KEY = "state.json.gz", "objects.json.gz"
_NOT_FOUND, _CONFLICT = 404, 409
# An API server takes 1 MiB for all values of a ConfigMap together.
_MOST_CHARACTERS = 2**20 - 4096


class ConfigMapJournal:
    """The state of one Optimizer, beside it.

    The memory of the forecasts is left out where it does not fit, then that of the objects: loads
    planned for, windows, approvals and orders on their way are what must not be lost.

    Parameters
    ----------
    server
        The API server.
    namespace, name
        Of the ConfigMap.
    fleet
        Whose state it is; that of another is not gone on with.
    confirm
        Whether we still hold the lease, asked of the API server.
    """

    def __init__(
        self,
        server: ApiServer,
        namespace: str,
        name: str,
        fleet: str,
        confirm: Callable[[], bool],
    ) -> None:
        self._server, self._fleet, self._confirm = server, fleet, confirm
        self._collection = path_of("api", "v1", "namespaces", namespace, "configmaps")
        self._path = f"{self._collection}{path_of(name)}"
        self._name = name
        self._version: str | None = None
        self._known = False
        self._too_many: float = math.inf  # services whose forecasts' memory did not fit
        self.objects: dict[str, Any] = {}
        """What is known of the objects, written beside the state."""

    def read_objects(self) -> dict[str, Any]:
        """Return what was known of the objects; nothing where that is not there.

        Raises
        ------
        JournalError
            If it cannot be read.
        """
        return self._unpacked(_OBJECTS_KEY) or {}

    def read(self) -> dict[str, Any] | None:
        """Return the state; None where there is none of this fleet."""
        state = self._unpacked(_KEY)
        return state if state is not None and state.get("fleet") == self._fleet else None

    def _unpacked(self, key: str) -> dict[str, Any] | None:
        try:
            found = self._look()
            text = None if found is None else (found.get("binaryData") or {}).get(key)
            if text is None:
                return None
            state = json.loads(gzip.decompress(base64.b64decode(text, validate=True)))
            if state["schema_version"] != _SCHEMA_VERSION:
                raise ValueError(f"schema_version {state['schema_version']}")
        except (ApiError, binascii.Error, OSError, EOFError, ValueError, KeyError, TypeError) as e:
            raise JournalError(
                f"ConfigMap {self._name} is no state of a controller: {e}; delete it to begin anew"
            ) from e
        return dict(state)

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state, unless somebody else has replaced it since."""
        data = self._fitting(state)
        try:
            if not self._known:
                if not self._confirm():
                    raise JournalError("the lease is not held: nothing is changed")
                self._look()
            self._write({"binaryData": data})
        except ApiError as error:
            self._known = False
            why = "was changed by somebody else" if error.status == _CONFLICT else str(error)
            raise JournalError(f"ConfigMap {self._name}: {why}; nothing is changed") from error

    def _fitting(self, state: dict[str, Any]) -> dict[str, str | None]:
        """Return what there is room for."""
        objects = _packed(self.objects)
        room = _MOST_CHARACTERS - len(objects)
        forecaster = state.get("forecaster") or {}
        services = len(forecaster.get("services", ()))
        if forecaster and services < self._too_many:
            packed = _packed(state)
            if len(packed) <= room:
                return {_KEY: packed, _OBJECTS_KEY: objects}
            _log.info("the forecasts' memory does not fit: after a restart they begin anew")
            self._too_many = services or math.inf
        packed = _packed({**state, "forecaster": {}} if forecaster else state)
        if len(packed) <= room:
            return {_KEY: packed, _OBJECTS_KEY: objects}
        if len(packed) <= _MOST_CHARACTERS:
            _log.warning("what objects said when last valid does not fit beside the state")
            return {_KEY: packed, _OBJECTS_KEY: None}
        raise JournalError(
            f"the state takes {len(packed) / 2**20:.2f} MiB, and a ConfigMap holds 1: control "
            "the services with several Optimizers, in namespaces of their own"
        )

    def _write(self, body: dict[str, Any]) -> None:
        if self._version is None:
            whole = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self._name}}
            written = self._server.create(self._collection, {**whole, **body})
        else:
            against = {"metadata": {"resourceVersion": self._version}}
            written = self._server.merge(self._path, {**against, **body})
        self._version = str(written["metadata"]["resourceVersion"])

    def _look(self) -> dict[str, Any] | None:
        """Take up the version that is there."""
        try:
            found = self._server.get(self._path)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            self._version, self._known = None, True
            return None
        self._version, self._known = str(found["metadata"]["resourceVersion"]), True
        return found


def _packed(state: dict[str, Any]) -> str:
    text = json.dumps({"schema_version": _SCHEMA_VERSION, **state})
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode("ascii")
