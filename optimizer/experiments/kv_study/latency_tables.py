"""Where the time of a chat goes: prefill's share, with and without reuse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.experiments.kv_study.served_model import ServedModel
from optimizer.experiments.kv_study.study_table import StudyTable

__all__ = ["output_share", "prefill_share", "prefill_time", "reuse_latency", "tokens_of"]

FloatArray = NDArray[np.float64]

PROMPTS_K = (0.1, 0.5, 1, 2, 4, 8, 16, 32)
OUTPUTS_K = (0.1, 0.5, 1, 2, 4, 8)
CHAT_OUTPUT = 512
LONG_PROMPT_K = 16


def tokens_of(thousands: tuple[float, ...]) -> FloatArray:
    """Return tokens of lengths in K = 1,024."""
    return np.round(np.array(thousands) * 1024)


def prefill_share(served: ServedModel) -> StudyTable:
    """Prefill's share of a chat's latency by prompt length."""
    prompts = tokens_of(PROMPTS_K)
    prefill = served.prefill_ms(prompts)
    decode = served.decode_ms(prompts, CHAT_OUTPUT)
    return StudyTable(
        name="prefill-share-by-prompt",
        title="Prefill's share of chat latency",
        note=f"One request alone, {CHAT_OUTPUT} tokens of answer.",
        columns=["prompt tokens", "prefill ms", "decode ms", "prefill share %"],
        rows=_rows(prompts, prefill, decode, 100 * prefill / (prefill + decode)),
        x="prompt tokens",
        lines=["prefill share %"],
        y_label="share of latency [%]",
    )


def prefill_time(served: ServedModel) -> StudyTable:
    """Time of the prefill by prompt length."""
    prompts = tokens_of(PROMPTS_K[:-1])
    prefill = served.prefill_ms(prompts)
    return StudyTable(
        name="prefill-time",
        title="Prefill time",
        note="One request alone; more than linear where attention weighs.",
        columns=["prompt tokens", "prefill ms", "ms per 1,000 tokens"],
        rows=_rows(prompts, prefill, 1000 * prefill / prompts),
        x="prompt tokens",
        lines=["prefill ms"],
        y_label="prefill [ms]",
        log_y=True,
    )


def output_share(served: ServedModel) -> StudyTable:
    """Shares of prefill and decode of a long prompt, by the length of the answer."""
    outputs = tokens_of(OUTPUTS_K)
    prompt = LONG_PROMPT_K * 1024.0
    prefill = np.broadcast_to(served.prefill_ms(prompt), outputs.shape)
    decode = served.decode_ms(prompt, outputs)
    total = prefill + decode
    return StudyTable(
        name="shares-by-output",
        title=f"Shares of latency at a prompt of {LONG_PROMPT_K}K",
        note="One request alone: the longer the answer, the less the prefill counts.",
        columns=["output tokens", "prefill ms", "decode ms", "prefill share %", "decode share %"],
        rows=_rows(outputs, prefill, decode, 100 * prefill / total, 100 * decode / total),
        x="output tokens",
        lines=["prefill share %", "decode share %"],
        y_label="share of latency [%]",
    )


def reuse_latency(served: ServedModel, hit_rate: float) -> StudyTable:
    """TTFT and overall latency with and without reuse of a part of the prompt."""
    prompts = tokens_of(PROMPTS_K)
    hit = np.floor(prompts * hit_rate)
    without, with_reuse = served.prefill_ms(prompts), served.prefill_ms(prompts, hit)
    decode = served.decode_ms(prompts, CHAT_OUTPUT)
    return StudyTable(
        name="reuse-latency",
        title=f"Latency with and without reuse, {hit_rate:.0%} of the prompt found",
        note=f"What is found is in the accelerator's memory; {CHAT_OUTPUT} tokens of answer.",
        columns=[
            "prompt tokens", "TTFT ms without", "TTFT ms with", "TTFT saved %",
            "overall ms without", "overall ms with", "overall saved %",
        ],
        rows=_rows(
            prompts, without, with_reuse, 100 * (1 - with_reuse / without),
            without + decode, with_reuse + decode,
            100 * (without - with_reuse) / (without + decode),
        ),
        x="prompt tokens",
        lines=["TTFT saved %", "overall saved %"],
        y_label="saved [%]",
    )  # fmt: skip


def _rows(*columns: FloatArray) -> list[list[float | str | None]]:
    return [[float(cell) for cell in row] for row in np.stack(columns, axis=1)]
