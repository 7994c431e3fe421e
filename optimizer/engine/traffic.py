"""Requests on their way to an engine, as arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Traffic"]


class Traffic(NamedTuple):
    """Requests in the order of arrival; C requests with K segments of content in all."""

    arrival_ms: Any  # (C,) float64
    prompt: Any  # (C,) int32, >= 1
    output: Any  # (C,) int32, >= 1
    given: Any  # (C,) int32: prompt tokens that need not be computed
    priority: Any  # (C,) int32, 1 first
    deadline_ms: Any  # (C,) float64: for the first token, after the arrival; inf without
    segment_of: Any  # (C + 1,) int64: first segment of each request
    keys: Any  # (K,) int64
    ends: Any  # (K,) int32

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
            segment_of=self.segment_of[start : stop + 1] - first,
            keys=self.keys[first:last],
            ends=self.ends[first:last],
        )
