"""Queueing models of one LLM inference replica: arrays in, arrays out."""

from __future__ import annotations

from queue_models.arrivals_by_state import StateDependentArrivals
from queue_models.base import Metric, QueueMetrics, QueueModel, Statistic, Target, Targets
from queue_models.batch_service import BatchServiceQueue, inoue_bound, take_all_queue
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
from queue_models.limited_sharing import limited_sharing_queue
from queue_models.mdc import mdc_wait, mdc_wait_quantile, mdc_wait_tail
from queue_models.multi_server import (
    WaitApproximation,
    cosmetatos_factor,
    ggc_wait,
    ggc_wait_quantile,
    pollaczek_khinchine_wait,
)
from queue_models.priorities import (
    mg1_priority_waits,
    mmc_priority_wait_quantile,
    mmc_priority_wait_tail,
    mmc_priority_waits,
    shared_priority_waits,
)
from queue_models.process import Role, Routing, ServiceProcess
from queue_models.registry import PluginInfo, describe, get, names
from queue_models.sojourn import SojournTime
from queue_models.tagged import TaggedRequests
from queue_models.tandem import Tandem, TandemMetrics, evaluate_tandem, tandem_max_rate
from queue_models.time_varying import (
    TimeVaryingMetrics,
    modified_offered_load,
    pointwise_stationary,
)
from queue_models.timing import IterationTiming, PrefillDecodeTiming, TableTiming, Timing
from queue_models.work import RequestWork

__all__ = [
    "BatchServiceQueue",
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
    "SojournTime",
    "StateDependentArrivals",
    "Statistic",
    "SteadyState",
    "TableTiming",
    "TaggedRequests",
    "Tandem",
    "TandemMetrics",
    "Target",
    "Targets",
    "TimeVaryingMetrics",
    "Timing",
    "UnknownQueueModelError",
    "UnstableError",
    "WaitApproximation",
    "cosmetatos_factor",
    "describe",
    "erlang_b",
    "erlang_c",
    "evaluate_tandem",
    "get",
    "ggc_wait",
    "ggc_wait_quantile",
    "inoue_bound",
    "limited_sharing_queue",
    "mdc_wait",
    "mdc_wait_quantile",
    "mdc_wait_tail",
    "mg1_priority_waits",
    "mmc_priority_wait_quantile",
    "mmc_priority_wait_tail",
    "mmc_priority_waits",
    "mmc_queue",
    "mmc_wait_quantile",
    "mmck_queue",
    "mmck_wait_quantile",
    "modified_offered_load",
    "names",
    "pointwise_stationary",
    "pollaczek_khinchine_wait",
    "shared_priority_waits",
    "take_all_queue",
    "tandem_max_rate",
]
