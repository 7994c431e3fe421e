"""How many requests a KV pool holds at once: as the engine logs it, steadily, for real lengths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from optimizer.capacity.errors import CapacityError, require_count, require_positive
from optimizer.capacity.page_layout import PageLayout

__all__ = [
    "Concurrency",
    "RequestLengths",
    "concurrency",
    "concurrency_for_lengths",
]

# Points of a request's growth at which its blocks are counted.
_GROWTH_POINTS = 33


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """Requests of one length that a pool holds at once.

    Parameters
    ----------
    context_len
        Tokens of each request.
    engine_logged
        As the engine logs it at its start ("maximum concurrency"): blocks of the pool over blocks
        reserved to admit a request, windows widened by a step's tokens.
    steady_state
        Over the blocks that a request holds once it is decoding.
    """

    context_len: int
    engine_logged: float
    steady_state: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLengths:
    """One kind of request in a mix.

    Parameters
    ----------
    input_tokens, output_tokens
        Length of the prompt and of the answer, each at least 1.
    weight
        Its share of the arrivals, in any unit, above 0.
    """

    input_tokens: int
    output_tokens: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        require_count("input_tokens", self.input_tokens)
        require_count("output_tokens", self.output_tokens)
        require_positive("weight", self.weight)


def concurrency(
    layout: PageLayout,
    blocks: int,
    context_len: int,
    *,
    max_batched_tokens: int = 8192,
    shared_prefix_tokens: int = 0,
) -> Concurrency:
    """Count the requests of one length that so many blocks hold.

    Parameters
    ----------
    layout
        Pages of the pool.
    blocks
        Blocks in it.
    context_len
        Tokens of a request, prompt and answer.
    max_batched_tokens
        Tokens of an engine step.
    shared_prefix_tokens
        Tokens at the start that all requests share: their whole blocks are kept once. Counts for
        the steady state only; what the engine logs knows no sharing.

    Raises
    ------
    CapacityError
        If a length is out of its range; names it.
    """
    tokens = require_count("context_len", context_len)
    shared = require_count("shared_prefix_tokens", shared_prefix_tokens, least=0)
    if shared >= tokens:
        raise CapacityError(
            "shared_prefix_tokens", shared, f"must be less than context_len ({tokens})"
        )
    once = _shared_blocks(layout, shared)
    each = layout.steady_blocks(tokens) - once
    return Concurrency(
        context_len=tokens,
        engine_logged=blocks / layout.admitted_blocks(tokens, max_batched_tokens),
        steady_state=max(0, blocks - once) / each,
    )


def concurrency_for_lengths(
    layout: PageLayout,
    blocks: int,
    lengths: Sequence[RequestLengths],
    *,
    quantile: float | None = None,
    shared_prefix_tokens: int = 0,
) -> float:
    """Count the requests of a mix of lengths that so many blocks hold while they decode.

    A request met at a random time is met in proportion to the length of its answer, at any point
    of its growth alike; so the mean of its blocks is taken over both.

    Parameters
    ----------
    layout, blocks
        Pages of the pool, and how many blocks it has.
    lengths
        Kinds of requests, at least one.
    quantile
        None: as many as fit on average. Otherwise the most whose blocks together fit with this
        probability (in (0.5, 1), by the central limit theorem), as an engine needs that would not
        preempt.
    shared_prefix_tokens
        Tokens at the start that all requests share.

    Raises
    ------
    CapacityError
        If there are no lengths, or a figure is out of its range.
    """
    if not lengths:
        raise CapacityError("lengths", list(lengths), "must have at least one kind of request")
    shared = require_count("shared_prefix_tokens", shared_prefix_tokens, least=0)
    shortest = min(kind.input_tokens for kind in lengths)
    if shared > shortest:
        raise CapacityError(
            "shared_prefix_tokens", shared, f"must be at most the shortest prompt ({shortest})"
        )
    once = _shared_blocks(layout, shared)
    mean, deviation = _occupancy(layout, lengths, once)
    room = max(0, blocks - once)
    if quantile is None:
        return room / mean
    if not 0.5 < quantile < 1:
        raise CapacityError("quantile", quantile, "must be in (0.5, 1)")
    # n mean + z deviation sqrt(n) = room, solved for sqrt(n).
    spread = NormalDist().inv_cdf(quantile) * deviation
    root = (-spread + math.sqrt(spread * spread + 4 * mean * room)) / (2 * mean)
    return root * root


def _occupancy(
    layout: PageLayout, lengths: Sequence[RequestLengths], once: int
) -> tuple[float, float]:
    """Mean and standard deviation of the blocks of a request met at a random time."""
    weights, first, second = 0.0, 0.0, 0.0
    for kind in lengths:
        points = kind.input_tokens + np.linspace(0, kind.output_tokens, _GROWTH_POINTS)
        held = np.array([max(1, layout.steady_blocks(float(point)) - once) for point in points])
        weight = kind.weight * kind.output_tokens
        weights += weight
        first += weight * float(held.mean())
        second += weight * float((held.astype(float) ** 2).mean())
    mean = first / weights
    return mean, math.sqrt(max(0.0, second / weights - mean * mean))


def _shared_blocks(layout: PageLayout, shared: int) -> int:
    """Whole blocks of a shared prefix, in the groups that keep all tokens.

    Windows slide past a prefix and recurrent states differ per request, so these are not shared.
    """
    return sum(
        group.groups * (shared // group.block_tokens)
        for group in layout.groups
        if group.reach is not None and group.window is None
    )
