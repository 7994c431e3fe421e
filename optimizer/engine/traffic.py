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
