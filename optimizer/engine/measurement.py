"""What is measured of a stream of finished requests, in memory that does not grow with it.

Requests are counted in batches of consecutive arrivals. Every batch has a histogram of each
latency, in bins a thousandth wide, and sums. When there are too many batches, neighbours are
merged. A confidence interval is that of the batches' means or quantiles, by Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.completion import FIRST_BIN, gap_edges
from optimizer.engine.state import COMPLETED, GAP_BINS, GAP_BITS
from queue_models import Metric, Statistic

__all__ = ["BATCHES", "Estimate", "Measurement", "half_width", "histogram_quantile"]

FloatArray = NDArray[np.float64]

BATCHES = 20
"""Batches of a confidence interval."""

_LATENCIES = (Metric.WAIT, Metric.TTFT, Metric.TPOT, Metric.E2E)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A simulated value and the half-width of its 95 % confidence interval."""

    value: float
    half_width: float

    @property
    def relative(self) -> float:
        """Half-width as a share of the value; inf where that is 0 and the width is not."""
        if self.half_width == 0.0:
            return 0.0
        return self.half_width / abs(self.value) if self.value else math.inf


class Measurement:
    """Counts requests by batch of arrivals.

    Parameters
    ----------
    first
        Number of the first request that counts.
    batch
        Requests of a batch, to begin with.
    bounds
        Latency bounds [ms] of one request that make up goodput.
    kind
        Of a mixed workload, the kind of requests whose latencies are measured, from 1; 0: all.
    """

    def __init__(
        self, first: int, batch: int, bounds: Mapping[Metric, float], kind: int = 0
    ) -> None:
        self.first, self.batch, self._kind = first, batch, kind
        self.bounds = dict(bounds)
        rows = 3 * BATCHES  # the last third is of those who come while the others end
        self._counts = {m: np.zeros((rows, GAP_BINS), np.int32) for m in _LATENCIES}
        self._sums = {m: np.zeros(rows) for m in _LATENCIES}
        self._completed = np.zeros(rows, np.int64)
        self._over = np.zeros(rows, np.int64)
        self._own = np.zeros(rows, np.int64)
        self._good = np.zeros(rows, np.int64)
        self._within = {m: np.zeros(rows, np.int64) for m in self.bounds}
        self._outcomes = np.zeros((rows, 8), np.int64)

    @property
    def stop(self) -> int:
        """Number after the last request that counts."""
        return self.first + 2 * BATCHES * self.batch

    def widen(self) -> None:
        """Merge neighbouring batches, so that as many requests again can be counted."""
        self.batch *= 2
        tables: list[NDArray[Any]] = [self._completed, self._over, self._own, self._good]
        tables.append(self._outcomes)
        for by_metric in (self._counts, self._sums, self._within):
            tables += by_metric.values()
        for table in tables:
            half = table.shape[0] // 2
            table[:half] = table[0::2] + table[1::2]
            table[half:] = 0

    def add(self, done: Any) -> None:
        """Count requests that are over; those outside the batches do not count."""
        last = self.first + self._over.size * self.batch
        done = done[(done.id >= self.first) & (done.id < last)]
        row = (done.id - self.first) // self.batch
        np.add.at(self._outcomes, (row, done.outcome), 1)
        np.add.at(self._over, row, 1)
        mine = (done.priority == self._kind) | (self._kind == 0)
        np.add.at(self._own, row[mine], 1)
        complete = (done.outcome == COMPLETED) & mine
        done, row = done[complete], row[complete]
        self._completed += np.bincount(row, minlength=self._completed.size)
        several = done.emitted > 1
        steps = np.maximum(done.emitted - 1, 1)
        latencies = {
            Metric.WAIT: done.admitted - done.arrival,
            Metric.TTFT: done.first - done.arrival,
            Metric.TPOT: np.where(several, (done.finished - done.first) / steps, 0.0),
            Metric.E2E: done.finished - done.arrival,
        }
        good = np.ones(done.size, np.bool_)
        for metric, values in latencies.items():
            chosen = slice(None) if metric is not Metric.TPOT else several
            self._sums[metric] += np.bincount(row[chosen], values[chosen], self._over.size)
            place = row[chosen] * GAP_BINS + _bins(values[chosen])
            flat = self._counts[metric].reshape(-1)
            np.add.at(flat, place, 1)
            if metric in self.bounds:
                kept = values <= self.bounds[metric]
                good &= kept
                self._within[metric] += np.bincount(row[kept], minlength=self._over.size)
        self._good += np.bincount(row[good], minlength=self._good.size)

    @property
    def counted(self) -> int:
        """Requests counted, whatever became of them."""
        return int(self._over[: 2 * BATCHES].sum())

    @property
    def own(self) -> int:
        """Requests counted whose latencies are measured."""
        return int(self._own[: 2 * BATCHES].sum())

    @property
    def completed(self) -> int:
        """Requests counted that were completed."""
        return int(self._completed[: 2 * BATCHES].sum())

    @property
    def outcomes(self) -> NDArray[np.int64]:
        """How many of those counted ended how, by the codes of `optimizer.engine.state`."""
        return np.asarray(self._outcomes[: 2 * BATCHES].sum(axis=0))

    def complete_batches(self) -> int:
        """Return how many batches are full, from the first on."""
        full = self._over[: 2 * BATCHES] >= self.batch
        return int(np.argmin(full)) if not full.all() else full.size

    def estimate(self, statistic: Statistic) -> Estimate:
        """Return a mean or percentile of a latency of requests [ms]; NaN where none completed."""
        rows = slice(2 * BATCHES)
        counts, sums = self._counts[statistic.metric][rows], self._sums[statistic.metric][rows]
        groups = self._groups()
        if statistic.percentile is None:
            total = counts.sum(axis=1)
            of_groups = [sums[g].sum() / total[g].sum() if total[g].sum() else None for g in groups]
            value = sums.sum() / total.sum() if total.sum() else math.nan
        else:
            share = statistic.percentile / 100.0
            of_groups = [histogram_quantile(counts[g].sum(axis=0), share) for g in groups]
            value = histogram_quantile(counts.sum(axis=0), share)
            value = math.nan if value is None else value
        return Estimate(float(value), half_width(of_groups))

    def histogram(self, metric: Metric) -> NDArray[np.int64]:
        """Return how many requests had a latency in each bin of `gap_edges`."""
        return np.asarray(self._counts[metric][: 2 * BATCHES].sum(axis=0, dtype=np.int64))

    def share_within(self, metric: Metric) -> Estimate:
        """Return the share of all requests that were completed within a bound."""
        return self._share(self._within[metric])

    def good_share(self) -> Estimate:
        """Return the share of all requests that were completed within every bound."""
        return self._share(self._good)

    def _share(self, counts: NDArray[np.int64]) -> Estimate:
        counts, over = counts[: 2 * BATCHES], self._own[: 2 * BATCHES]
        of_groups = [
            counts[g].sum() / over[g].sum() if over[g].sum() else None for g in self._groups()
        ]
        value = counts.sum() / over.sum() if over.sum() else math.nan
        return Estimate(float(value), half_width(of_groups))

    def _groups(self) -> list[slice]:
        """Return the full batches in at most `BATCHES` groups of equal size."""
        full = self.complete_batches()
        size = max(full // BATCHES, 1)
        return [slice(start, start + size) for start in range(0, full - size + 1, size)]


def histogram_quantile(counts: NDArray[np.integer], share: float) -> float | None:
    """Return the quantile of counts in the bins of `gap_edges` [ms]; None without counts.

    Within a bin values are taken as spread evenly.
    """
    total = int(counts.sum())
    if total == 0:
        return None
    wanted = share * total
    cumulated = np.cumsum(counts)
    place = int(np.searchsorted(cumulated, wanted))
    place = min(place, counts.size - 1)
    edges = gap_edges()
    before = float(cumulated[place] - counts[place])
    part = (wanted - before) / float(counts[place]) if counts[place] else 0.0
    return float(edges[place] + part * (edges[place + 1] - edges[place]))


def _bins(values: FloatArray) -> NDArray[np.int64]:
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.int64) >> (52 - GAP_BITS)
    places: NDArray[np.int64] = np.clip(bits - FIRST_BIN, 0, GAP_BINS - 1)
    return places


def half_width(values: Sequence[float | None]) -> float:
    """Return the half-width of the 95 % interval of the mean of batches; inf with fewer than two.

    Batches without a value do not count.
    """
    from scipy.stats import t as student

    known = np.array([v for v in values if v is not None], dtype=np.float64)
    if known.size < 2:
        return math.inf
    quantile = float(student.ppf(0.975, known.size - 1))
    return quantile * float(known.std(ddof=1)) / math.sqrt(known.size)
