"""Restoring an exact prefix: which part to compute, which to load.

The first m of P prefix tokens are computed, the others loaded layer by layer, and the suffix is
computed while layers arrive. With f the prefill law, s the suffix after the prefix, n layers, l
and c the load and the suffix of one layer, and L0 the access latency:

    T(m) = max( f(m) + s, L0 + l(m) + (n - 1) max(l(m), c) + c )        for m < P
    T(P) = f(P) + s

The first branch is the accelerator's work, the second a flow shop of n layers. Full recompute is
m = P, layer-wise preload m = 0, Cake's bidirectional split the same without the suffix's overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.kv.delays import LoadDelay, LoadOverheads, load_delay
from optimizer.kv.kv_shape import KvShape
from optimizer.kv.overlap import pipeline
from optimizer.kv.prefill import PrefillLaw
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.times import WholeModelTime

__all__ = ["RestorationPlan", "RestorationTask", "plan_restoration"]

FloatArray = NDArray[np.float64]

# Halvings of [0, P]: beyond the resolution of a float.
_HALVINGS = 64

_RANGES = {
    "prefix_tokens": Range("tokens", high=1e12),
    "suffix_tokens": Range("tokens", high=1e12),
    "bandwidth_gb_s": Range("GB/s", above=True, high=1e6),
    "latency_ms": Range("ms", high=1e9),
    "sharers": Range("loads", low=1.0, high=1e9),
    "granularity_tokens": Range("tokens", high=1e12),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationTask:
    """A prefix that is stored, and what follows it; numbers or arrays that broadcast.

    Parameters
    ----------
    shape
        Size of the KV cache per token.
    prefill
        Law f of computing the first tokens.
    prefix_tokens, suffix_tokens
        P tokens that are stored, S new ones behind them.
    bandwidth_gb_s, latency_ms, sharers
        Of the device.
    overheads
        Of loading; None: none.
    granularity_tokens
        Computed tokens are a multiple of this, or all; 0: any number.

    Raises
    ------
    SpecError
        Naming each figure outside its range.
    """

    shape: KvShape
    prefill: PrefillLaw
    prefix_tokens: ArrayLike
    suffix_tokens: ArrayLike = 0.0
    bandwidth_gb_s: ArrayLike
    latency_ms: ArrayLike = 0.0
    sharers: ArrayLike = 1.0
    overheads: LoadOverheads | None = None
    granularity_tokens: float = 0.0

    def __post_init__(self) -> None:
        refuse_outside({name: getattr(self, name) for name in _RANGES}, _RANGES)

    def load(self, tokens: ArrayLike) -> LoadDelay:
        """Return the delay of loading that many tokens."""
        return load_delay(
            self.shape,
            tokens,
            bandwidth_gb_s=self.bandwidth_gb_s,
            latency_ms=self.latency_ms,
            sharers=self.sharers,
            overheads=self.overheads,
        )

    @property
    def suffix(self) -> WholeModelTime:
        """Time s of the suffix, once the KV of the prefix is there."""
        prefix = np.asarray(self.prefix_tokens, dtype=np.float64)
        total = prefix + np.asarray(self.suffix_tokens, dtype=np.float64)
        return self.prefill.time(total) - self.prefill.time(prefix)

    def overlapped(self, computed: ArrayLike) -> WholeModelTime:
        """Return T(m) of computing `computed` = m prefix tokens."""
        return self._restored(computed, self._layerwise)

    def bidirectional(self, computed: ArrayLike) -> WholeModelTime:
        """Return Cake's time at m: max(f(m), load of the rest), then the suffix."""
        return self._restored(computed, self._loaded_first)

    def load_then_compute(self) -> WholeModelTime:
        """Return the time of loading the whole prefix, and the suffix after it."""
        return self._loaded_first(self.prefix_tokens)

    def full_recompute(self) -> WholeModelTime:
        """Return the time of computing prefix and suffix."""
        return self.prefill.time(self.prefix_tokens) + self.suffix

    def _restored(
        self, computed: ArrayLike, with_load: Callable[[ArrayLike], WholeModelTime]
    ) -> WholeModelTime:
        m = np.asarray(computed, dtype=np.float64)
        rest = np.asarray(self.prefix_tokens, dtype=np.float64) - m
        computing = self.prefill.time(m) + self.suffix
        loading = with_load(rest)
        return WholeModelTime(np.where(rest > 0, computing.maximum(loading).ms, computing.ms))

    def _layerwise(self, tokens: ArrayLike) -> WholeModelTime:
        load = self.load(tokens)
        return pipeline(load, self.suffix.per_layer(load.layers))

    def _loaded_first(self, tokens: ArrayLike) -> WholeModelTime:
        return self.load(tokens).whole + self.suffix


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationPlan:
    """The best split, and the times of what it contains as special cases.

    Parameters
    ----------
    computed_tokens
        m of the prefix, from the front.
    loaded_tokens
        The others.
    time
        T(m), the least.
    full_recompute, layerwise_preload, load_then_compute
        Without a split: compute all; load all under the suffix; load all before the suffix.
    bidirectional, bidirectional_tokens
        Cake's split at its own best m.
    """

    computed_tokens: FloatArray
    loaded_tokens: FloatArray
    time: WholeModelTime
    full_recompute: WholeModelTime
    layerwise_preload: WholeModelTime
    load_then_compute: WholeModelTime
    bidirectional: WholeModelTime
    bidirectional_tokens: FloatArray


def plan_restoration(task: RestorationTask) -> RestorationPlan:
    """Find the split that restores a prefix soonest.

    The accelerator's branch rises in m and the loading branch falls, so that the best m is where
    they meet, found by bisection, or all of the prefix, where no access latency is paid. The
    meeting points of both overlaps and both ends are compared, so that the plan is at no time
    slower than full recompute, layer-wise preload or the bidirectional split.

    Notes
    -----
    With S = 0 and f(m) = a m + b m² the meeting point is the root of
    b m² + (a + u) m - (L0 + u P) = 0, u the load of one token.

    References
    ----------
    .. [1] Jin et al., *Compute or load KV cache? Why not both?* (Cake), ICML 2025,
       arXiv 2410.03065.
    .. [2] Gao et al., *CachedAttention*, ATC 2024, arXiv 2403.19708: layer-wise preload.
    """
    prefix = np.asarray(task.prefix_tokens, dtype=np.float64)
    both_m, both = _best(task, task.bidirectional, task._loaded_first)
    own_m, own = _best(task, task.overlapped, task._layerwise)
    # What is best without overlap is no worse with it: the plan never loses to it.
    at_both = task.overlapped(both_m)
    computed = np.where(own <= at_both, own_m, both_m)
    return RestorationPlan(
        computed_tokens=computed,
        loaded_tokens=prefix - computed,
        time=own.minimum(at_both),
        full_recompute=task.full_recompute(),
        layerwise_preload=task.overlapped(np.zeros_like(prefix)),
        load_then_compute=task.load_then_compute(),
        bidirectional=both,
        bidirectional_tokens=both_m,
    )


def _best(
    task: RestorationTask,
    restored: Callable[[ArrayLike], WholeModelTime],
    with_load: Callable[[ArrayLike], WholeModelTime],
) -> tuple[FloatArray, WholeModelTime]:
    """Return the best m and its time: the meeting point in whole steps, or an end."""
    prefix = np.asarray(task.prefix_tokens, dtype=np.float64)
    meeting = _meeting_point(task, with_load)
    step = task.granularity_tokens
    if step > 0:
        inner = [np.floor(meeting / step) * step, np.ceil(meeting / step) * step]
    else:
        inner = [meeting]
    shape = meeting.shape
    ends = [np.zeros(shape), np.broadcast_to(prefix, shape)]
    splits = np.stack([*ends, *(np.minimum(m, prefix) for m in inner)])
    times = np.stack([np.broadcast_to(restored(m).ms, shape) for m in splits])
    best = np.argmin(times, axis=0)[None]
    chosen: FloatArray = np.take_along_axis(splits, best, axis=0)[0]
    return chosen, WholeModelTime(np.take_along_axis(times, best, axis=0)[0])


def _meeting_point(
    task: RestorationTask, with_load: Callable[[ArrayLike], WholeModelTime]
) -> FloatArray:
    """Bisect for the m at which the accelerator has computed when the rest has been loaded."""
    prefix = np.asarray(task.prefix_tokens, dtype=np.float64)
    shape = np.broadcast_shapes(prefix.shape, with_load(prefix).ms.shape, task.suffix.ms.shape)
    low, high = np.zeros(shape), np.broadcast_to(prefix, shape).copy()
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        idle = task.prefill.time(middle) + task.suffix < with_load(prefix - middle)
        low, high = np.where(idle, middle, low), np.where(idle, high, middle)
    return 0.5 * (low + high)
