"""Timing laws from measurements: iteration times, serving points, two-point benchmarks."""

from __future__ import annotations

from optimizer.performance.measurements.fitting import (
    FORMS,
    Coefficient,
    FittedTiming,
    fit_measurements,
)
from optimizer.performance.measurements.performance_entry import performance_entry
from optimizer.performance.measurements.table import (
    MeasurementError,
    MeasurementTable,
    read_measurements,
)

__all__ = [
    "FORMS",
    "Coefficient",
    "FittedTiming",
    "MeasurementError",
    "MeasurementTable",
    "fit_measurements",
    "performance_entry",
    "read_measurements",
]
