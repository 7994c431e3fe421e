"""Requests of one kind among others: whose latencies are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import FloatArray, checked_array
from queue_models.lengths import Lengths

__all__ = ["TaggedRequests"]


@dataclass(frozen=True, eq=False, init=False)
class TaggedRequests:
    """A kind of requests that a replica serves among others (a tagged customer, in queueing).

    Latencies asked of a process with tagged requests are those of this kind, while what the replica
    does, and how long requests wait, is decided by all that it serves.

    Parameters
    ----------
    input_tokens, output_tokens
        Their lengths: distributions, or numbers for fixed ones.
    prefix_hit_rate
        Share of their prompt tokens found in the cache, in [0, 1].

    Raises
    ------
    ServiceProcessError
        If a length is below 0 (outputs: 1) or the share outside [0, 1].
    """

    input_lengths: Lengths
    output_lengths: Lengths
    prefix_hit_rate: FloatArray

    def __init__(
        self,
        input_tokens: ArrayLike | Lengths,
        output_tokens: ArrayLike | Lengths,
        prefix_hit_rate: ArrayLike = 0.0,
    ) -> None:
        for name, value, least in (("input", input_tokens, 0.0), ("output", output_tokens, 1.0)):
            lengths = value if isinstance(value, Lengths) else Lengths.fixed(value)
            checked_array("TaggedRequests", f"{name}_tokens", lengths.mean, least)
            object.__setattr__(self, f"{name}_lengths", lengths)
        share = checked_array("TaggedRequests", "prefix_hit_rate", prefix_hit_rate, 0.0, 1.0)
        object.__setattr__(self, "prefix_hit_rate", share)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape that the parts broadcast to."""
        return np.broadcast_shapes(
            self.input_lengths.shape, self.output_lengths.shape, self.prefix_hit_rate.shape
        )

    def broadcast_to(self, shape: tuple[int, ...]) -> TaggedRequests:
        """Return the same for every pair."""
        return TaggedRequests(
            self.input_lengths.broadcast_to(shape),
            self.output_lengths.broadcast_to(shape),
            np.broadcast_to(self.prefix_hit_rate, shape),
        )

    def reshape(self, shape: tuple[int, ...]) -> TaggedRequests:
        """Return the same in another shape."""
        return TaggedRequests(
            self.input_lengths.reshape(shape),
            self.output_lengths.reshape(shape),
            self.prefix_hit_rate.reshape(shape),
        )

    def take(self, which: NDArray[Any]) -> TaggedRequests:
        """Return those of the pairs selected by a mask or by indices."""
        return TaggedRequests(
            self.input_lengths.take(which),
            self.output_lengths.take(which),
            self.prefix_hit_rate[which],
        )

    def as_columns(self) -> list[NDArray[Any]]:
        """Return all that is known of them as columns of numbers: equal rows are equal kinds."""
        columns: list[NDArray[Any]] = [self.prefix_hit_rate]
        for lengths in (self.input_lengths, self.output_lengths):
            columns += [lengths.family, lengths.mean, lengths.scv, lengths.histogram]
        return columns
