"""Prefill times between the contexts that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.errors import Fault, SpecError
from optimizer.kv.prefill import QuadraticPrefill
from optimizer.kv.profiles.records import PrefillTime
from optimizer.kv.times import WholeModelTime

__all__ = ["ProfiledPrefill"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ProfiledPrefill:
    """Straight lines between measured contexts; valid between the shortest and the longest.

    Parameters
    ----------
    context_tokens, prefill_ms
        Points, contexts ascending.
    what
        Model and accelerator, for messages.
    """

    context_tokens: FloatArray
    prefill_ms: FloatArray
    what: str

    @classmethod
    def of_records(cls, records: Sequence[PrefillTime]) -> Self:
        """Take the points of one model on one accelerator.

        Raises
        ------
        SpecError
            If there is none, or they are of several models or accelerators.
        """
        pairs = {(record.model, record.accelerator) for record in records}
        if len(pairs) != 1:
            raise SpecError([Fault(f"{len(pairs)} models and accelerators: must be one")])
        ordered = sorted(records, key=lambda record: record.context_tokens)
        ((model, accelerator),) = pairs
        return cls(
            np.array([record.context_tokens for record in ordered], dtype=np.float64),
            np.array([record.prefill_ms for record in ordered]),
            f"{model} on {accelerator}",
        )

    @property
    def valid_tokens(self) -> tuple[float, float]:
        """Shortest and longest context measured."""
        return float(self.context_tokens[0]), float(self.context_tokens[-1])

    def time(self, tokens: ArrayLike) -> WholeModelTime:
        """Return the prefill time of contexts; no tokens take no time.

        Raises
        ------
        SpecError
            If a context lies outside what was measured.
        """
        wanted = np.asarray(tokens, dtype=np.float64)
        low, high = self.valid_tokens
        outside = (wanted != 0) & ~((wanted >= low) & (wanted <= high))
        if np.any(outside):
            message = (
                f"the profile of {self.what} holds from {low:,.0f} to {high:,.0f} tokens: "
                "measure there, or give the prefill"
            )
            value = f"{wanted[outside].flat[0]:,.0f}"
            raise SpecError([Fault(message, path="tokens", value=value)])
        times = np.interp(wanted, self.context_tokens, self.prefill_ms)
        return WholeModelTime(np.where(wanted == 0, 0.0, times))

    def law(self) -> tuple[QuadraticPrefill, float]:
        """Fit a t + b t² (a, b >= 0) by relative error; return it and its largest relative error.

        For what asks for the time of any part of a context.
        """
        from scipy.optimize import nnls

        t, measured = self.context_tokens, self.prefill_ms
        scale = t[-1]
        design = np.stack([t / scale, (t / scale) ** 2], axis=1) / measured[:, None]
        # A single point says nothing of curvature.
        used = 1 if t.size == 1 else 2
        found, _ = nnls(design[:, :used], np.ones(t.size))
        a, b = (*found, 0.0)[:2]
        law = QuadraticPrefill(ms_per_token=a / scale, ms_per_token2=b / scale**2)
        return law, float(np.max(np.abs(law.time(t).ms / measured - 1)))
