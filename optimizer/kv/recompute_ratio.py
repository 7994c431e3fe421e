"""Part 1: the recompute ratio for a device that is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.kv.crossover import TOLERANCE, find_crossover
from optimizer.kv.delays import RECOMPUTE_OVERHEAD, LoadDelay, RecomputeDelay, recompute_delay
from optimizer.kv.overlap import HidingRule, Overlap, hidden, recompute_work, total_delay
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.times import WholeModelTime

__all__ = ["MINIMUM_RATIO", "RatioChoice", "RatioPolicy", "choose_ratio"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MINIMUM_RATIO = 0.15
"""Share below which quality was seen to fall (CacheBlend, Fig. 16): a policy, no theorem."""

_RANGES = {
    "minimum_ratio": Range(high=1.0),
    "recompute_overhead": Range(high=1e3),
    "compute_share": Range(above=True, high=1.0),
    "granularity_tokens": Range("tokens", high=1e12),
    "tolerance": Range(above=True, high=1e-3),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioPolicy:
    """What the ratio has to keep to.

    Parameters
    ----------
    minimum_ratio
        Least ratio that quality allows.
    overlap
        How loading and recomputing are put together.
    recompute_overhead
        Of the selective mechanism, as a share of the recompute time.
    compute_share
        Share of the accelerator that recomputing gets, in (0, 1].
    granularity_tokens
        Recomputed tokens are a multiple of this; 0: any share.
    tolerance
        Of the search for the crossover; at most 0.1 %.
    """

    minimum_ratio: float = MINIMUM_RATIO
    overlap: Overlap = Overlap.PARALLEL
    recompute_overhead: float = RECOMPUTE_OVERHEAD
    compute_share: float = 1.0
    granularity_tokens: float = 0.0
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        refuse_outside({name: getattr(self, name) for name in _RANGES}, _RANGES)

    def recompute(
        self, ratio: ArrayLike, prefill: WholeModelTime, layers: ArrayLike
    ) -> RecomputeDelay:
        """Return the delay of recomputing a share of the tokens under this policy."""
        return recompute_delay(
            ratio,
            prefill,
            layers=layers,
            overhead=self.recompute_overhead,
            compute_share=self.compute_share,
        )


@dataclass(frozen=True, slots=True)
class RatioChoice:
    """The ratio and what comes of it; arrays of the shape of the question.

    Parameters
    ----------
    crossover
        Ratio at which recomputing takes as long as loading; uncapped.
    ratio
        The chosen one, within [minimum, 1].
    load, recompute
        Delays at it.
    total
        Delay by the policy's way of overlapping.
    recompute_hidden, loading_hidden
        Whether the one is hidden by the other; at the crossover both are.
    """

    crossover: FloatArray
    ratio: FloatArray
    load: LoadDelay
    recompute: RecomputeDelay
    total: WholeModelTime
    recompute_hidden: BoolArray
    loading_hidden: BoolArray


def choose_ratio(
    load: LoadDelay,
    prefill: WholeModelTime,
    *,
    tokens: ArrayLike | None = None,
    policy: RatioPolicy | None = None,
) -> RatioChoice:
    """Recompute as much as loading hides: never below the minimum, never more than everything.

    Parameters
    ----------
    load
        Loading delay from the device.
    prefill
        Profiled prefill of the whole context.
    tokens
        Context length; needed where the policy has a granularity.
    policy
        None: the defaults.

    References
    ----------
    .. [1] Yao et al., *CacheBlend*, EuroSys 2025 (arXiv 2405.16444), section 5.1.
    """
    rules = policy or RatioPolicy()

    def work(ratio: FloatArray) -> WholeModelTime:
        return recompute_work(rules.overlap, rules.recompute(ratio, prefill, load.layers))

    crossover = find_crossover(load.whole, work, tolerance=rules.tolerance)
    ratio = np.clip(crossover, rules.minimum_ratio, 1.0)
    if tokens is not None and rules.granularity_tokens > 0:
        ratio = _in_steps(ratio, rules, np.asarray(tokens, dtype=np.float64))
    recompute = rules.recompute(ratio, prefill, load.layers)
    computing = recompute_work(rules.overlap, recompute)
    return RatioChoice(
        crossover=crossover,
        ratio=ratio,
        load=load,
        recompute=recompute,
        total=total_delay(rules.overlap, load, recompute),
        recompute_hidden=hidden(HidingRule.RECOMPUTE_HIDDEN, load.whole, computing),
        loading_hidden=hidden(HidingRule.LOADING_HIDDEN, load.whole, computing),
    )


def _in_steps(ratio: FloatArray, rules: RatioPolicy, tokens: FloatArray) -> FloatArray:
    """Round down to whole steps, which keeps hiding, but up where quality asks for it."""
    step = rules.granularity_tokens
    below = np.floor(ratio * tokens / step) * step
    least = np.ceil(rules.minimum_ratio * tokens / step) * step
    return np.minimum(np.maximum(below, least) / tokens, 1.0)
