"""Fit all constants and write the data file that ships with the package."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.iteration_time.ampere import fit_family, read_products
from benchmarks.iteration_time.evaluation import HeldOut, held_out_models, log_sd
from benchmarks.iteration_time.fitting import EFFICIENCIES, HOST, LOOP, POLICY, Fitted, fit
from benchmarks.iteration_time.serving_points import Points, read_points
from optimizer.catalog import accelerator

COMMAND = "python -m benchmarks.iteration_time --calibrate"
SERVING = "serving_points.csv: closed-loop TTFT and TPOT, aiconfigurator-core 0.12.0 (Apache-2.0)"
OPERATORS = "vidur_layer_ops.csv: operator times on A100, Vidur profiling data (MIT)"
# Families without serving measurements here: what their vendor's best matrix products reach of
# the peak, relative to the H100's (720 of 989 TFLOPS in bf16, 1280 of 1979 in fp8). The ratio
# scales our own fitted constant, because products in serving reach less than the best shapes.
_H100_16, _H100_8 = 720 / 989, 1280 / 1979
MAX_ACHIEVABLE = (
    "AMD, 'Measuring Max-Achievable FLOPs, part 2' (28 Feb 2025), {card}: {wide} TFLOPS in bf16, "
    "{narrow} in fp8; H100 of the comparison: SemiAnalysis, 'MI300X vs H100 vs H200' (Dec 2024; "
    "as recalled)"
)
MI300X = MAX_ACHIEVABLE.format(card="MI300X (750 W)", wide=708, narrow=1273)
MI325X = MAX_ACHIEVABLE.format(card="MI325X (1000 W)", wide=843, narrow=1519)
BANDWIDTH = (
    "Ambati et al. (31 Oct 2025), 'AMD MI300X GPU Performance Analysis': BabelStream reaches 81 % "
    "of the MI300X's bandwidth and up to 90 % of NVIDIA's cards'; the ratio scales our own constant"
)
_CDNA_READING = dict.fromkeys(
    ("weight_bandwidth", "expert_bandwidth", "kv_bandwidth"), (0.81 / 0.9, BANDWIDTH)
)
PUBLISHED_RATIOS: dict[str, dict[str, tuple[float, str]]] = {
    "cdna": {
        "matrix_16": ((708 / 1307.4) / _H100_16, MI300X),
        "matrix_8": ((1273 / 2614.9) / _H100_8, MI300X),
        **_CDNA_READING,
    },
    "cdna-1000w": {
        "matrix_16": ((843 / 1307.4) / _H100_16, MI325X),
        "matrix_8": ((1519 / 2614.9) / _H100_8, MI325X),
        **_CDNA_READING,
    },
}
# Products per second in proportion to power^e, from the same silicon at two power budgets.
POWER_EXPONENT = math.log(843 / 708) / math.log(1000 / 750)
POWER_SOURCE = (
    "AMD, 'Measuring Max-Achievable FLOPs, part 2' (28 Feb 2025): the same silicon reaches 708 "
    "TFLOPS in bf16 at 750 W (MI300X) and 843 at 1000 W (MI325X)"
)
# Cards that the families were calibrated on.
REFERENCES = {"hopper": "H100-SXM", "ampere": "A100-80GB-SXM"}
# What an accelerator without data adds to the spread: the differences of efficiencies between
# families are of this size (products of AMD's cards reach 0.75 to 0.9 of the
# share that NVIDIA's do).
UNCALIBRATED_LOG_SD = 0.20


def calibrate(data: Path, output: Path) -> None:
    """Read the measurements, fit, judge on held-out models, and write `output`."""
    points = [point for point in read_points(data / "serving_points.csv") if point.usable]
    fitted = fit(Points.of(points))
    ampere = fit_family(read_products(data / "vidur_layer_ops.csv"), fitted.efficiencies)
    document = {
        "schema_version": 1,
        "date": date.today().isoformat(),
        "command": COMMAND,
        "sources": [SERVING, OPERATORS],
        "note": "log_sd: standard deviation of the logarithm; spread: that of held-out predictions",
        "calibrated_families": ["hopper", "ampere"],
        "efficiencies": {name: _entry(fitted, name) for name in EFFICIENCIES},
        "families": {
            "ampere": {
                name: {"value": _round(value), "source": OPERATORS}
                for name, value in ampere.items()
            },
            **{
                family: {
                    name: {"value": _round(fitted.values[name] * ratio), "source": source}
                    for name, (ratio, source) in constants.items()
                }
                for family, constants in PUBLISHED_RATIOS.items()
            },
        },
        "power": {
            "exponent": {"value": _round(POWER_EXPONENT), "source": POWER_SOURCE},
            "references": {family: _reference(name) for family, name in REFERENCES.items()},
        },
        "engines": {engine: _engine(fitted, engine) for engine in POLICY},
        "waves": _entry(fitted, "waves"),
        "spread": _spread(held_out_models(points)),
    }
    output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _entry(fitted: Fitted, name: str) -> dict[str, float]:
    return {"value": _round(fitted.values[name]), "log_sd": _round(fitted.log_sd[name])}


def _engine(fitted: Fitted, engine: str) -> dict[str, Any]:
    prefill_first, chunk = POLICY[engine]
    return {
        **{name: _entry(fitted, f"{engine}.{name}") for name in (*HOST, *LOOP)},
        "prefill_first": {"value": prefill_first},
        "chunk_tokens": {"value": chunk},
    }


def _reference(name: str) -> dict[str, Any]:
    facts = accelerator(name)
    return {"accelerator": name, "power_w": facts.tdp_w, "fp16_tflops": facts.fp16_tflops}


def _spread(judged: HeldOut) -> dict[str, float]:
    dense = np.array([point.dense for point in judged.points])
    return {
        "dense": _round(log_sd(judged.tpot[dense])),
        "experts": _round(log_sd(judged.tpot[~dense])),
        "ttft": _round(log_sd(judged.ttft)),
        "uncalibrated": UNCALIBRATED_LOG_SD,
    }


def _round(value: float) -> float:
    return float(f"{value:.4g}")
