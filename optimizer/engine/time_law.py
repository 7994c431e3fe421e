"""How long an iteration takes, as compiled code reads it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from optimizer.engine.compilation import compiled
from queue_models import IterationTiming, ServiceProcessError, TableTiming, Timing

__all__ = ["TimeLaw", "iteration_ms", "time_law"]


class TimeLaw(NamedTuple):
    """Iteration time: linear in the work of the iteration, or from a table where it has one.

    Both are laws of the performance model: tensor parallelism is in them, its all-reduces
    included.
    """

    base_ms: float
    decode_ms: float
    prefill_ms: float
    kv_ms: float
    decode_axis: Any  # (D,), tokens; the table is empty for a linear law
    prefill_axis: Any  # (F,)
    kv_axis: Any  # (G,)
    table_ms: Any  # (D, F, G)


def time_law(timing: Timing) -> TimeLaw:
    """Return the law of one pair's timing, of shape () or with a single element.

    Raises
    ------
    ServiceProcessError
        If the timing is by phase, which says nothing of iterations, or has several pairs.
    """
    if int(np.prod(timing.shape)) != 1:
        raise ServiceProcessError(f"time_law: one pair is simulated at a time, not {timing.shape}")
    none = np.zeros(0)
    if isinstance(timing, IterationTiming):
        base, decode, prefill, kv = (
            float(np.ravel(value)[0])
            for value in (
                timing.base_ms,
                timing.decode_ms_per_token,
                timing.prefill_ms_per_token,
                timing.kv_ms_per_token,
            )
        )
        return TimeLaw(base, decode, prefill, kv, none, none, none, np.zeros((0, 0, 0)))
    if isinstance(timing, TableTiming):
        decode_axis, prefill_axis, kv_axis = (
            np.array(axis, dtype=np.float64)
            for axis in (timing.decode_tokens, timing.prefill_tokens, timing.kv_tokens)
        )
        table = np.array(timing.time_ms.reshape(timing.time_ms.shape[-3:]), dtype=np.float64)
        return TimeLaw(0.0, 0.0, 0.0, 0.0, decode_axis, prefill_axis, kv_axis, table)
    raise ServiceProcessError(
        "time_law: times by phase (prefill_decode) say nothing of iterations; give iteration "
        "times (`iteration` or `iteration_table`)"
    )


@compiled
def iteration_ms(law: TimeLaw, decode: int, prefill: int, kv: int) -> float:
    """Return the time of an iteration with so many decode, prompt and KV tokens [ms]."""
    if law.table_ms.size == 0:
        return law.base_ms + law.decode_ms * decode + law.prefill_ms * prefill + law.kv_ms * kv
    i, p = _place(law.decode_axis, decode)
    j, q = _place(law.prefill_axis, prefill)
    k, s = _place(law.kv_axis, kv)
    time = 0.0
    for di in range(2 if p != 0.0 else 1):
        for dj in range(2 if q != 0.0 else 1):
            for dk in range(2 if s != 0.0 else 1):
                weight = (p if di else 1.0 - p) * (q if dj else 1.0 - q) * (s if dk else 1.0 - s)
                time += weight * law.table_ms[i + di, j + dj, k + dk]
    return time


@compiled
def _place(axis: Any, tokens: int) -> tuple[int, float]:
    """Return the cell of the axis, and how far along it (beyond 1: extrapolated)."""
    if axis.size == 1 or tokens <= axis[0]:
        return 0, 0.0
    left = min(int(np.searchsorted(axis, tokens, side="right")) - 1, axis.size - 2)
    return left, (tokens - axis[left]) / (axis[left + 1] - axis[left])
