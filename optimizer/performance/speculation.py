"""Speculative decoding: what drafted tokens cost and how many of them are kept.

References
----------
.. [1] Leviathan, Y., Kalman, M., Matias, Y. (2023). "Fast inference from transformers via
       speculative decoding". ICML.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.errors import FleetError
from optimizer.performance.iteration import Replica, Work, iteration_ms
from optimizer.performance.numbers import FloatArray, Number

__all__ = ["SpeculationError", "accepted_tokens", "speculative_token_ms"]


class SpeculationError(FleetError, ValueError):
    """A figure of speculative decoding is outside its range."""


def accepted_tokens(speculated_tokens: Number, acceptance: Number) -> FloatArray:
    """Mean tokens of one verification: (1 - a^(k+1))/(1 - a), k + 1 for a = 1 [1]_.

    The first rejected token ends the step, and the model's own replaces it.

    Parameters
    ----------
    speculated_tokens
        Drafted tokens k, >= 0.
    acceptance
        Probability a that a drafted token is kept, given that those before it were, in [0, 1].

    Raises
    ------
    SpeculationError
        If a figure is outside its range.
    """
    drafted, rate = np.broadcast_arrays(
        np.asarray(speculated_tokens, dtype=np.float64), np.asarray(acceptance, dtype=np.float64)
    )
    if np.any(~(drafted >= 0)):
        raise SpeculationError(f"speculated_tokens = {speculated_tokens}: must be at least 0")
    if np.any(~((rate >= 0) & (rate <= 1))):
        raise SpeculationError(f"acceptance = {acceptance}: must be a probability, from 0 to 1")
    below = np.minimum(rate, 1 - 1e-12)
    return np.asarray(np.where(rate == 1, drafted + 1, (1 - below ** (drafted + 1)) / (1 - below)))


def speculative_token_ms(
    replica: Replica,
    work: Work,
    speculated_tokens: Number,
    acceptance: Number,
    draft: Replica | None = None,
) -> FloatArray:
    """Mean time per output token with speculation [ms].

    One step drafts k tokens one after the other and verifies them together with the model's own.

    Parameters
    ----------
    replica, work
        The replica and its decode work, without speculation.
    speculated_tokens, acceptance
        As for `accepted_tokens`.
    draft
        The drafting model as a replica; None for drafts that cost nothing (n-grams).
    """
    kept = accepted_tokens(speculated_tokens, acceptance)
    step = iteration_ms(replica, replace(work, speculated_tokens=speculated_tokens))
    if draft is not None:
        step = step + speculated_tokens * iteration_ms(draft, work)
    return np.asarray(step / kept)
