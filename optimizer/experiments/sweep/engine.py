"""Where scenarios are worked on: in this process, in others beside it, or on a cluster."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from optimizer.experiments.errors import ExperimentError

__all__ = ["Engine", "EngineKind", "parse_engine"]


class EngineKind(StrEnum):
    """What does the work."""

    SERIAL = "serial"  # this process, one after the other
    LOCAL = "local"  # processes beside it
    DASK = "dask"  # the workers of a running Dask scheduler
    RAY = "ray"  # the workers of a running Ray cluster


@dataclass(frozen=True, slots=True)
class Engine:
    """Who works.

    Parameters
    ----------
    kind
        What does the work.
    processes
        Of `local`: how many.
    address
        Of a cluster: where its scheduler answers, as the cluster's own library takes it.
    """

    kind: EngineKind
    processes: int = 1
    address: str = ""

    def __str__(self) -> str:
        """As the command line takes it."""
        if self.kind is EngineKind.LOCAL:
            return f"local:{self.processes}"
        return f"{self.kind}://{self.address}" if self.address else str(self.kind)


def parse_engine(text: str) -> Engine:
    """Read `serial`, `local`, `local:4`, `dask://host:port`, `ray://host:port` or `ray://auto`.

    Raises
    ------
    ExperimentError
        If it is none of them.
    """
    scheme, separator, rest = text.partition("://")
    if separator and scheme in (EngineKind.DASK, EngineKind.RAY):
        return Engine(EngineKind(scheme), address=_address(text, scheme, rest))
    name, colon, count = text.partition(":")
    if name == EngineKind.SERIAL and not colon:
        return Engine(EngineKind.SERIAL)
    if name == EngineKind.LOCAL and not colon:
        return Engine(EngineKind.LOCAL, processes=os.cpu_count() or 1)
    if name == EngineKind.LOCAL and count.isdecimal() and 1 <= int(count) <= 10_000:
        return Engine(EngineKind.LOCAL, processes=int(count))
    raise _unknown(text)


def _address(text: str, scheme: str, rest: str) -> str:
    if scheme == EngineKind.RAY and rest == "auto":
        return rest
    parts = urlsplit(f"//{rest}")
    try:
        complete = parts.hostname and parts.port is not None and not parts.path
    except ValueError:  # a port that is no number, or too large
        complete = False
    if not complete:
        raise _unknown(text)
    return rest


def _unknown(text: str) -> ExperimentError:
    return ExperimentError(
        f"engine '{text}': must be serial, local, local:PROCESSES, dask://HOST:PORT, "
        f"ray://HOST:PORT or ray://auto"
    )
