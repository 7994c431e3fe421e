"""Times of the operators of a forward pass on one card, as rooflines with efficiencies.

References
----------
.. [1] Williams, S., Waterman, A., Patterson, D. (2009). "Roofline: an insightful visual
       performance model for multicore architectures". CACM 52(4).
.. [2] Thakur, R., Rabenseifner, R., Gropp, W. (2005). "Optimization of collective communication
       operations in MPICH". IJHPCA 19(1): the ring all-reduce moves 2(n-1)/n of the message.
"""

from __future__ import annotations

import numpy as np

from optimizer.performance.numbers import Number

__all__ = [
    "all_reduce_ms",
    "attended_tokens",
    "experts_touched",
    "matrix_ms",
    "reading_ms",
    "soft_maximum",
]

# A kernel overlaps reading and multiplying almost, but not quite: the p-norm of the two times is
# 26 % above the larger where they are equal, and 1 % above it where they differ by a factor 3.
_OVERLAP = 3.0


def soft_maximum(first: Number, second: Number, sharpness: float = _OVERLAP) -> Number:
    """(a^p + b^p)^(1/p): the larger of two times >= 0, rounded where they are close."""
    # np.hypot's care against overflow is not needed: times are far below 1e100 ms.
    return np.asarray(np.power(first, sharpness) + np.power(second, sharpness)) ** (1 / sharpness)


def reading_ms(size_bytes: Number, bandwidth_gb_s: Number) -> Number:
    """Time to read bytes at a bandwidth [ms]."""
    return size_bytes / bandwidth_gb_s * 1e-6


def matrix_ms(
    elements: Number,
    bytes_per_element: Number,
    tokens: Number,
    bandwidth_gb_s: Number,
    tflops: Number,
) -> Number:
    """Time of `tokens` rows times weight matrices of `elements` weights [ms].

    The weights are read once (bandwidth bound for few tokens), and each takes two operations per
    token (compute bound for many).
    """
    reading = reading_ms(elements * bytes_per_element, bandwidth_gb_s)
    multiplying = 2 * elements * tokens / tflops * 1e-9
    return soft_maximum(reading, multiplying)


def experts_touched(
    experts: Number, experts_per_token: Number, tokens: Number, spread: Number = 1.0
) -> Number:
    """Experts of a layer that at least one of B tokens chooses: E·(1 - (1 - k/E)^(B^s)).

    With s = 1 tokens choose independently and uniformly; real routers favour some experts and
    tokens of one sequence resemble each other, which s < 1 stands for. Between k and E for
    B >= 1; 0 without experts or tokens.
    """
    count = np.maximum(experts, 1.0)
    share = np.minimum(experts_per_token / count, 1.0)
    effective = np.power(np.maximum(tokens, 0.0), spread)
    return np.asarray(np.where(experts > 0, count * (1 - np.power(1 - share, effective)), 0.0))


def attended_tokens(
    context: Number, full_part: Number, sliding_part: Number, window: Number
) -> Number:
    """Weighted sum of the tokens attended to: full·context + sliding·min(context, window)."""
    return full_part * context + sliding_part * np.minimum(context, np.maximum(window, 1.0))


def all_reduce_ms(
    size_bytes: Number, cards: Number, latency_ms: Number, link_gb_s: Number
) -> Number:
    """Time of one all-reduce over n cards: latency + 2(n-1)/n·bytes/bandwidth [2]_; 0 for one."""
    moving = 2 * (cards - 1) / np.maximum(cards, 1.0) * size_bytes / link_gb_s * 1e-6
    return np.asarray(np.where(np.asarray(cards) > 1, latency_ms + moving, 0.0))
