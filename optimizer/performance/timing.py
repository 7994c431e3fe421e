"""What the queue models take: linear laws and tables of a replica's iteration times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.performance.efficiencies import Spread
from optimizer.performance.iteration import Replica, Work, iteration_ms
from optimizer.performance.nonnegative import nonnegative_fit
from optimizer.performance.numbers import FloatArray
from queue_models import IterationTiming, PrefillDecodeTiming, TableTiming

__all__ = [
    "TimingEstimate",
    "TimingRange",
    "estimate_timing",
    "iteration_table",
    "prediction_log_sd",
    "prefill_decode_timing",
]

# Points per axis of the work that a linear law is fitted on and a table is made of.
_BATCHES = 9
_CHUNKS = 5
_CONTEXTS = 4


@dataclass(frozen=True, kw_only=True)
class TimingRange:
    """Work over which a law has to hold.

    Parameters
    ----------
    max_batch
        Most sequences that decode together, >= 2.
    max_context_tokens
        Longest mean context of a sequence [tokens], >= 1.
    input_tokens
        Typical prompt [tokens]: its tokens attend to half of it on average.
    """

    max_batch: int
    max_context_tokens: float
    input_tokens: float


@dataclass(frozen=True, kw_only=True)
class TimingEstimate:
    """A linear law of iteration times, and how far to trust it.

    Parameters
    ----------
    timing
        Base, per decode token, per prompt token, per cached token.
    log_sd
        Standard deviation of the logarithm of a predicted time, from models that the calibration
        had not seen, and from the accelerator's family if that was not calibrated.
    linear_misfit
        Root mean square relative difference of the linear law from the computed times.
    """

    timing: IterationTiming
    log_sd: float
    linear_misfit: float

    @property
    def total_log_sd(self) -> float:
        """Both together, in quadrature."""
        return float(np.hypot(self.log_sd, self.linear_misfit))

    def quantile(self, deviations: float) -> IterationTiming:
        """Return the law slower by so many standard deviations (negative: faster).

        The computed law's misfit counts as part of the deviation.
        """
        factor = np.exp(deviations * self.total_log_sd)
        timing = self.timing
        return IterationTiming(
            timing.base_ms * factor,
            timing.decode_ms_per_token * factor,
            timing.prefill_ms_per_token * factor,
            timing.kv_ms_per_token * factor,
        )


def estimate_timing(replica: Replica, over: TimingRange, log_sd: float) -> TimingEstimate:
    """Linear law of one replica by nonnegative least squares of relative errors.

    Parameters
    ----------
    replica
        One replica: every part a number.
    over
        Where the law has to hold.
    log_sd
        As `prediction_log_sd` says.
    """
    batch, chunk, context = (
        axis.ravel() for axis in np.meshgrid(*_grid(replica, over), indexing="ij")
    )
    time = iteration_ms(replica, _work(over, batch, chunk, context))
    columns = np.stack([np.ones_like(time), batch, chunk, batch * context], axis=1)
    fitted = nonnegative_fit(columns, time, relative=True)
    # A base of 0 is no iteration: what is left then is the least time that was computed.
    base = fitted.coefficients[0] or float(np.min(time)) * 1e-6
    timing = IterationTiming(base, *fitted.coefficients[1:])
    return TimingEstimate(
        timing=timing,
        log_sd=log_sd,
        linear_misfit=float(np.sqrt(np.mean(fitted.residuals**2))),
    )


def iteration_table(replica: Replica, over: TimingRange) -> TableTiming:
    """Table of computed times over decode tokens, prompt tokens and cached tokens."""
    batches, chunks, _ = _grid(replica, over)
    batches = np.concatenate([[0.0], batches])
    cached = np.concatenate(
        [[0.0], np.geomspace(1.0, over.max_batch * over.max_context_tokens, _BATCHES)]
    )
    batch, chunk, tokens = np.meshgrid(batches, chunks, cached, indexing="ij")
    context = tokens / np.maximum(batch, 1.0)
    time = iteration_ms(replica, _work(over, batch, chunk, context))
    for axis in range(3):
        time = np.maximum.accumulate(time, axis=axis)  # rounding must not let a time fall
    return TableTiming(batches, chunks, cached, time)


def prefill_decode_timing(replica: Replica, over: TimingRange) -> PrefillDecodeTiming:
    """Inferno's 4-parameter law: decode alpha + beta·n, prefill gamma + delta·tokens·n.

    Decoding at half the longest context; prompts of up to `input_tokens`, alone.
    """
    batches, _, _ = _grid(replica, over)
    decode = iteration_ms(replica, _work(over, batches, 0.0, over.max_context_tokens / 2))
    law = nonnegative_fit(np.stack([np.ones_like(batches), batches], 1), decode, relative=True)
    tokens = np.geomspace(min(64.0, over.input_tokens / 2), over.input_tokens, _CHUNKS)
    prefill = iteration_ms(
        replica,
        Work(
            decode_tokens=0.0,
            context_tokens=0.0,
            prefill_tokens=tokens,
            prefill_context_tokens=tokens / 2,
            prompts=1.0,
        ),
    )
    start = nonnegative_fit(np.stack([np.ones_like(tokens), tokens], 1), prefill, relative=True)
    return PrefillDecodeTiming(*law.coefficients, *start.coefficients)


def prediction_log_sd(spread: Spread, *, experts: bool, calibrated: bool) -> float:
    """Tell how far predictions are off: standard deviation of log(true/predicted).

    Parameters
    ----------
    spread
        Of the calibration, on held-out models.
    experts
        Whether the model is a mixture of experts.
    calibrated
        Whether the accelerator's family has measurements behind it.
    """
    known = spread.experts if experts else spread.dense
    return float(np.hypot(known, 0.0 if calibrated else spread.uncalibrated))


def _grid(replica: Replica, over: TimingRange) -> Sequence[FloatArray]:
    chunk = float(np.max(replica.engine.chunk_tokens))
    batches = np.unique(np.round(np.geomspace(1, over.max_batch, _BATCHES)))
    chunks = np.concatenate([[0.0], np.geomspace(min(256.0, chunk / 4), chunk, _CHUNKS)])
    contexts = np.linspace(0.0, over.max_context_tokens, _CONTEXTS)
    return batches, chunks, contexts


def _work(
    over: TimingRange, batch: FloatArray, chunk: FloatArray | float, context: FloatArray | float
) -> Work:
    return Work(
        decode_tokens=batch,
        context_tokens=context,
        prefill_tokens=chunk,
        prefill_context_tokens=np.minimum(chunk, over.input_tokens) / 2,
        prompts=np.ceil(np.asarray(chunk) / over.input_tokens),
    )
