"""A fitted timing as an entry of a fleet file."""

from __future__ import annotations

from optimizer.performance.measurements.fitting import FittedTiming
from optimizer.spec import IterationTimingSpec, PerformanceSpec, PrefillDecodeTimingSpec

__all__ = ["performance_entry"]

_DIGITS = 5


def performance_entry(
    fitted: FittedTiming,
    *,
    model: str,
    accelerator: str,
    source: str,
    max_batch: int | None = None,
    instances: int = 1,
) -> PerformanceSpec:
    """Entry of `performance` with the fitted law; its source tells the confidence.

    Parameters
    ----------
    fitted
        The law.
    model, accelerator
        Names in the fleet file.
    source
        Name of the measurements.
    max_batch
        Most requests in service; by default the most that were measured.
    instances
        Accelerator instances of a replica.
    """
    values = {name: float(f"{c.value:.{_DIGITS}g}") for name, c in fitted.coefficients.items()}
    by_iteration = fitted.law == "iteration"
    return PerformanceSpec(
        model=model,
        accelerator=accelerator,
        instances=instances,
        max_batch=max_batch or fitted.max_batch,
        iteration=IterationTimingSpec(**values) if by_iteration else None,
        prefill_decode=None if by_iteration else PrefillDecodeTimingSpec(**values),
        source=_described(fitted, source),
    )


def _described(fitted: FittedTiming, source: str) -> str:
    """Return rows, errors and 95 % intervals in one sentence each."""
    intervals = [
        f"{name} {c.low:.3g} to {c.high:.3g}"
        for name, c in fitted.coefficients.items()
        if c.low is not None and c.high is not None
    ]
    parts = [
        f"fitted on {fitted.rows} {fitted.form} rows of {source}: median error "
        f"{fitted.median_error:.1%}, R2 {fitted.r_squared:.3f}",
        f"95 % confidence: {', '.join(intervals)}" if intervals else "",
        *fitted.notes,
    ]
    return "; ".join(part for part in parts if part)
