"""The laws of timing whose parameters are learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.tuner.errors import TunerError
from queue_models import IterationTiming, PrefillDecodeTiming, QueueModel, Timing

__all__ = ["LAWS", "TimingLaw", "law_for"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TimingLaw:
    """A law of timing in as many parameters as are learnt.

    Parameters
    ----------
    name
        Key in `LAWS`.
    parameters
        Names of the parameters, all > 0.
    coefficients
        For each coefficient of the timing in order, the parameter that it is.
    kind
        The timing, as the queue models take it.
    """

    name: str
    parameters: tuple[str, ...]
    coefficients: tuple[int, ...]
    kind: type[IterationTiming] | type[PrefillDecodeTiming]

    def timing(self, values: FloatArray) -> Timing:
        """Return the timing of parameters (..., n)."""
        return self.kind(*(values[..., place] for place in self.coefficients))

    def values_of(self, timing: Timing) -> FloatArray:
        """Return the parameters (..., n) of a timing of this kind.

        Coefficients that are one parameter are taken from the first of them.
        """
        if not isinstance(timing, self.kind):
            raise TunerError(
                f"law '{self.name}' starts from {self.kind.__name__}, came {type(timing).__name__}"
            )
        given = [getattr(timing, name) for name in timing.__dataclass_fields__]
        first = [self.coefficients.index(place) for place in range(len(self.parameters))]
        return np.stack(np.broadcast_arrays(*(given[place] for place in first)), axis=-1)

    def entry(self, values: FloatArray) -> tuple[str, dict[str, float]]:
        """Return the field of a performance entry that states the timing, and its content."""
        fields = tuple(self.kind.__dataclass_fields__)
        content = {f: float(values[p]) for f, p in zip(fields, self.coefficients, strict=True)}
        return "iteration" if self.kind is IterationTiming else "prefill_decode", content


LAWS: Mapping[str, TimingLaw] = MappingProxyType(
    {
        law.name: law
        for law in (
            TimingLaw(
                "iteration",
                ("base_ms", "decode_ms_per_token", "prefill_ms_per_token", "kv_ms_per_token"),
                (0, 1, 2, 3),
                IterationTiming,
            ),
            TimingLaw(
                "three_parameter",
                ("base_ms", "ms_per_token", "kv_ms_per_token"),
                (0, 1, 1, 2),
                IterationTiming,
            ),
            TimingLaw(
                "prefill_decode",
                (
                    "decode_base_ms",
                    "decode_ms_per_request",
                    "prefill_base_ms",
                    "prefill_ms_per_token",
                ),
                (0, 1, 2, 3),
                PrefillDecodeTiming,
            ),
        )
    }
)
"""Laws by name: `iteration` (base, decode, prefill, KV), `three_parameter` (inferno's alpha, beta,
gamma: decode and prompt tokens cost the same) and `prefill_decode` (inferno's four)."""

# Models that know but one time per token.
_ONE_TIME_PER_TOKEN = ("inferno-3p",)


def law_for(model: QueueModel) -> TimingLaw:
    """Return the law whose parameters a queue model can tell apart."""
    if model.name in _ONE_TIME_PER_TOKEN:
        return LAWS["three_parameter"]
    return LAWS["iteration" if IterationTiming in model.timings else "prefill_decode"]
