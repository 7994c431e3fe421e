"""Tuners: the timing of a replica learnt from what is observed of it."""

from __future__ import annotations

from optimizer.performance.tuner.base import Tuner, Update
from optimizer.performance.tuner.errors import BrokenTunerError, TunerError, UnknownTunerError
from optimizer.performance.tuner.law import LAWS, TimingLaw, law_for
from optimizer.performance.tuner.learnt import LearntTiming
from optimizer.performance.tuner.observation import (
    Observation,
    ServingObservation,
    StepObservation,
)
from optimizer.performance.tuner.registry import describe, get, names
from optimizer.performance.tuner.settings import TunedReplica, TunerSettings

__all__ = [
    "LAWS",
    "BrokenTunerError",
    "LearntTiming",
    "Observation",
    "ServingObservation",
    "StepObservation",
    "TimingLaw",
    "TunedReplica",
    "Tuner",
    "TunerError",
    "TunerSettings",
    "UnknownTunerError",
    "Update",
    "describe",
    "get",
    "law_for",
    "names",
]
