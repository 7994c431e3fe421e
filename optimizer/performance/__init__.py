"""Iteration times from a model's shape and an accelerator's peaks, calibrated on measurements."""

from __future__ import annotations

from optimizer.performance.closed_loop import ClosedLoad, ClosedLoop, closed_loop
from optimizer.performance.efficiencies import (
    Calibration,
    Efficiencies,
    EngineOverheads,
    PowerScaling,
    Spread,
    UnknownEngineError,
    calibration,
)
from optimizer.performance.iteration import (
    Breakdown,
    Parallelism,
    Replica,
    Work,
    iteration_breakdown,
    iteration_ms,
)
from optimizer.performance.precision import (
    PRECISIONS,
    Precision,
    UnknownPrecisionError,
    native_precision,
    precision,
)
from optimizer.performance.prefill import chunked_prefill_ms
from optimizer.performance.roof import AcceleratorRoof, MissingFigureError, family_of, roof_of
from optimizer.performance.shape import ModelShape
from optimizer.performance.speculation import (
    SpeculationError,
    accepted_tokens,
    speculative_token_ms,
)
from optimizer.performance.timing import (
    TimingEstimate,
    TimingRange,
    estimate_timing,
    iteration_table,
    prediction_log_sd,
    prefill_decode_timing,
)

__all__ = [
    "PRECISIONS",
    "AcceleratorRoof",
    "Breakdown",
    "Calibration",
    "ClosedLoad",
    "ClosedLoop",
    "Efficiencies",
    "EngineOverheads",
    "MissingFigureError",
    "ModelShape",
    "Parallelism",
    "PowerScaling",
    "Precision",
    "Replica",
    "SpeculationError",
    "Spread",
    "TimingEstimate",
    "TimingRange",
    "UnknownEngineError",
    "UnknownPrecisionError",
    "Work",
    "accepted_tokens",
    "calibration",
    "chunked_prefill_ms",
    "closed_loop",
    "estimate_timing",
    "family_of",
    "iteration_breakdown",
    "iteration_ms",
    "iteration_table",
    "native_precision",
    "precision",
    "prediction_log_sd",
    "prefill_decode_timing",
    "roof_of",
    "speculative_token_ms",
]
