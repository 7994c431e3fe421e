"""The abstract queue model: what every model, ours or a guest, promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.errors import OutsideValidityError, ServiceProcessError
from queue_models.process import OPTIONAL_FIELDS, ServiceProcess
from queue_models.timing import Timing

__all__ = ["Metric", "QueueMetrics", "QueueModel", "Statistic", "Target", "Targets"]


# Why a service is refused by a model that does not know one of its fields.
_UNKNOWN: Mapping[str, str] = {
    "input_tokens_scv": "prompts are taken as equally long; input_tokens must be fixed",
    "output_tokens_scv": "outputs are taken as equally long; output_tokens must be fixed",
    "arrival_scv": "arrivals are taken as Poisson; arrival_scv must be 1",
    "queue_capacity": "the queue is taken as endless; queue_capacity must be None or inf",
    "kv_capacity_tokens": "the KV cache is taken to hold any batch; kv_capacity_tokens must be inf",
    "prefix_hit_rate": "prompts are taken to be computed whole; prefix_hit_rate must be 0",
    "draft_tokens": "an iteration is taken to give a token; draft_tokens must be 0",
    "routing": "requests are taken to be spread at random; routing must be RANDOM",
    "role": "a replica is taken to prefill and decode; role must be AGGREGATED",
    "length_covariance": "lengths are taken as independent; length_covariance must be 0",
    "tagged": "latencies are known of all requests together, not of one kind among others",
}


class Metric(StrEnum):
    """A latency of a request, in ms."""

    WAIT = "wait_ms"  # queueing before the first iteration
    TTFT = "ttft_ms"  # time to first token, queueing included
    ITL = "itl_ms"  # time between two consecutive tokens, over all tokens
    TPOT = "tpot_ms"  # (E2E - TTFT) / (output tokens - 1) of one request
    E2E = "e2e_ms"  # arrival to last token


@dataclass(frozen=True, slots=True, order=True)
class Statistic:
    """Mean or percentile of a metric, over accepted requests (over tokens for ITL).

    Parameters
    ----------
    metric
        Which latency.
    percentile
        0 < percentile < 100, or None for the mean.
    """

    metric: Metric
    percentile: float | None = None

    def __post_init__(self) -> None:
        if self.percentile is not None and not 0 < self.percentile < 100:
            raise ServiceProcessError(
                f"percentile = {self.percentile}: must lie between 0 and 100, both excluded"
            )

    def __str__(self) -> str:
        """As in `ttft_ms mean`, `itl_ms p99`."""
        which = "mean" if self.percentile is None else f"p{self.percentile:g}"
        return f"{self.metric} {which}"


@dataclass(frozen=True, eq=False)
class Target:
    """Upper bound on a statistic, per pair.

    Parameters
    ----------
    statistic
        What is bounded.
    bound
        Broadcasts to the process's shape, > 0 ms; `inf` where the pair has no such bound.
    """

    statistic: Statistic
    bound: FloatArray

    def __init__(self, statistic: Statistic, bound: ArrayLike) -> None:
        array = np.array(bound, dtype=np.float64)
        if not np.all(array > 0):
            raise ServiceProcessError(f"bound on {statistic}: must be greater than 0 (ms)")
        array.flags.writeable = False
        object.__setattr__(self, "statistic", statistic)
        object.__setattr__(self, "bound", array)


@dataclass(frozen=True, eq=False)
class Targets:
    """Everything a pair must hold.

    Parameters
    ----------
    targets
        Upper bounds; several may concern one metric.
    promised_throughput
        Broadcasts to the process's shape: pairs whose class promises a throughput. Models that
        keep a margin below saturation for such pairs apply it; None: no pair.
    """

    targets: tuple[Target, ...] = ()
    promised_throughput: BoolArray | None = None

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """The bounded statistics, in order."""
        return tuple(target.statistic for target in self.targets)


@dataclass(frozen=True, eq=False, kw_only=True)
class QueueMetrics:
    """Steady state of every pair; each array has the broadcast shape of process and rate.

    Where a pair is not `stable` (infinite queue and load at or above capacity), waits and what
    includes them are `inf`, and throughput is the capacity.

    Parameters
    ----------
    stable
        Whether a steady state exists.
    throughput_rps
        Accepted (hence completed) requests per second.
    blocking_probability
        Share of arrivals refused by a full queue.
    utilization
        Mean share of the batch in use, in [0, 1].
    concurrency
        Mean number of requests in service.
    queue_length
        Mean number of requests waiting.
    wait_ms, ttft_ms, itl_ms, tpot_ms, e2e_ms
        Means over accepted requests.
    percentiles
        The statistics asked for that are percentiles.
    """

    stable: BoolArray
    throughput_rps: FloatArray
    blocking_probability: FloatArray
    utilization: FloatArray
    concurrency: FloatArray
    queue_length: FloatArray
    wait_ms: FloatArray
    ttft_ms: FloatArray
    itl_ms: FloatArray
    tpot_ms: FloatArray
    e2e_ms: FloatArray
    percentiles: Mapping[Statistic, FloatArray] = field(default_factory=dict)

    def reshape(self, shape: tuple[int, ...]) -> QueueMetrics:
        """Return the same metrics in another shape."""
        return self._each(lambda values: values.reshape(shape))

    def take(self, which: IntArray) -> QueueMetrics:
        """Return the metrics of some pairs.

        Parameters
        ----------
        which
            Positions along the first axis.
        """
        return self._each(lambda values: values[which])

    def _each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> QueueMetrics:
        arrays = {
            f.name: change(getattr(self, f.name)) for f in fields(self) if f.name != "percentiles"
        }
        percentiles = {s: change(values) for s, values in self.percentiles.items()}
        return QueueMetrics(**arrays, percentiles=percentiles)

    def value(self, statistic: Statistic) -> FloatArray:
        """Return the array of a statistic.

        Raises
        ------
        KeyError
            If it is a percentile that was not asked for.
        """
        if statistic.percentile is not None:
            return self.percentiles[statistic]
        mean: FloatArray = getattr(self, str(statistic.metric))
        return mean


class QueueModel(ABC):
    """A queueing model of one replica.

    Concrete models are final, stateless and safe in threads. They are registered in the
    entry-point group `fleetopt.queue_models`.

    Attributes
    ----------
    name
        Name in the registry.
    summary
        One line on what it is and when to choose it.
    timings
        Kinds of timing it understands.
    assumptions
        What it takes for granted, a sentence each.
    honours
        Those of `OPTIONAL_FIELDS` that its answers take into account.
    ignores
        Those that do not matter to its answers, or not by its assumptions. It refuses services that
        ask for any other.
    source
        Where the formulas come from.
    cost
        What a call takes, in words and measured figures.
    keeps_targets
        Whether the largest rate keeps every target by the model's own evaluation, and a service
        without load must hold them at zero load; False for compatibility models, which reproduce
        another system's sizing, faults included.
    conservative
        Whether the answers are bounds on the safe side: latencies upper, rates lower ones.
    bound
        Name of the registered model that answers for this one on the safe side; empty where no
        conservative bound is known.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    timings: ClassVar[frozenset[type[Timing]]]
    assumptions: ClassVar[tuple[str, ...]] = ()
    honours: ClassVar[frozenset[str]] = frozenset()
    ignores: ClassVar[frozenset[str]] = frozenset()
    source: ClassVar[str] = ""
    cost: ClassVar[str] = ""
    keeps_targets: ClassVar[bool] = True
    conservative: ClassVar[bool] = False
    bound: ClassVar[str] = ""

    @abstractmethod
    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why the model does not hold: a reason in words -> mask of the pairs it concerns.

        Empty when it holds everywhere.
        """

    @abstractmethod
    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        """Return the steady state at these arrival rates.

        Parameters
        ----------
        service
            The pairs.
        arrival_rate_rps
            Offered requests per second per replica, >= 0; broadcasts with the process.
        statistics
            Percentiles wanted beside the means; means may be listed and are always there.

        Raises
        ------
        OutsideValidityError
            If `refusals` is not empty.
        ServiceProcessError
            If a rate is negative, NaN or infinite.
        """

    @abstractmethod
    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return the largest rate one replica carries with every target held, per pair.

        It is the accepted throughput at the largest offered rate at which every target holds
        [requests/s]; 0 where no positive rate holds them.

        Raises
        ------
        OutsideValidityError
            If `refusals` is not empty.
        """

    def unsupported(self, service: ServiceProcess) -> dict[str, BoolArray]:
        """Return the refusals of what the model neither honours nor ignores: reason -> pairs."""
        if not isinstance(service.timing, tuple(self.timings)):
            wanted = " or ".join(sorted(timing.__name__ for timing in self.timings))
            reason = f"timing must be {wanted}, came {type(service.timing).__name__}"
            return {reason: np.ones(service.shape, dtype=np.bool_)}
        unknown = [f for f in OPTIONAL_FIELDS if f not in self.honours | self.ignores]
        asked = {_UNKNOWN[field]: service.differing_from_default(field) for field in unknown}
        return {reason: mask for reason, mask in asked.items() if mask.any()}

    def require(self, service: ServiceProcess, statistics: Sequence[Statistic] = ()) -> None:
        """Raise where the model does not hold.

        Raises
        ------
        OutsideValidityError
            Naming the model, every reason and the first pairs concerned.
        """
        refusals = self.refusals(service, statistics)
        if refusals:
            reasons = "; ".join(
                f"{reason} (pairs {np.flatnonzero(mask)[:5].tolist()}, {int(mask.sum())} in all)"
                for reason, mask in refusals.items()
            )
            raise OutsideValidityError(f"queue model '{self.name}': {reasons}")
