"""How long the prefill of the first tokens of a context takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.times import WholeModelTime

__all__ = ["PrefillLaw", "QuadraticPrefill", "SharedPrefill"]

_RANGES = {
    "ms_per_token": Range("ms", high=1e9),
    "ms_per_token2": Range("ms", high=1e9),
}


class PrefillLaw(Protocol):
    """Time of the first t tokens: 0 at 0 tokens, rising, convex.

    Convexity (a token costs at least as much as the one before it) is what makes computing from
    the front and loading from the back the right division of labour.
    """

    def time(self, tokens: ArrayLike) -> WholeModelTime:
        """Return the time to compute the KV of the first `tokens` tokens, all layers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QuadraticPrefill:
    """f(t) = a t + b t²: linear layers, and attention over all tokens before.

    Parameters
    ----------
    ms_per_token
        a [ms]; a number or an array.
    ms_per_token2
        b [ms]; a number or an array.

    Raises
    ------
    SpecError
        If a figure is negative, or both are 0.
    """

    ms_per_token: ArrayLike
    ms_per_token2: ArrayLike = 0.0

    def __post_init__(self) -> None:
        refuse_outside({name: getattr(self, name) for name in _RANGES}, _RANGES)
        both = np.asarray(self.ms_per_token) + np.asarray(self.ms_per_token2)
        refuse_outside({"ms_per_token": both}, {"ms_per_token": Range("ms", above=True)})

    @classmethod
    def through(cls, prefill_ms: ArrayLike, tokens: ArrayLike) -> Self:
        """Make the linear law that takes `prefill_ms` for `tokens` tokens."""
        per_token = np.asarray(prefill_ms, dtype=np.float64) / np.asarray(tokens, dtype=np.float64)
        return cls(ms_per_token=per_token)

    def time(self, tokens: ArrayLike) -> WholeModelTime:
        """Return a t + b t²."""
        count = np.asarray(tokens, dtype=np.float64)
        linear = np.asarray(self.ms_per_token, dtype=np.float64)
        quadratic = np.asarray(self.ms_per_token2, dtype=np.float64)
        return WholeModelTime((linear + quadratic * count) * count)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPrefill:
    """A law on a share of the accelerator, beside other work: 1 / share as slow.

    Parameters
    ----------
    law
        With the whole accelerator.
    share
        In (0, 1]; a number or an array.

    Raises
    ------
    SpecError
        If the share is outside that.
    """

    law: PrefillLaw
    share: ArrayLike

    def __post_init__(self) -> None:
        refuse_outside(
            {"compute_share": self.share}, {"compute_share": Range(above=True, high=1.0)}
        )

    def time(self, tokens: ArrayLike) -> WholeModelTime:
        """Return the law's time / share."""
        return self.law.time(tokens) * (1.0 / np.asarray(self.share, dtype=np.float64))
