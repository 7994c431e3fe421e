"""Hot blocks on the accelerator, cold ones in CPU memory: which are which, by LFU and others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimizer.experiments.kv_study.served_model import ServedModel
from optimizer.experiments.kv_study.study_table import StudyTable
from optimizer.kv import StorageDevice
from optimizer.kv.reuse import BlockTrace, CacheRules, EvictionPolicy, TracedRequest, replay

__all__ = ["hot_cold", "made_up_trace"]

_BLOCK_TOKENS = 512
_REQUESTS, _DOCUMENTS, _DOCUMENT_BLOCKS = 3000, 400, 16
_HOT_SHARE, _COLD_SHARE = 0.05, 0.15


def made_up_trace() -> BlockTrace:
    """Questions on documents by Zipf's law, whose ranks change halfway; for want of a trace."""
    return BlockTrace.of_requests(_requests(), _BLOCK_TOKENS)


def _requests() -> Iterator[TracedRequest]:
    generator = np.random.default_rng(0)
    chance = 1.0 / np.arange(1, _DOCUMENTS + 1)
    chance /= chance.sum()
    order = generator.permutation(_DOCUMENTS)
    for k in range(_REQUESTS):
        if k == _REQUESTS // 2:
            order = generator.permutation(_DOCUMENTS)
        document = int(order[generator.choice(_DOCUMENTS, p=chance)])
        blocks = [f"{document}.{j}" for j in range(_DOCUMENT_BLOCKS)] + [f"question {k}"]
        tokens = len(blocks) * _BLOCK_TOKENS
        yield TracedRequest(time_s=float(k), input_tokens=tokens, output_tokens=200, blocks=blocks)


def hot_cold(served: ServedModel, cold: StorageDevice, trace: BlockTrace, name: str) -> StudyTable:
    """Replay a trace with a hot and a cold tier under each policy, reading before recomputing."""
    hot_blocks = max(int(_HOT_SHARE * trace.node_count), 1)
    cold_blocks = max(int(_COLD_SHARE * trace.node_count), 1)
    nothing = float(served.prefill_ms(trace.input_tokens).sum()) / 1e3
    rows: list[list[float | str | None]] = []
    for policy in EvictionPolicy:
        done = replay(trace, [hot_blocks, cold_blocks], CacheRules(policy=policy))
        hits = done.hit_blocks.sum(axis=0) / trace.prompt_references
        found = np.minimum(done.hit_tokens, trace.input_tokens - 1)
        computed = float(served.prefill_ms(trace.input_tokens, found).sum()) / 1e3
        reads = done.hit_blocks[:, 1]
        loads = cold.load(served.shape, reads[reads > 0] * trace.block_tokens).whole
        loaded = float(loads.ms.sum()) / 1e3
        rows.append(
            [
                policy.value, 100 * float(hits[0]), 100 * float(hits[1]),
                100 * (1 - float(hits.sum())), computed, loaded, computed + loaded,
                100 * (1 - (computed + loaded) / nothing),
            ]
        )  # fmt: skip
    return StudyTable(
        name="hot-and-cold",
        title=f"{hot_blocks:,} hot blocks on the accelerator, {cold_blocks:,} cold in {cold.name}",
        note=f"{name}: {len(trace):,} requests. Cold blocks are read, not recomputed.",
        columns=[
            "policy", "hot %", "cold %", "recomputed %", "prefill s", "reading s", "both s",
            "saved %",
        ],
        rows=rows,
        x="policy",
        lines=["hot %", "cold %", "recomputed %"],
        y_label="share of prompt blocks [%]",
    )  # fmt: skip
