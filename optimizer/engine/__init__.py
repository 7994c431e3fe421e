"""A serving engine's scheduling rules, fast enough to replay days of traffic of a whole fleet."""

from __future__ import annotations

from optimizer.engine.online import Ended, Event, Iteration, OnlineEngine, Sampler, Tokens
from optimizer.engine.routing import Router, RouterPolicy
from optimizer.engine.rules import (
    EngineConfig,
    EngineConfigError,
    KvAccounting,
    Policy,
    Preemption,
    ReplicaRole,
)
from optimizer.engine.traffic import Traffic

__all__ = [
    "Ended",
    "EngineConfig",
    "EngineConfigError",
    "Event",
    "Iteration",
    "KvAccounting",
    "OnlineEngine",
    "Policy",
    "Preemption",
    "ReplicaRole",
    "Router",
    "RouterPolicy",
    "Sampler",
    "Tokens",
    "Traffic",
]
