"""What a service is asked for: requests drawn piece by piece, or a trace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimizer.engine.arrivals import Arrivals
from optimizer.engine.errors import WorkloadError
from optimizer.engine.length_draws import drawn_lengths
from optimizer.engine.rules import ReplicaRole
from optimizer.engine.traces import Trace
from optimizer.engine.traffic import Traffic
from queue_models import Lengths

__all__ = ["AbstractWorkload", "DrawnWorkload", "TraceWorkload"]

_ENDLESS = 2**31 - 1
_SHARED_KEY = 1


class AbstractWorkload(ABC):
    """Requests of one service, in pieces."""

    @property
    @abstractmethod
    def rate_rps(self) -> float:
        """Mean arrival rate [1/s]."""

    @abstractmethod
    def pieces(self, size: int, seed: np.random.SeedSequence) -> Iterator[Traffic]:
        """Yield the requests in the order of arrival, up to so many at a time.

        A workload without end goes on for ever.
        """


@dataclass(frozen=True, eq=False)
class DrawnWorkload(AbstractWorkload):
    """Requests of random arrivals and lengths, without end.

    Parameters
    ----------
    arrivals
        When they come.
    input_lengths, output_lengths
        Of one pair.
    longest
        Longest prompt and longest output [tokens]; what is drawn beyond is cut.
    prefix_hit_rate
        Share of every prompt that is the same for all requests. A prefix cache finds it, in whole
        blocks; without blocks (`KvAccounting.RESERVED`) it is given.
    prefix_is_given
        Whether that share need not be computed, whatever is in the cache.
    role
        What becomes of the requests here; those of a decode replica come with their prompt.
    deadline_ms
        For the first token, after the arrival; `inf` without.
    priority
        1 first.
    """

    arrivals: Arrivals
    input_lengths: Lengths
    output_lengths: Lengths
    longest: int = 65536
    prefix_hit_rate: float = 0.0
    prefix_is_given: bool = False
    role: ReplicaRole = ReplicaRole.AGGREGATED
    deadline_ms: float = float("inf")
    priority: int = 1

    @property
    def rate_rps(self) -> float:
        """Mean arrival rate [1/s]."""
        return self.arrivals.rate.mean_rps

    def pieces(self, size: int, seed: np.random.SeedSequence) -> Iterator[Traffic]:
        """Yield pieces of exactly this size."""
        # Apart, so that one can be changed and the others stay.
        when, asked, told = (np.random.default_rng(child) for child in seed.spawn(3))
        stream = self.arrivals.stream(when)
        number = 0
        while True:
            prompt = drawn_lengths(self.input_lengths, size, asked, self.longest)
            output = drawn_lengths(self.output_lengths, size, told, self.longest)
            shared = np.floor(self.prefix_hit_rate * prompt).astype(np.int32)
            given = np.zeros(size, np.int32)
            if self.role is ReplicaRole.PREFILL:
                output[:] = 1
            elif self.role is ReplicaRole.DECODE:
                given, output = prompt, np.maximum(output, 2).astype(np.int32)
            elif self.prefix_is_given:
                given = np.minimum(shared, prompt - 1).astype(np.int32)
            keys = np.empty((size, 2), np.int64)
            keys[:, 0] = _SHARED_KEY
            keys[:, 1] = -1 - number - np.arange(size)
            ends = np.full((size, 2), _ENDLESS, np.int32)
            ends[:, 0] = shared
            yield Traffic(
                arrival_ms=stream.take(size),
                prompt=prompt,
                output=output,
                given=given,
                priority=np.full(size, self.priority, np.int32),
                deadline_ms=np.full(size, self.deadline_ms),
                segment_of=2 * np.arange(size + 1),
                keys=keys.ravel(),
                ends=ends.ravel(),
            )
            number += size


@dataclass(frozen=True, eq=False)
class TraceWorkload(AbstractWorkload):
    """The requests of a trace, once."""

    trace: Trace
    deadline_ms: float = float("inf")
    priority: int = 1

    def __post_init__(self) -> None:
        if self.trace.size < 2:
            raise WorkloadError("TraceWorkload: a trace of fewer than two requests has no rate")

    @property
    def rate_rps(self) -> float:
        """Mean arrival rate [1/s]."""
        return self.trace.mean_rps

    def pieces(self, size: int, seed: np.random.SeedSequence) -> Iterator[Traffic]:
        """Yield the trace in pieces; the last one may be smaller."""
        del seed
        whole = self.trace.traffic(self.deadline_ms, self.priority)
        for start in range(0, self.trace.size, size):
            yield whole.part(start, start + size)
