"""Which maximum batches a service may have on a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.service import BatchRangeSpec

__all__ = ["BatchLimits", "batch_ladder", "largest_batches"]

# As large as a spec may state one.
_LARGEST_BATCH = 65536

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@lru_cache(maxsize=4096)
def batch_ladder(low: int, high: int, step: int = 0) -> tuple[int, ...]:
    """Batches to try between two ends, rising: both ends and every `step`-th, or power of two."""
    if high < low:
        return ()
    if step:
        between: Sequence[int] = range(low, high, step)
    else:
        between = [1 << k for k in range(low.bit_length(), high.bit_length())]
    return tuple(sorted({low, high, *(batch for batch in between if low < batch < high)}))


def largest_batches(
    spec: FleetSpec, rate_rps: FloatArray, service: IntArray, performance: IntArray
) -> IntArray:
    """Largest batch of each row: the service's own, else the performance entry's.

    An entry's batch measured at a given output length is scaled to the service's mean output
    length, as inferno does (whole tokens, rounded down, at least 1). Without requests there is
    no length to scale to, and the stated batch stands.
    """
    stated = np.array([p.max_batch for p in spec.performance] or [1], dtype=np.int64)
    at_tokens = np.array(
        [p.max_batch_at_output_tokens or np.nan for p in spec.performance] or [np.nan]
    )
    output = np.array([s.load.mean_output_tokens for s in spec.services])
    fixed = np.array([s.max_batch if isinstance(s.max_batch, int) else 0 for s in spec.services])
    with np.errstate(over="ignore"):
        scaled = stated[performance] * at_tokens[performance] / np.floor(output[service])
    scaled = np.minimum(scaled, _LARGEST_BATCH)
    scale = np.isfinite(scaled) & (rate_rps[service] > 0)
    batch = np.where(
        scale, np.maximum(np.floor(np.where(scale, scaled, 1.0)), 1.0), stated[performance]
    )
    return np.where(fixed[service] > 0, fixed[service], batch).astype(np.int64)


@dataclass(frozen=True, eq=False)
class BatchLimits:
    """Per service: range of its batch, steps of the search, and whether all of it is laid out.

    The batches of services in length buckets are laid out, for each bucket has rates of its own at
    each batch; of all others one is found by search.
    """

    least: IntArray
    most: IntArray
    step: IntArray
    is_open: BoolArray
    is_listed: BoolArray

    @classmethod
    def of(cls, spec: FleetSpec, *, search_open: bool) -> BatchLimits:
        """Read them; with `search_open`, batches that services leave open are searched too."""
        size = len(spec.services)
        limits = cls(
            least=np.ones(size, dtype=np.int64),
            most=np.full(size, _LARGEST_BATCH, dtype=np.int64),
            step=np.zeros(size, dtype=np.int64),
            is_open=np.zeros(size, dtype=np.bool_),
            is_listed=np.zeros(size, dtype=np.bool_),
        )
        for index, service in enumerate(spec.services):
            wanted, buckets = service.max_batch, service.length_buckets is not None
            if isinstance(wanted, BatchRangeSpec):
                limits.least[index], limits.most[index] = wanted.min, wanted.max
                limits.step[index] = wanted.step or 0
                limits.is_open[index] = True
                limits.is_listed[index] = buckets
            else:
                limits.is_open[index] = wanted is None and search_open and not buckets
        return limits

    def within(
        self, service: IntArray, performance: IntArray, batch: IntArray
    ) -> tuple[IntArray, IntArray]:
        """Return the largest and the least batch of each row; the least is larger if none fits."""
        open_ = self.is_open[service] & (performance >= 0)
        least = np.where(open_, self.least[service], batch)
        most = np.where(open_, np.minimum(self.most[service], batch), batch)
        return np.where(least <= most, most, batch), least

    def listed(
        self, service: IntArray, batch: IntArray, least: IntArray
    ) -> tuple[IntArray, IntArray, BoolArray]:
        """Return how often each row stands, the batches of these, and whether each is searched."""
        listed = self.is_listed[service] & (least <= batch)
        ladders = {
            row: batch_ladder(int(least[row]), int(batch[row]), int(self.step[service[row]]))
            for row in np.flatnonzero(listed).tolist()
        }
        repeats = np.ones(len(service), dtype=np.int64)
        repeats[list(ladders)] = [len(ladder) for ladder in ladders.values()]
        batches = np.repeat(batch, repeats)
        ends = np.cumsum(repeats)
        for row, ladder in ladders.items():
            batches[ends[row] - len(ladder) : ends[row]] = ladder
        return repeats, batches, np.repeat(~listed & (least < batch), repeats)
