"""Requests on their way to an engine, as arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Traffic"]

_ENDLESS = 2**31 - 1


class Traffic(NamedTuple):
    """Requests in the order of arrival; C requests with K segments of content in all."""

    arrival_ms: Any  # (C,) float64
    prompt: Any  # (C,) int32, >= 1
    output: Any  # (C,) int32, >= 1
    given: Any  # (C,) int32: prompt tokens that need not be computed
    priority: Any  # (C,) int32, 1 first
    deadline_ms: Any  # (C,) float64: for the first token, after the arrival; inf without
    first_ms: Any  # (C,) float64: when the token came out that a request comes with; -1 unknown
    segment_of: Any  # (C + 1,) int64: first segment of each request
    keys: Any  # (K,) int64
    ends: Any  # (K,) int32

    @classmethod
    def none(cls) -> Traffic:
        """Return no requests."""
        return cls.of_one(0, 0.0, 1, 1).part(0, 0)

    @classmethod
    def of_one(
        cls,
        number: int,
        arrival_ms: float,
        prompt: int,
        output: int,
        *,
        given: int = 0,
        priority: int = 1,
        deadline_ms: float = math.inf,
        keys: Sequence[int] | NDArray[np.int64] = (),
        ends: Sequence[int] | NDArray[np.int32] = (),
    ) -> Traffic:
        """Return a single request; without keys its content is its own, shared with no other."""
        content = np.array(keys if len(keys) else [number + 1], dtype=np.int64)
        stops = np.array(ends if len(ends) else [_ENDLESS] * len(content), dtype=np.int32)
        return cls(
            arrival_ms=np.array([arrival_ms], dtype=np.float64),
            prompt=np.array([prompt], np.int32),
            output=np.array([output], np.int32),
            given=np.array([given], np.int32),
            priority=np.array([priority], np.int32),
            deadline_ms=np.array([deadline_ms], dtype=np.float64),
            first_ms=np.array([-1.0]),
            segment_of=np.array([0, len(content)]),
            keys=content,
            ends=stops,
        )

    def part(self, start: int, stop: int) -> Traffic:
        """Return the requests from one place up to another, as far as there are any."""
        stop = min(stop, self.arrival_ms.size)
        first, last = self.segment_of[start], self.segment_of[stop]
        return Traffic(
            arrival_ms=self.arrival_ms[start:stop],
            prompt=self.prompt[start:stop],
            output=self.output[start:stop],
            given=self.given[start:stop],
            priority=self.priority[start:stop],
            deadline_ms=self.deadline_ms[start:stop],
            first_ms=self.first_ms[start:stop],
            segment_of=self.segment_of[start : stop + 1] - first,
            keys=self.keys[first:last],
            ends=self.ends[first:last],
        )

    def followed_by(self, other: Traffic) -> Traffic:
        """Return these requests and then others."""
        columns = [np.concatenate(pair) for pair in zip(self, other, strict=True)]
        joined = Traffic(*columns)
        borders = np.concatenate([self.segment_of, other.segment_of[1:] + self.segment_of[-1]])
        return joined._replace(segment_of=borders)

    def in_order(self, order: NDArray[np.int64]) -> Traffic:
        """Return the requests at these places, (C,), in their order."""
        counts = np.diff(self.segment_of)[order]
        borders = np.concatenate([[0], np.cumsum(counts)])
        shift = np.repeat(self.segment_of[:-1][order] - borders[:-1], counts)
        segments = np.arange(borders[-1]) + shift
        own = ("segment_of", "keys", "ends")
        columns = {n: getattr(self, n)[order] for n in self._fields if n not in own}
        return Traffic(
            **columns, segment_of=borders, keys=self.keys[segments], ends=self.ends[segments]
        )

    def chosen(self, mask: NDArray[np.bool_]) -> Traffic:
        """Return the requests where the mask, (C,), is true."""
        counts = np.diff(self.segment_of)
        segments = np.repeat(mask, counts)
        return Traffic(
            arrival_ms=self.arrival_ms[mask],
            prompt=self.prompt[mask],
            output=self.output[mask],
            given=self.given[mask],
            priority=self.priority[mask],
            deadline_ms=self.deadline_ms[mask],
            first_ms=self.first_ms[mask],
            segment_of=np.concatenate([[0], np.cumsum(counts[mask])]),
            keys=self.keys[segments],
            ends=self.ends[segments],
        )
