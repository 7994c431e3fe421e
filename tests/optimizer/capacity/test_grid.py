"""The vectorised grid says what one calculation at a time says."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.capacity import (
    GPU_LIBRARY,
    CapacityError,
    CapacityGrid,
    ModelArchitecture,
    Verdict,
    capacity_grid,
    concurrency,
    kv_format,
    memory_budget,
)
from optimizer.catalog import device_memory, model_names

PRECISIONS = ("bfloat16", "fp8", "int4")
DEGREES = (1, 2, 8)


@pytest.fixture(scope="module")
def grid() -> CapacityGrid:
    """All of the catalogue: 34 models, 34 accelerators, 3 degrees, 3 precisions."""
    models = [ModelArchitecture(name).architecture for name in model_names()]
    return capacity_grid(
        models, list(GPU_LIBRARY.values()), tensor_parallel=DEGREES, precisions=PRECISIONS
    )


def test_all_combinations_are_there(grid: CapacityGrid) -> None:
    """34 x 34 x 3 x 3, each with a verdict, and every verdict but one occurs."""
    assert grid.size == 34 * 34 * 3 * 3
    assert set(np.unique(grid.verdict)) == {verdict.value for verdict in Verdict}


@pytest.mark.parametrize(
    "name", ["meta-llama/Llama-3.1-70B", "openai/gpt-oss-20b", "Qwen/Qwen3.5-27B"]
)
@pytest.mark.parametrize("accelerator_name", ["H100-SXM", "L4", "MI300X"])
def test_the_grid_agrees_with_single_budgets(
    grid: CapacityGrid, name: str, accelerator_name: str
) -> None:
    """Pool, and concurrency in both senses, to rounding."""
    architecture = ModelArchitecture(name).architecture
    m, a = grid.models.index(name), grid.accelerators.index(accelerator_name)
    for t, degree in enumerate(DEGREES):
        for p, precision in enumerate(PRECISIONS):
            budget = memory_budget(
                architecture,
                ModelArchitecture(name).weights_in(precision),
                kv_format("auto", architecture),
                device_memory_gib=device_memory(GPU_LIBRARY[accelerator_name]).memory_gib,
                tensor_parallel=degree,
            )
            layout = budget.layout
            assert layout is not None
            single = concurrency(layout, budget.blocks, grid.context_len)
            pool = budget.tightest.kv_pool_bytes
            assert grid.kv_pool_bytes[m, a, t, p] == pytest.approx(pool)
            assert grid.engine_concurrency[m, a, t, p] == pytest.approx(single.engine_logged)
            assert grid.steady_concurrency[m, a, t, p] == pytest.approx(single.steady_state)


def test_more_memory_never_hurts(grid: CapacityGrid) -> None:
    """Along the accelerators by memory, pools grow."""
    order = np.argsort([device_memory(facts).memory_gib for facts in GPU_LIBRARY.values()])
    assert np.all(np.diff(grid.kv_pool_bytes[:, order], axis=1) >= 0)


def test_narrower_weights_leave_more(grid: CapacityGrid) -> None:
    """bfloat16, fp8, int4: pools grow along the precisions."""
    assert np.all(np.diff(grid.kv_pool_bytes, axis=3) > 0)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"context_len": 0}, "context_len"),
        ({"batch_size": -1}, "batch_size"),
        ({"precisions": ()}, "precisions"),
        ({"precisions": ("fp7",)}, "precisions"),
        ({"kv_dtype": "fp7"}, "kv_dtype"),
        ({"tensor_parallel": (0,)}, "tensor_parallel"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, object], field: str) -> None:
    """The error names the axis or argument."""
    models = [ModelArchitecture("meta-llama/Llama-3.1-8B").architecture]
    with pytest.raises(CapacityError, match=rf"^{field} = "):
        capacity_grid(models, list(GPU_LIBRARY.values()), **options)  # type: ignore[arg-type]
