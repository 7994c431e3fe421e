"""Errors of predictions on models that the fit has not seen, by slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.iteration_time.fitting import fit, predict
from benchmarks.iteration_time.serving_points import Point, Points

FloatArray = NDArray[np.float64]
# A normal's standard deviation over its median absolute deviation.
_SD_OVER_MAD = 1.4826


@dataclass(frozen=True)
class HeldOut:
    """Relative errors, predicted over measured less 1, of shape (n,)."""

    points: list[Point]
    tpot: FloatArray
    ttft: FloatArray


@dataclass(frozen=True)
class Slice:
    """Points with a common trait, and what the reference tool's errors are there (or None)."""

    name: str
    belongs: Callable[[Point], bool]
    reference_tpot: float | None = None
    reference_ttft: float | None = None


# aiconfigurator 0.12.0 on the rows of the same kind, median absolute error in percent.
SLICES = (
    Slice("all", lambda _: True, 15.9, 50.1),
    Slice("dense", lambda p: p.dense, 9.8, 55.5),
    Slice("dense, vLLM", lambda p: p.dense and p.engine == "vllm", 6.3, 46.7),
    Slice("mixture of experts", lambda p: not p.dense, 22.2, 53.1),
    Slice("vLLM", lambda p: p.engine == "vllm"),
    Slice("SGLang", lambda p: p.engine == "sglang"),
    Slice("TensorRT-LLM", lambda p: p.engine == "trtllm"),
    Slice("H100", lambda p: p.accelerator == "H100-SXM"),
    Slice("H200", lambda p: p.accelerator == "H200-SXM"),
    Slice("8 requests or fewer", lambda p: p.requests <= 8),
    Slice("64 requests or more", lambda p: p.requests >= 64),
)


def held_out_models(points: list[Point]) -> HeldOut:
    """Errors on each model, with constants fitted on all the others."""
    return _held_out(points, [point.model for point in points])


def held_out_accelerators(points: list[Point]) -> HeldOut:
    """Errors on each accelerator, with constants fitted on the other."""
    return _held_out(points, [point.accelerator for point in points])


def in_sample(points: list[Point]) -> HeldOut:
    """Errors on the points that the constants were fitted on."""
    judged = Points.of(points)
    loop = predict(judged, fit(judged))
    return HeldOut(points, loop.tpot_ms / judged.tpot_ms - 1, loop.ttft_ms / judged.ttft_ms - 1)


def _held_out(points: list[Point], groups: list[str]) -> HeldOut:
    tpot, ttft = np.empty(len(points)), np.empty(len(points))
    for group in sorted(set(groups)):
        inside = np.array([name == group for name in groups])
        fitted = fit(Points.of([p for p, out in zip(points, inside, strict=True) if not out]))
        judged = Points.of([p for p, out in zip(points, inside, strict=True) if out])
        loop = predict(judged, fitted)
        tpot[inside] = loop.tpot_ms / judged.tpot_ms - 1
        ttft[inside] = loop.ttft_ms / judged.ttft_ms - 1
    return HeldOut(points, tpot, ttft)


def median_error(errors: FloatArray) -> float:
    """Median absolute relative error [%]."""
    return float(np.median(np.abs(errors)) * 100)


def log_sd(errors: FloatArray) -> float:
    """Robust standard deviation of log(predicted/measured) about 0."""
    return float(_SD_OVER_MAD * np.median(np.abs(np.log1p(errors))))
