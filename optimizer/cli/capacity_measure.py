"""`fleetopt capacity measure`: iteration times of a model's shape on the device at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer.cli.capacity_options import Model, read_model
from optimizer.cli.output import tell, write_data

__all__ = ["measure"]


def measure(
    model: Model,
    *,
    device: Annotated[str, typer.Option(help="Device of PyTorch: cpu, cuda, cuda:1, xpu.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="bfloat16, float16 or float32.")] = "bfloat16",
    accelerator: Annotated[
        str | None, typer.Option(help="Name of the device in the CSV; by default the device.")
    ] = None,
    batches: Annotated[str, typer.Option(help="Sequences that decode.")] = "1,2,4,8,16",
    contexts: Annotated[str, typer.Option(help="Cached tokens of each.")] = "128,1024",
    prompts: Annotated[str, typer.Option(help="Prompt tokens of prefills.")] = "32,128,512",
    copies: Annotated[int, typer.Option(min=1, help="Copies of each block, run in a row.")] = 2,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs; the median counts.")] = 5,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="CSV to write.")] = None,
) -> None:
    """Time prefill and decode over a grid, with random weights: nothing is downloaded.

    Needs PyTorch (extra `measure`). `capacity fit` turns the CSV into parameters.

    For example:

      fleetopt capacity measure meta-llama/Llama-3.1-8B --device cuda -o measurements.csv

      fleetopt capacity measure Qwen/Qwen3-32B --device cuda --batches 1,16,64
    """
    from optimizer.performance.measurements.measuring import (
        MeasuringGrid,
        measure_shape,
        measurements_csv,
    )

    grid = MeasuringGrid(
        batches=_numbers("--batches", batches),
        contexts=_numbers("--contexts", contexts),
        prompts=_numbers("--prompts", prompts),
        copies=copies,
        repeats=repeats,
    )
    found, rows = read_model(model), []
    for row in measure_shape(found.shape, grid, device=device, dtype=dtype):
        rows.append(row)
        tell(
            f"{row.decode_tokens} decoding, {row.prefill_tokens} prompt, {row.kv_tokens} cached "
            f"tokens: {row.time_ms:.4g} ms"
        )
    write_data(measurements_csv(rows, found.model_id, accelerator or device), output)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(f"{text!r}: whole numbers with commas between", param_hint=option)
    return tuple(int(part) for part in parts)
