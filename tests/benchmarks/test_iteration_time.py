from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.iteration_time.ampere import fit_family, prompts, read_products
from benchmarks.iteration_time.evaluation import (
    HeldOut,
    held_out_accelerators,
    held_out_models,
    median_error,
)
from benchmarks.iteration_time.fitting import fit
from benchmarks.iteration_time.mlperf import kendall_tau, offline
from benchmarks.iteration_time.serving_points import Point, Points, read_points
from optimizer.performance import calibration

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "measured"


@pytest.fixture(scope="module")
def points() -> list[Point]:
    file = DATA / "serving_points.csv"
    if not file.is_file():
        pytest.skip("the measured serving points are not beside the repository")
    return [point for point in read_points(file) if point.usable]


@pytest.fixture(scope="module")
def judged(points: list[Point]) -> HeldOut:
    return held_out_models(points)


def test_times_per_token_of_models_held_out(judged: HeldOut) -> None:
    """Median error at most 14 % over all rows, at most 8 % for dense models with vLLM."""
    dense = np.array([p.dense and p.engine == "vllm" for p in judged.points])
    assert median_error(judged.tpot) <= 14
    assert median_error(judged.tpot[dense]) <= 8


def test_times_to_first_token_of_models_held_out(judged: HeldOut) -> None:
    """Median error at most 30 % under the benchmarks' own load."""
    assert median_error(judged.ttft) <= 30


def test_an_accelerator_held_out(points: list[Point]) -> None:
    """H200 predicted from H100 alone: median error of times per token at most 25 %."""
    errors = held_out_accelerators(points)
    h200 = np.array([p.accelerator == "H200-SXM" for p in points])
    assert median_error(errors.tpot[h200]) <= 25


def test_the_shipped_constants_are_those_of_the_data(points: list[Point]) -> None:
    """Fitting again gives the constants of the package's data file within 1 %."""
    again, shipped = fit(Points.of(points)), calibration()
    for name in ("weight_bandwidth", "matrix_16", "matrix_8", "kv_bandwidth", "kernel_ms"):
        assert again.values[name] == pytest.approx(getattr(shipped.efficiencies, name), rel=0.01)


def test_the_stated_spread_covers_models_held_out(judged: HeldOut) -> None:
    """At least 85 % of held-out times per token lie within two stated deviations."""
    spread = calibration().spread
    dense = np.array([p.dense for p in judged.points])
    stated = np.where(dense, spread.dense, spread.experts)
    assert np.mean(np.abs(np.log1p(judged.tpot)) < 2 * stated) >= 0.85


def test_an_accelerator_of_another_generation(points: list[Point]) -> None:
    """A100 from Hopper's constants: products and prompts within 25 %; calibrated, 8 %."""
    hopper = fit(Points.of(points))
    products = read_products(DATA / "vidur_layer_ops.csv")
    off = products.predicted_ms(hopper.efficiencies) / products.measured_ms - 1
    assert median_error(off) <= 25
    whole = prompts(
        DATA / "splitwise_profile_a100.csv", hopper.efficiencies, hopper.engines["vllm"]
    )
    assert median_error(whole.predicted_ms / whole.measured_ms - 1) <= 25
    family = fit_family(products, hopper.efficiencies)
    assert calibration().families["ampere"]["matrix_16"] == pytest.approx(
        family["matrix_16"], rel=0.01
    )


def test_accelerators_rank_as_in_mlperf() -> None:
    """Kendall tau of at least 0.8 with six published offline results of Llama-2-70B."""
    results = offline(calibration())
    assert len(results) == 6
    assert kendall_tau(results) >= 0.8
