"""How much memory KV caches take, and what that allows."""

from __future__ import annotations

import numpy as np

from optimizer.experiments.kv_study.latency_tables import PROMPTS_K, tokens_of
from optimizer.experiments.kv_study.served_model import ServedModel
from optimizer.experiments.kv_study.study_table import StudyTable

__all__ = ["batch_limit", "kv_memory", "micro_batches", "reuse_memory"]

_GB = 1e9
_BATCH_CONTEXT = 4096
_SHARERS = (1, 2, 4, 8, 16, 32, 64)
_SHARED_PROMPT = 8192
_MICRO_BATCH_TOTAL = 64


def kv_memory(served: ServedModel) -> StudyTable:
    """Memory of one request's KV cache by prompt length."""
    prompts = tokens_of(PROMPTS_K)
    room = served.kv_capacity_tokens
    return StudyTable(
        name="kv-memory",
        title="KV cache of one request",
        note="GB = 1e9 bytes, fp16, all accelerators together; requests are as many as fit.",
        columns=["prompt tokens", "KV GB", "requests that fit"],
        rows=[
            [float(n), float(served.kv_bytes(n)) / _GB, float(np.floor(room / n))] for n in prompts
        ],
        x="prompt tokens",
        lines=["KV GB"],
        y_label="KV cache [GB]",
        log_y=True,
    )


def batch_limit(served: ServedModel) -> StudyTable:
    """KV size and throughput by batch, up to what fits."""
    most = int(served.kv_capacity_tokens // _BATCH_CONTEXT)
    batches = sorted({*(2**k for k in range(11) if 2**k <= most), max(most, 1)})
    step = served.step_ms(batches, _BATCH_CONTEXT)
    one = float(served.kv_bytes(_BATCH_CONTEXT)) / _GB
    return StudyTable(
        name="batch",
        title=f"KV size and throughput by batch at {_BATCH_CONTEXT:,} tokens of context",
        note=f"The last row is all that fits ({most:,} requests): memory limits throughput there.",
        columns=["batch", "KV GB", "iteration ms", "tokens per s"],
        rows=[
            [float(b), b * one, float(ms), 1000 * b / float(ms)]
            for b, ms in zip(batches, step, strict=True)
        ],
        x="batch",
        lines=["tokens per s"],
        y_label="decoded tokens per second",
    )


def reuse_memory(served: ServedModel, hit_rate: float) -> StudyTable:
    """Memory of requests that share a part of their prompt, stored once or by each."""
    shared = np.floor(_SHARED_PROMPT * hit_rate)
    one = float(served.kv_bytes(_SHARED_PROMPT)) / _GB
    own = (float(served.kv_bytes(_SHARED_PROMPT)) - float(served.kv_bytes(shared))) / _GB
    rows: list[list[float | str | None]] = [
        [float(n), n * one, (one - own) + n * own, 100 * (1 - ((one - own) + n * own) / (n * one))]
        for n in _SHARERS
    ]
    return StudyTable(
        name="reuse-memory",
        title=f"Memory with and without reuse, {hit_rate:.0%} of the prompt shared",
        note=f"Requests of {_SHARED_PROMPT:,} tokens; with reuse the shared part is stored once.",
        columns=["requests", "GB without", "GB with", "saved %"],
        rows=rows,
        x="requests",
        lines=["GB without", "GB with"],
        y_label="KV cache [GB]",
        log_y=True,
    )


def micro_batches(served: ServedModel, link: str, gb_s: float) -> StudyTable:
    """One decode step of a batch whose KV is read over a link, in micro-batches."""
    kv = float(served.kv_bytes(_BATCH_CONTEXT))
    rows: list[list[float | str | None]] = []
    size = 1
    while size <= _MICRO_BATCH_TOTAL:
        parts = _MICRO_BATCH_TOTAL // size
        load = size * kv / gb_s / 1e6
        compute = float(served.step_ms(size, _BATCH_CONTEXT))
        step = load + (parts - 1) * max(load, compute) + compute
        resident = min(parts, 2) * size * kv / _GB
        rate = 1000 * _MICRO_BATCH_TOTAL / step
        rows.append([float(size), load, compute, step, resident, rate])
        size *= 2
    return StudyTable(
        name="micro-batches",
        title=f"Micro-batches of {_MICRO_BATCH_TOTAL} requests whose KV is read from {link}",
        note=(
            f"{_BATCH_CONTEXT:,} tokens each; the next micro-batch is read while one is computed: "
            "load + (k - 1) max(load, compute) + compute, two of them in memory. Small ones pay "
            "for each iteration, large ones for memory and for what does not overlap."
        ),
        columns=[
            "micro-batch", "load ms", "compute ms", "step ms", "GB in memory", "tokens per s",
        ],
        rows=rows,
        x="micro-batch",
        lines=["step ms", "load ms", "compute ms"],
        y_label="time [ms]",
        log_y=True,
    )  # fmt: skip
