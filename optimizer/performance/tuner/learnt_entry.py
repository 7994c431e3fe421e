"""What was learnt, as an entry of a fleet file."""

from __future__ import annotations

import numpy as np

from optimizer.performance.tuner.learnt import LearntTiming
from optimizer.spec import (
    IterationTimingSpec,
    PerformanceSpec,
    PrefillDecodeTimingSpec,
    TimingUncertaintySpec,
)

__all__ = ["learnt_entry"]

_DIGITS = 5
_MOST_LOG_SD = 10.0


def learnt_entry(
    learnt: LearntTiming,
    *,
    model: str,
    accelerator: str,
    max_batch: int,
    source: str,
    base: PerformanceSpec | None = None,
) -> PerformanceSpec:
    """Return an entry of `performance` with the learnt timing and its uncertainty.

    Parameters
    ----------
    learnt
        The timing.
    model, accelerator, max_batch
        Of the entry, where it is a new one.
    source
        Where it comes from, in words.
    base
        Entry whose other figures stay as they are; its timing, and with it tables and estimates,
        is replaced.
    """
    field, coefficients = learnt.law.entry(learnt.values)
    rounded = {name: float(f"{value:.{_DIGITS}g}") for name, value in coefficients.items()}
    places = list(learnt.law.coefficients)
    covariance = learnt.log_covariance[np.ix_(places, places)]
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.maximum(spread, 1e-300)
    correlation = np.clip(np.round(covariance / scale / scale[:, None], 4), -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    by_iteration = field == "iteration"
    changed = {
        "iteration": IterationTimingSpec(**rounded) if by_iteration else None,
        "prefill_decode": None if by_iteration else PrefillDecodeTimingSpec(**rounded),
        "iteration_table": None,
        "uncertainty": TimingUncertaintySpec(
            log_sd=tuple(float(f"{min(s, _MOST_LOG_SD):.4g}") for s in spread),
            correlation=tuple(map(tuple, correlation.tolist())),
            observations=learnt.accepted,
        ),
        "log_sd": None,
        "source": source[:2000],
    }
    if base is not None:
        return base.model_copy(update=changed)
    return PerformanceSpec(
        model=model,
        accelerator=accelerator,
        max_batch=max_batch,
        **changed,  # type: ignore[arg-type]
    )
