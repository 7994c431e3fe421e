"""Queueing models of one LLM inference replica: arrays in, arrays out."""

from __future__ import annotations

from queue_models.base import Metric, QueueMetrics, QueueModel, Statistic, Target, Targets
from queue_models.birth_death import BirthDeathChain, SteadyState
from queue_models.description import ModelDescription
from queue_models.erlang import (
    MMcKQueue,
    MMcQueue,
    erlang_b,
    erlang_c,
    mmc_queue,
    mmc_wait_quantile,
    mmck_queue,
    mmck_wait_quantile,
)
from queue_models.errors import (
    BrokenPluginError,
    MissingExtraError,
    OutsideValidityError,
    QueueModelError,
    ServiceProcessError,
    UnknownQueueModelError,
    UnstableError,
)
from queue_models.lengths import LengthFamily, Lengths
from queue_models.process import Role, Routing, ServiceProcess
from queue_models.registry import PluginInfo, describe, get, names
from queue_models.timing import IterationTiming, PrefillDecodeTiming, TableTiming, Timing
from queue_models.work import RequestWork

__all__ = [
    "BirthDeathChain",
    "BrokenPluginError",
    "IterationTiming",
    "LengthFamily",
    "Lengths",
    "MMcKQueue",
    "MMcQueue",
    "Metric",
    "MissingExtraError",
    "ModelDescription",
    "OutsideValidityError",
    "PluginInfo",
    "PrefillDecodeTiming",
    "QueueMetrics",
    "QueueModel",
    "QueueModelError",
    "RequestWork",
    "Role",
    "Routing",
    "ServiceProcess",
    "ServiceProcessError",
    "Statistic",
    "SteadyState",
    "TableTiming",
    "Target",
    "Targets",
    "Timing",
    "UnknownQueueModelError",
    "UnstableError",
    "describe",
    "erlang_b",
    "erlang_c",
    "get",
    "mmc_queue",
    "mmc_wait_quantile",
    "mmck_queue",
    "mmck_wait_quantile",
    "names",
]
