"""The study of KV caches: its figures are those of the engine it is made from."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.capacity import ModelArchitecture
from optimizer.catalog import accelerator
from optimizer.errors import SpecError
from optimizer.experiments.kv_study import (
    KvStudy,
    ServedModel,
    StudyTable,
    made_up_trace,
    study_kv,
)
from optimizer.kv.device_text import device_named

DEVICES = ("cpu_dram_pcie5", "ssd_4gbps")


@pytest.fixture(scope="module")
def served() -> ServedModel:
    """An 8B model on one H100."""
    return ServedModel.of(ModelArchitecture("meta-llama/Llama-3.1-8B"), accelerator("H100-SXM"))


@pytest.fixture(scope="module")
def study(served: ServedModel) -> KvStudy:
    """All tables, with a quick and a slow device."""
    devices = [device_named(name) for name in DEVICES]
    return study_kv([served], devices, made_up_trace(), trace_name="made up", hit_rate=0.5)


def table(study: KvStudy, name: str) -> StudyTable:
    """A table by its name."""
    (found,) = (one for one in study.studies[0].tables if one.name == name)
    return found


def numbers(table: StudyTable, column: str) -> np.ndarray:
    """A column of figures."""
    return np.array(table.column(column), dtype=float)


def test_every_table_is_there_and_whole(study: KvStudy) -> None:
    """All that is asked for, each with rows, an axis and lines that are columns of it."""
    names = [one.name for one in study.studies[0].tables]
    assert names == [
        "prefill-share-by-prompt", "prefill-time", "shares-by-output", "kv-memory", "batch",
        "reuse-latency", "reuse-memory", "swap-or-recompute", "micro-batches",
        "offload-and-prefetch", "prefetch-over-links", "hot-and-cold",
    ]  # fmt: skip
    for one in study.studies[0].tables:
        assert {one.x, *one.lines} <= set(one.columns)
        assert one.rows
        assert all(len(row) == len(one.columns) for row in one.rows)
    assert KvStudy.model_validate_json(study.model_dump_json()) == study


def test_shares_add_up_and_prefill_weighs_more_with_longer_prompts(study: KvStudy) -> None:
    """By prompt it rises; by output it falls; prefill and decode are the whole."""
    assert np.all(np.diff(numbers(table(study, "prefill-share-by-prompt"), "prefill share %")) > 0)
    shares = table(study, "shares-by-output")
    prefill = numbers(shares, "prefill share %")
    assert np.all(np.diff(prefill) < 0)
    assert np.allclose(prefill + numbers(shares, "decode share %"), 100)


def test_memory_is_bytes_per_token_times_tokens(study: KvStudy) -> None:
    """131,072 bytes a token; a batch of 8 at 4,096 tokens takes 4.29 GB."""
    memory = table(study, "kv-memory")
    expected = numbers(memory, "prompt tokens") * 131_072 / 1e9
    assert np.allclose(numbers(memory, "KV GB"), expected)
    batch = table(study, "batch")
    assert np.allclose(numbers(batch, "KV GB") / numbers(batch, "batch"), 4096 * 131_072 / 1e9)
    capacity = study.studies[0].kv_capacity_tokens
    assert numbers(batch, "batch")[-1] == capacity // 4096


def test_reuse_saves_the_shared_part_once(study: KvStudy) -> None:
    """Of n requests that share half, (n - 1) halves are saved; alone nothing is."""
    memory = table(study, "reuse-memory")
    n = numbers(memory, "requests")
    assert np.allclose(numbers(memory, "saved %"), 50 * (n - 1) / n)
    latency = table(study, "reuse-latency")
    assert np.all(numbers(latency, "TTFT ms with") < numbers(latency, "TTFT ms without"))


def test_swapping_is_weighed_against_recomputing(study: KvStudy) -> None:
    """2.15 GB at 50 GB/s: 43 ms; sparse a fifth of it; the slow disk loses, unless sparse."""
    swap = table(study, "swap-or-recompute")
    size_ms = 16_384 * 131_072 / 1e6
    expected = [size_ms / 50 + 0.01, size_ms / 0.5 + 0.2]
    assert np.allclose(numbers(swap, "swap-in ms"), expected)
    sparse = [0.2 * size_ms / 50 + 0.01, 0.2 * size_ms / 0.5 + 0.2]
    assert np.allclose(numbers(swap, "swap-in ms sparse"), sparse)
    ratio = numbers(swap, "recompute ms") / numbers(swap, "swap-in ms")
    assert np.allclose(numbers(swap, "speed-up"), ratio)
    assert ratio[0] > 1 > ratio[1]
    words = table(study, "offload-and-prefetch").column("load on demand")
    assert words == ["yes", "prefetched"]


def test_micro_batches_overlap_loading_and_computing(study: KvStudy) -> None:
    """load + (k - 1) max(load, compute) + compute, by hand for all rows."""
    micro = table(study, "micro-batches")
    load, compute = numbers(micro, "load ms"), numbers(micro, "compute ms")
    parts = 64 / numbers(micro, "micro-batch")
    step = load + (parts - 1) * np.maximum(load, compute) + compute
    assert np.allclose(numbers(micro, "step ms"), step)


def test_links_divide_the_transfer_and_not_the_latency(study: KvStudy) -> None:
    """Eight links: an eighth of the bytes, all of the latency."""
    links = table(study, "prefetch-over-links")
    one, eight = numbers(links, "1 link ms"), numbers(links, "8 links ms")
    assert np.allclose(eight[:2] - [0.01, 0.2], (one[:2] - [0.01, 0.2]) / 8)


def test_hot_cold_and_recomputed_are_all_blocks(study: KvStudy) -> None:
    """LFU is one of the rows, and every row adds up."""
    hot = table(study, "hot-and-cold")
    assert "lfu" in hot.column("policy")
    total = sum(numbers(hot, name) for name in ("hot %", "cold %", "recomputed %"))
    assert np.allclose(total, 100)


def test_a_large_model_takes_several_accelerators() -> None:
    """70B in 16 bits needs more than one of 80 GB; a laptop's card never does."""
    large = ModelArchitecture("meta-llama/Llama-3.1-70B")
    assert ServedModel.of(large, accelerator("H100-SXM")).tensor_parallel > 1
    with pytest.raises(SpecError, match="cannot be served"):
        ServedModel.of(large, accelerator("T4"))
