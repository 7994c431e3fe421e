"""Timing a model's shape with random weights on the device at hand (needs PyTorch)."""

from __future__ import annotations

import csv
import io
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.errors import FleetError
from optimizer.performance.measurements.torch_blocks import Block, BlockMaker, require_torch
from optimizer.performance.shape import ModelShape

__all__ = [
    "MeasuredIteration",
    "MeasuringError",
    "MeasuringGrid",
    "measure_shape",
    "measurements_csv",
]

_DTYPES = ("bfloat16", "float16", "float32")


class MeasuringError(FleetError, ValueError):
    """A shape, grid or device cannot be measured."""


@dataclass(frozen=True, kw_only=True)
class MeasuringGrid:
    """What is timed, and how often.

    Parameters
    ----------
    batches, contexts
        Decode: sequences, and cached tokens of each; every pair.
    prompts
        Prefill: prompt tokens, of one sequence.
    copies
        Copies of each block with weights of their own, run in a row, so that no cache holds them.
    repeats, warm_ups
        Timed runs, of which the median counts; runs before them.
    """

    batches: Sequence[int] = (1, 2, 4, 8, 16)
    contexts: Sequence[int] = (128, 1024)
    prompts: Sequence[int] = (32, 128, 512)
    copies: int = 2
    repeats: int = 5
    warm_ups: int = 2

    def __post_init__(self) -> None:
        for name in ("batches", "contexts", "prompts"):
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise MeasuringError(f"{name} = {getattr(self, name)}: must be numbers from 1 up")
        for name in ("copies", "repeats"):
            if getattr(self, name) < 1:
                raise MeasuringError(f"{name} = {getattr(self, name)}: must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class MeasuredIteration:
    """One measured iteration, in the columns that `capacity fit` reads.

    Parameters
    ----------
    decode_tokens, prefill_tokens, kv_tokens
        Its work.
    time_ms
        All layers and the output layer: blocks' medians times their number [ms].
    """

    decode_tokens: int
    prefill_tokens: int
    kv_tokens: int
    time_ms: float


def measure_shape(
    shape: ModelShape, grid: MeasuringGrid, *, device: str = "cpu", dtype: str = "bfloat16"
) -> Iterator[MeasuredIteration]:
    """Time the iterations of a grid, one after the other.

    Each kind of block (full and sliding attention, dense and expert feed-forward, output layer) is
    timed alone and counted as often as the model has it: memory for `copies` of each is enough.
    No graphs are recorded: on a GPU small batches include the launching of kernels.

    Parameters
    ----------
    shape
        The model's; numbers.
    grid
        What to time.
    device, dtype
        A device of PyTorch, such as `cpu` or `cuda`; `bfloat16`, `float16` or `float32`.

    Raises
    ------
    MissingExtraError
        If PyTorch is not installed.
    MeasuringError
        If the shape has latent or linear attention, or the device or type does not exist.
    """
    torch = require_torch()
    _refuse_unknown(torch, shape, device, dtype)
    maker = BlockMaker(shape, torch, device, getattr(torch, dtype))
    with torch.inference_mode():
        for context in grid.contexts:
            for batch in grid.batches:
                elapsed = _iteration_ms(maker, grid, batch, 1, context)
                yield MeasuredIteration(
                    decode_tokens=batch,
                    prefill_tokens=0,
                    kv_tokens=batch * context,
                    time_ms=elapsed,
                )
        for prompt in grid.prompts:
            elapsed = _iteration_ms(maker, grid, 1, prompt, 0)
            yield MeasuredIteration(
                decode_tokens=0, prefill_tokens=prompt, kv_tokens=0, time_ms=elapsed
            )


def measurements_csv(rows: Sequence[MeasuredIteration], model: str, accelerator: str) -> str:
    """Rows as the CSV that `capacity fit` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("decode_tokens", "prefill_tokens", "kv_tokens", "time_ms")
    writer.writerow(("model", "accelerator", *columns))
    for row in rows:
        values = (row.decode_tokens, row.prefill_tokens, row.kv_tokens, f"{row.time_ms:.6g}")
        writer.writerow((model, accelerator, *values))
    return text.getvalue()


def _refuse_unknown(torch: Any, shape: ModelShape, device: str, dtype: str) -> None:
    if shape.latent_attention:
        raise MeasuringError("multi-head latent attention cannot be measured yet; estimate it")
    if shape.full_layers + shape.sliding_layers < shape.layers:
        raise MeasuringError("linear attention cannot be measured yet; estimate it")
    if dtype not in _DTYPES:
        raise MeasuringError(f"dtype = {dtype!r}: must be one of {', '.join(_DTYPES)}")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise MeasuringError(f"device = {device!r} cannot be used: {reason}; try cpu") from error


def _iteration_ms(
    maker: BlockMaker, grid: MeasuringGrid, sequences: int, tokens: int, cached: int
) -> float:
    """All blocks of an iteration, each kind's time as often as there are such blocks."""
    shape, states = maker.shape, maker.hidden(sequences, tokens)

    def timed(number: float, make: Callable[[], Block], copies: int = grid.copies) -> float:
        if not number:
            return 0.0
        blocks = [make() for _ in range(copies)]
        return number * _median_ms(maker.torch, blocks, states, grid) / copies

    window = min(cached, max(int(shape.window_tokens), 1))
    dense_width = int(shape.dense_elements / (3 * shape.hidden_size))
    shared_width = int(shape.shared_elements / (3 * shape.hidden_size))
    expert_layers = float(shape.layers - shape.dense_layers)
    return (
        timed(float(shape.full_layers), lambda: maker.attention(sequences, cached))
        + timed(float(shape.sliding_layers), lambda: maker.attention(sequences, window))
        + timed(float(shape.dense_layers), lambda: maker.feed_forward(dense_width))
        + timed(expert_layers, maker.experts)
        + timed(expert_layers * bool(shared_width), lambda: maker.feed_forward(shared_width))
        + timed(1.0, maker.output_layer, copies=1)
    )


def _median_ms(torch: Any, blocks: Sequence[Block], states: Any, grid: MeasuringGrid) -> float:
    """Median time of the blocks in a row."""
    times = []
    for _ in range(grid.warm_ups + grid.repeats):
        _finish(torch, states)
        begin = time.perf_counter()
        passing = states
        for block in blocks:
            passing = block(passing)
        _finish(torch, states)
        times.append(time.perf_counter() - begin)
    return statistics.median(times[grid.warm_ups :]) * 1e3


def _finish(torch: Any, states: Any) -> None:
    """Wait for a device that computes while the program goes on."""
    kind = states.device.type
    if kind != "cpu":
        getattr(torch, kind).synchronize()
