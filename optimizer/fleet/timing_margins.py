"""Times that are not known exactly, slowed until they hold with a confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import PerformanceSpec, TimingUncertaintySpec
from queue_models import IterationTiming, PrefillDecodeTiming, TableTiming, Timing

__all__ = ["TimingMargins"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TimingMargins:
    """How much slower than stated the learnt times of a fleet are reckoned with.

    Parameters
    ----------
    deviations
        Standard deviations of the logarithm of a time, > 0.
    log_covariance
        (entries, 4, 4): of the logarithms of the coefficients; zero where nothing is stated.
    by_phase
        (entries,): whether it is of the timing by phase.
    """

    deviations: float
    log_covariance: FloatArray
    by_phase: NDArray[np.bool_]

    @classmethod
    def of(cls, spec: FleetSpec) -> TimingMargins | None:
        """Read a fleet; None where it wants no confidence or states no uncertainty."""
        confidence = spec.optimizer.performance_confidence
        if confidence <= 0.5 or not any(entry.uncertainty for entry in spec.performance):
            return None
        return cls(
            NormalDist().inv_cdf(confidence),
            np.stack([_covariance(entry.uncertainty) for entry in spec.performance]),
            _by_phase(spec.performance),
        )

    def slowed(
        self,
        timing: Timing,
        performance: IntArray,
        input_tokens: FloatArray,
        output_tokens: FloatArray,
        max_batch: FloatArray,
    ) -> Timing:
        """Return the timing of rows, slower by what its uncertainty at their work makes of it.

        A time T = sum of c_i w_i has ln T known to sqrt(g'Pg) with g_i = c_i w_i / T. Of the
        times that a service meets - decoding alone, decoding in a full batch with prompts among
        it, and computing a prompt - the least known one counts, for all coefficients alike.
        Errors of the coefficients that cancel at this work cost nothing.

        Parameters
        ----------
        timing
            (P,).
        performance
            (P,): entries of the rows.
        input_tokens, output_tokens, max_batch
            (P,): mean lengths, and the batch.
        """
        if isinstance(timing, TableTiming):
            return timing
        coefficients = np.stack([getattr(timing, f.name) for f in fields(timing)], axis=-1)
        if isinstance(timing, IterationTiming):
            work = _iteration_work(input_tokens, output_tokens, max_batch)
        else:
            work = _phase_work(input_tokens, max_batch)
        parts = work * coefficients[None]
        share = parts / np.maximum(parts.sum(axis=-1, keepdims=True), 1e-300)
        covariance = self.log_covariance[performance]
        meant = self.by_phase[performance] == isinstance(timing, PrefillDecodeTiming)
        variance = np.einsum("wpi,pij,wpj->wp", share, covariance, share)
        spread = np.sqrt(np.maximum(variance, 0.0)).max(axis=0)
        slower = np.where(meant, np.exp(self.deviations * spread), 1.0)
        return type(timing)(*(slower * c for c in np.moveaxis(coefficients, -1, 0)))


def _iteration_work(prompt: FloatArray, output: FloatArray, batch: FloatArray) -> FloatArray:
    """Return (3, P, 4): base, decode, prompt and KV tokens of a request's times."""
    held = output * (prompt + output / 2)
    nothing = np.zeros_like(prompt)
    alone = np.stack([output, output, nothing, held], axis=-1)
    together = np.stack([output / batch, output, prompt, held], axis=-1)
    first = np.stack([nothing + 1, nothing, prompt, nothing], axis=-1)
    return np.stack([alone, together, first])


def _phase_work(prompt: FloatArray, batch: FloatArray) -> FloatArray:
    """Return (4, P, 4): the same of decode and prefill by phase, alone and in a full batch."""
    nothing, one = np.zeros_like(prompt), np.ones_like(prompt)
    return np.stack(
        [
            np.stack([one, one, nothing, nothing], axis=-1),
            np.stack([one, batch, nothing, nothing], axis=-1),
            np.stack([nothing, nothing, one, prompt], axis=-1),
            np.stack([nothing, nothing, one, prompt * batch], axis=-1),
        ]
    )


def _covariance(stated: TimingUncertaintySpec | None) -> FloatArray:
    if stated is None:
        return np.zeros((4, 4))
    correlation = np.eye(4) if stated.correlation is None else np.array(stated.correlation)
    spread = np.array(stated.log_sd)
    return np.asarray(correlation * spread * spread[:, None], dtype=np.float64)


def _by_phase(performance: Sequence[PerformanceSpec]) -> NDArray[np.bool_]:
    return np.array([entry.iteration is None for entry in performance])
