"""Iteration times from a model's shape and an accelerator's peaks, calibrated on measurements."""

from __future__ import annotations

from optimizer.performance.closed_loop import ClosedLoad, ClosedLoop, closed_loop
from optimizer.performance.efficiencies import (
    Calibration,
    Efficiencies,
    EngineOverheads,
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
from optimizer.performance.roof import AcceleratorRoof, MissingFigureError, family_of, roof_of
from optimizer.performance.shape import ModelShape, shape_of

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
    "Precision",
    "Replica",
    "Spread",
    "UnknownEngineError",
    "UnknownPrecisionError",
    "Work",
    "calibration",
    "closed_loop",
    "family_of",
    "iteration_breakdown",
    "iteration_ms",
    "native_precision",
    "precision",
    "roof_of",
    "shape_of",
]
