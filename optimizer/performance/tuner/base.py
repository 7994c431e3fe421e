"""The abstract tuner: what every way to learn a replica's timing promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.tuner.errors import TunerError
from optimizer.performance.tuner.law import LAWS, TimingLaw, law_for
from optimizer.performance.tuner.learnt import LearntTiming
from optimizer.performance.tuner.observation import Observation
from optimizer.performance.tuner.settings import TunedReplica, TunerSettings
from queue_models import Timing, get

__all__ = ["Tuner", "Update"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What a tuner made of one observation.

    Parameters
    ----------
    accepted
        Whether the parameters follow it.
    reason
        Why not, or what is special about it; empty for an ordinary observation.
    nis
        Normalised innovation squared: how far off it was, against what was to be expected; None
        where that was not asked.
    predicted_ms, observed_ms
        What was expected of each time before it was taken in, and what came, by name.
    """

    accepted: bool
    reason: str = ""
    nis: float | None = None
    predicted_ms: Mapping[str, float]
    observed_ms: Mapping[str, float]

    @property
    def residuals(self) -> dict[str, float]:
        """Observed over predicted, less 1, by name."""
        return {
            name: self.observed_ms[name] / expected - 1
            for name, expected in self.predicted_ms.items()
            if expected > 0
        }


class Tuner(ABC):
    """Learns the timing of one replica from observations, one after the other.

    No observation, whatever it is, makes a parameter zero, negative or not a number. A tuner is
    registered in the entry-point group `fleetopt.tuners`.

    Parameters
    ----------
    replica
        The replica; see `TunedReplica`.
    start
        Timing to start from; None: it is made from the first observations.
    settings
        See `TunerSettings`.

    Attributes
    ----------
    name
        Name in the registry.
    summary
        One line on what it is and when to choose it.
    source
        Where the formulas come from.
    observes
        Kind of observation that it learns from.

    Raises
    ------
    TunerError
        If the law is unknown, or the start is of another kind.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str] = ""
    observes: ClassVar[type[Observation]]

    def __init__(
        self,
        replica: TunedReplica,
        start: Timing | None = None,
        settings: TunerSettings | None = None,
    ) -> None:
        self.replica = replica
        self.settings = settings or TunerSettings()
        self.law = _law(replica)
        self.start: FloatArray | None = None
        if start is not None:
            self.start = np.array(self.law.values_of(start), dtype=np.float64).reshape(-1)
            if self.start.size != len(self.law.parameters):
                raise TunerError("start: the timing of one replica is wanted, came several")

    @abstractmethod
    def update(self, observation: Observation) -> Update:
        """Take an observation into account, or say why not; never raises for what it says."""

    @property
    @abstractmethod
    def learnt(self) -> LearntTiming | None:
        """What is known now; None before there is anything to know it from."""

    @abstractmethod
    def checkpoint(self) -> dict[str, Any]:
        """Return all that it knows as a document for JSON; `restore` goes on bit for bit."""

    @classmethod
    @abstractmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Return a tuner that goes on where another was checkpointed.

        Raises
        ------
        TunerError
            If the document is of another tuner or version, or damaged.
        """

    def header(self) -> dict[str, Any]:
        """Return the part of a checkpoint that all tuners have in common."""
        return {
            "schema_version": 1,
            "tuner": self.name,
            "replica": asdict(self.replica),
            "settings": asdict(self.settings),
            "start": None if self.start is None else self.start.tolist(),
        }

    @classmethod
    def from_header(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Return a tuner that has learnt nothing, as a checkpoint's header says.

        Raises
        ------
        TunerError
            If the checkpoint is of another tuner or version, or damaged.
        """
        found = checkpoint.get("tuner"), checkpoint.get("schema_version")
        if found != (cls.name, 1):
            raise TunerError(
                f"checkpoint of {found[0]!r}, version {found[1]!r}: wanted {cls.name!r}, version 1"
            )
        try:
            tuner = cls(
                TunedReplica(**checkpoint["replica"]),
                settings=TunerSettings(**checkpoint["settings"]),
            )
            start = checkpoint["start"]
            tuner.start = None if start is None else np.array(start, dtype=np.float64)
        except (KeyError, TypeError) as error:
            raise TunerError(f"checkpoint: not readable: {error}") from error
        return tuner


def _law(replica: TunedReplica) -> TimingLaw:
    if replica.law is None:
        return law_for(get(replica.queue_model))
    if replica.law not in LAWS:
        raise TunerError(f"unknown law '{replica.law}'; known: {', '.join(LAWS)}")
    return LAWS[replica.law]
