from __future__ import annotations

import importlib.util

import pytest

from optimizer.capacity import ModelArchitecture
from optimizer.performance import ModelShape
from optimizer.performance.measurements import fit_measurements, read_measurements
from optimizer.performance.measurements.measuring import (
    MeasuredIteration,
    MeasuringError,
    MeasuringGrid,
    measure_shape,
    measurements_csv,
)
from optimizer.performance.measurements.torch_blocks import require_torch
from solvers import MissingExtraError

has_torch = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not has_torch, reason="PyTorch is not installed")

SMALL = ModelShape(
    layers=3,
    hidden_size=64,
    attention_elements=64 * 16 * 2 * (4 + 2),
    attention_heads=4,
    head_dim=16,
    kv_heads=2,
    latent_attention=0,
    full_layers=2,
    sliding_layers=1,
    window_tokens=8,
    kv_full_elements=2 * 2 * 2 * 16,
    kv_sliding_elements=2 * 2 * 16,
    dense_layers=2,
    dense_elements=3 * 64 * 128,
    experts=4,
    experts_per_token=2,
    expert_elements=3 * 64 * 32,
    expert_width=32,
    shared_elements=3 * 64 * 32,
    vocabulary=256,
    kernels_per_layer=9,
)
GRID = MeasuringGrid(batches=(1, 2), contexts=(4, 32), prompts=(8, 16), repeats=1, warm_ups=0)


@needs_torch
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_small_shape_is_timed_over_the_whole_grid(dtype: str) -> None:
    """Every pair of batch and context and every prompt has a positive time, in that order."""
    rows = list(measure_shape(SMALL, GRID, dtype=dtype))
    work = [(row.decode_tokens, row.prefill_tokens, row.kv_tokens) for row in rows]
    decode = [(1, 0, 4), (2, 0, 8), (1, 0, 32), (2, 0, 64)]
    assert work == [*decode, (0, 8, 0), (0, 16, 0)]
    assert all(row.time_ms > 0 for row in rows)


@needs_torch
def test_an_unknown_device_is_refused_by_name() -> None:
    """The message names the device and a way out."""
    with pytest.raises(MeasuringError, match="device = 'warp' cannot be used"):
        next(measure_shape(SMALL, GRID, device="warp"))


@needs_torch
def test_latent_and_linear_attention_are_refused() -> None:
    """What cannot be timed is said, not timed as something else."""
    for name, kind in (("deepseek-ai/DeepSeek-V3", "latent"), ("Qwen/Qwen3.5-27B", "linear")):
        with pytest.raises(MeasuringError, match=kind):
            next(measure_shape(ModelArchitecture(name).shape, GRID))


@pytest.mark.skipif(has_torch, reason="PyTorch is installed")
def test_without_pytorch_the_extra_is_named() -> None:
    """The message says what to install."""
    with pytest.raises(MissingExtraError, match=r"fleetopt\[measure\]"):
        require_torch()


def test_the_csv_goes_into_the_fit_as_it_is() -> None:
    """Rows written for `capacity fit` give the law they were made of."""
    rows = [
        MeasuredIteration(
            decode_tokens=batch,
            prefill_tokens=prompt,
            kv_tokens=batch * context,
            time_ms=5 + 0.1 * batch + 0.02 * prompt + 1e-4 * batch * context,
        )
        for batch, context, prompt in (
            (1, 100, 0),
            (8, 100, 0),
            (1, 900, 0),
            (8, 900, 0),
            (0, 0, 64),
        )
    ]
    table = read_measurements("m.csv", measurements_csv(rows, "m", "cpu"))
    found = fit_measurements(table).coefficients
    assert found["base_ms"].value == pytest.approx(5, rel=1e-4)
    assert found["kv_ms_per_token"].value == pytest.approx(1e-4, rel=1e-4)
    assert table.only_value("accelerator") == "cpu"


@pytest.mark.parametrize(
    ("changes", "said"), [({"batches": (0, 1)}, "batches"), ({"repeats": 0}, "repeats")]
)
def test_grids_of_nothing_are_refused(changes: dict[str, object], said: str) -> None:
    """The message names the field."""
    with pytest.raises(MeasuringError, match=said):
        MeasuringGrid(**changes)  # type: ignore[arg-type]
