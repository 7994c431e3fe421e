"""Replicas as llm-inferno describes them: what its two generations have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from queue_models.arrays import FloatArray, IntArray
from queue_models.base import Metric
from queue_models.birth_death import BirthDeathChain, SteadyState

__all__ = ["Averages", "InfernoServers", "Numbers", "averages", "averages_in_single_precision"]

# Numbers of 53 or 24 bits: arithmetic keeps the precision of what it is given.
Numbers = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Averages:
    """Means of a steady state, shape (P,).

    Attributes
    ----------
    wait, time_in_service
        Of accepted requests [ms].
    in_service
        Number in service.
    throughput
        Accepted requests per ms.
    """

    wait: Numbers
    time_in_service: Numbers
    in_service: Numbers
    throughput: Numbers


def averages(steady: SteadyState) -> Averages:
    """Return the means of a steady state."""
    return Averages(
        wait=steady.mean_wait,
        time_in_service=steady.time_in_service,
        in_service=steady.in_service,
        throughput=steady.throughput,
    )


def averages_in_single_precision(steady: SteadyState, rate: Numbers) -> Averages:
    """Return the means as the Go core rounds them: the wait is a difference of 24-bit numbers."""
    single = np.float32
    present = (steady.in_service + steady.queue_length).astype(single)
    in_service = steady.in_service.astype(single)
    throughput = rate * (1 - steady.blocking_probability.astype(single))
    time_in_service = in_service / throughput
    return Averages(
        wait=np.maximum(present / throughput - time_in_service, single(0)),
        time_in_service=time_in_service,
        in_service=in_service,
        throughput=throughput,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class InfernoServers(ABC):
    """Replicas; arrays of shape (P,), parameters all of one precision.

    Methods keep the order of the Go core's operations, so that they give its numbers bit for bit in
    its precision.

    Attributes
    ----------
    slots
        Maximum batch N.
    """

    slots: IntArray

    def take(self, pairs: IntArray) -> Self:
        """Return some of the replicas."""
        return type(self)(**{f.name: getattr(self, f.name)[pairs] for f in fields(self)})

    def rounded_to(self, precision: type[np.floating[Any]]) -> Self:
        """Return the replicas with parameters of this precision."""
        parameters = {
            f.name: getattr(self, f.name).astype(precision)
            for f in fields(self)
            if f.name != "slots"
        }
        return type(self)(slots=self.slots, **parameters)

    @abstractmethod
    def service_times(self, present: Numbers) -> Numbers:
        """Return the time in service [ms] with n in service, shape (P, N) for N values of n."""

    @abstractmethod
    def latencies(self, means: Averages) -> tuple[Numbers, Numbers]:
        """Return mean TTFT and ITL [ms] at these means."""

    @abstractmethod
    def zero_load_latencies(self) -> tuple[Numbers, Numbers]:
        """Return the TTFT and ITL [ms] that the Go core records where no request arrives."""

    def chain(
        self, places: FloatArray, precision: type[np.floating[Any]] = np.float64
    ) -> BirthDeathChain:
        """Return the birth-death chains, mu(n) = n/S(n) in requests per ms."""
        present = np.arange(1, int(self.slots.max(initial=1)) + 1, dtype=precision)
        return BirthDeathChain.from_rates(present / self.service_times(present), places, self.slots)

    def all_latencies(self, means: Averages) -> dict[Metric, Numbers]:
        """Return every mean latency [ms]."""
        ttft, itl = self.latencies(means)
        return {
            Metric.WAIT: means.wait,
            Metric.TTFT: ttft,
            Metric.ITL: itl,
            Metric.TPOT: itl,
            Metric.E2E: means.wait + means.time_in_service,
        }
