"""What a service is asked for: requests drawn piece by piece, or a trace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.arrivals import Arrivals
from optimizer.engine.errors import WorkloadError
from optimizer.engine.length_draws import drawn_lengths
from optimizer.engine.rules import ReplicaRole
from optimizer.engine.traces import Trace
from optimizer.engine.traffic import Traffic
from queue_models import Lengths

__all__ = ["AbstractWorkload", "DrawnWorkload", "LengthPairs", "ThinnedWorkload", "TraceWorkload"]

FloatArray = NDArray[np.float64]

_ENDLESS = 2**31 - 1
_SHARED_KEY = 1


class AbstractWorkload(ABC):
    """Requests of one service, in pieces."""

    @property
    @abstractmethod
    def rate_rps(self) -> float:
        """Mean arrival rate [1/s]."""

    @property
    def requests(self) -> int | None:
        """How many requests there are, about; None: without end."""
        return None

    @abstractmethod
    def pieces(self, size: int, seed: np.random.SeedSequence) -> Iterator[Traffic]:
        """Yield the requests in the order of arrival, up to so many at a time.

        A workload without end goes on for ever.
        """


@dataclass(frozen=True, eq=False)
class LengthPairs:
    """Prompt and output lengths drawn together, such as the buckets of a histogram.

    Parameters
    ----------
    prompt, output
        Tokens, >= 1, (B,) each.
    weights
        How often each pair comes, >= 0, (B,).
    """

    prompt: FloatArray
    output: FloatArray
    weights: FloatArray

    def draw(
        self, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return prompts and outputs, (count,) each; a length between two mixes its neighbours."""
        chosen = rng.choice(self.weights.size, count, p=self.weights / self.weights.sum())
        prompt, output = (
            np.floor(lengths[chosen]) + (rng.random(count) < lengths[chosen] % 1.0)
            for lengths in (self.prompt, self.output)
        )
        return np.maximum(prompt, 1).astype(np.int32), np.maximum(output, 1).astype(np.int32)


@dataclass(frozen=True, eq=False)
class DrawnWorkload(AbstractWorkload):
    """Requests of random arrivals and lengths, without end.

    Parameters
    ----------
    arrivals
        When they come.
    input_lengths, output_lengths
        Of one pair.
    pairs
        Lengths that are drawn together, in place of these.
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
    pairs: LengthPairs | None = None

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
            if self.pairs is None:
                prompt = drawn_lengths(self.input_lengths, size, asked, self.longest)
                output = drawn_lengths(self.output_lengths, size, told, self.longest)
            else:
                prompt, output = self.pairs.draw(size, asked)
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
                first_ms=np.full(size, -1.0),
                segment_of=2 * np.arange(size + 1),
                keys=keys.ravel(),
                ends=ends.ravel(),
            )
            number += size


@dataclass(frozen=True, eq=False)
class TraceWorkload(AbstractWorkload):
    """The requests of a trace, once.

    Parameters
    ----------
    prefix_hit_rate, prefix_is_given
        As of `DrawnWorkload`, for a trace that does not record what its prompts share.
    """

    trace: Trace
    deadline_ms: float = float("inf")
    priority: int = 1
    prefix_hit_rate: float = 0.0
    prefix_is_given: bool = False

    def __post_init__(self) -> None:
        if self.trace.size < 2:
            raise WorkloadError("TraceWorkload: a trace of fewer than two requests has no rate")

    @property
    def rate_rps(self) -> float:
        """Mean arrival rate [1/s]."""
        return self.trace.mean_rps

    @property
    def requests(self) -> int:
        """How many requests there are."""
        return self.trace.size

    def pieces(self, size: int, seed: np.random.SeedSequence) -> Iterator[Traffic]:
        """Yield the trace in pieces; the last one may be smaller."""
        del seed
        whole = self._with_prefixes(self.trace.traffic(self.deadline_ms, self.priority))
        for start in range(0, self.trace.size, size):
            yield whole.part(start, start + size)

    def _with_prefixes(self, whole: Traffic) -> Traffic:
        if self.prefix_hit_rate == 0.0 or self.trace.has_prefixes:
            return whole
        shared = np.floor(self.prefix_hit_rate * whole.prompt).astype(np.int32)
        if self.prefix_is_given:
            return whole._replace(given=np.minimum(shared, whole.prompt - 1).astype(np.int32))
        own = whole.keys
        keys, ends = np.empty((own.size, 2), np.int64), np.full((own.size, 2), _ENDLESS, np.int32)
        keys[:, 0], keys[:, 1], ends[:, 0] = _SHARED_KEY, own, shared
        return whole._replace(
            segment_of=2 * np.arange(own.size + 1), keys=keys.ravel(), ends=ends.ravel()
        )


@dataclass(frozen=True, eq=False)
class ThinnedWorkload(AbstractWorkload):
    """A part of the requests of another, each of them taken with the same chance.

    What a router that draws at random sends to one of several places: a part of Poisson arrivals
    is Poisson, a part of regular ones is less regular than they are, a part of bursts less bursty.

    Parameters
    ----------
    whole
        All requests.
    share
        The chance, in (0, 1].
    """

    whole: AbstractWorkload
    share: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise WorkloadError(
                f"ThinnedWorkload: share = {self.share}: must be above 0, at most 1"
            )

    @property
    def rate_rps(self) -> float:
        """Mean arrival rate of the part [1/s]."""
        return self.whole.rate_rps * self.share

    @property
    def requests(self) -> int | None:
        """How many requests there are, about."""
        all_of_them = self.whole.requests
        return None if all_of_them is None else int(all_of_them * self.share)

    def pieces(self, size: int, seed: np.random.SeedSequence) -> Iterator[Traffic]:
        """Yield what is taken of each piece of the whole."""
        rng = np.random.default_rng(seed.spawn(1)[0])
        for piece in self.whole.pieces(size, seed):
            taken = piece.chosen(rng.random(piece.arrival_ms.size) < self.share)
            if taken.arrival_ms.size:
                yield taken
