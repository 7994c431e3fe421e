from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.capacity import ModelArchitecture
from optimizer.catalog import accelerator, accelerator_names, model_names
from optimizer.performance import (
    AcceleratorRoof,
    ModelShape,
    Parallelism,
    Precision,
    Replica,
    Work,
    calibration,
    iteration_breakdown,
    iteration_ms,
    precision,
    roof_of,
)
from tests.optimizer.performance.replicas import replica

few = settings(deadline=None, max_examples=40, derandomize=True)
NAMES = ("meta-llama/Llama-3.1-70B", "openai/gpt-oss-120b", "deepseek-ai/DeepSeek-R1")


@few
@given(
    st.sampled_from(NAMES),
    st.integers(1, 256),
    st.integers(0, 8192),
    st.integers(0, 30_000),
    st.integers(0, 3),
)
def test_more_work_never_takes_less_time(
    name: str, batch: int, chunk: int, context: int, which: int
) -> None:
    """Time does not fall in sequences, prompt tokens, context, or speculated tokens."""
    work = Work(
        decode_tokens=float(batch),
        context_tokens=float(context),
        prefill_tokens=float(chunk),
        prefill_context_tokens=chunk / 2,
    )
    field = ("decode_tokens", "context_tokens", "prefill_tokens", "speculated_tokens")[which]
    more = replace(work, **{field: getattr(work, field) + 64.0})
    cards = replica(name, "H200-SXM", tensor=8.0)
    assert iteration_ms(cards, more) >= iteration_ms(cards, work)


def test_decoding_one_sequence_takes_at_least_reading_the_weights() -> None:
    """Llama-3.1-8B in bf16 on an H100: above 15 GB / 3350 GB/s = 4.5 ms, below twice that."""
    time = iteration_ms(replica(), Work(decode_tokens=1.0, context_tokens=100.0))
    assert 4.5 < time < 9.0


def test_prompts_take_at_least_their_operations() -> None:
    """A prompt of 8192 tokens: above 2·7.5e9·8192 operations at the peak, below three times."""
    work = Work(
        decode_tokens=0.0,
        context_tokens=0.0,
        prefill_tokens=8192.0,
        prefill_context_tokens=4096.0,
        prompts=1.0,
    )
    least = 2 * 7.5e9 * 8192 / 989e12 * 1e3
    assert least < iteration_ms(replica(), work) < 3 * least


def test_parts_add_up_where_no_launching_floor_binds() -> None:
    """A decode iteration is the sum of its parts."""
    parts = iteration_breakdown(
        replica("openai/gpt-oss-120b", tensor=4.0),
        Work(decode_tokens=np.array([1.0, 64.0]), context_tokens=2000.0),
    )
    names = [name for name in parts.__dataclass_fields__ if name != "total_ms"]
    total = sum(getattr(parts, name) for name in names)
    assert np.allclose(total, parts.total_ms)


def test_the_cache_is_split_over_kv_heads_and_no_further() -> None:
    """Llama-3.1-70B has 8 KV heads: reading the cache halves to TP 8 and stays at TP 16."""
    work = Work(decode_tokens=64.0, context_tokens=8192.0)
    cache = [
        float(iteration_breakdown(replica(NAMES[0], tensor=tensor), work).cache_ms)
        for tensor in (4.0, 8.0, 16.0)
    ]
    assert cache[1] == pytest.approx(cache[0] / 2)
    assert cache[2] == pytest.approx(cache[1])


def test_latent_caches_are_whole_on_every_card() -> None:
    """DeepSeek-R1's cache takes as long to read at TP 8 as at TP 1."""
    work = Work(decode_tokens=64.0, context_tokens=8192.0)
    one, eight = (
        iteration_breakdown(replica(NAMES[2], "H200-SXM", tensor=tensor), work).cache_ms
        for tensor in (1.0, 8.0)
    )
    assert eight == pytest.approx(float(one))


def test_sliding_layers_stop_growing_at_their_window() -> None:
    """Beyond its window of 4096 tokens, every layer of Mistral-7B-v0.1 reads no more."""
    work = Work(decode_tokens=8.0, context_tokens=np.array([2048.0, 4096.0, 32_768.0]))
    cache = iteration_breakdown(replica("mistralai/Mistral-7B-v0.1"), work).cache_ms
    assert cache[1] == pytest.approx(2 * cache[0])
    assert cache[2] == pytest.approx(cache[1])


def test_eight_bit_weights_halve_reading_and_not_the_cache() -> None:
    """fp8 halves the weights' part of a decode step; the 16-bit cache takes what it took."""
    work = Work(decode_tokens=1.0, context_tokens=4096.0)
    wide = iteration_breakdown(replica(weights="bf16"), work)
    narrow = iteration_breakdown(replica(weights="fp8"), work)
    assert narrow.feed_forward_ms == pytest.approx(float(wide.feed_forward_ms) / 2, rel=0.02)
    assert narrow.cache_ms == wide.cache_ms


def test_one_card_does_not_communicate() -> None:
    """There is no all-reduce at TP 1, and one of each layer's two per layer beyond."""
    work = Work(decode_tokens=1.0, context_tokens=100.0)
    assert iteration_breakdown(replica(), work).communication_ms == 0
    two = iteration_breakdown(replica(tensor=2.0), work).communication_ms
    assert two >= 64 * calibration().efficiencies.all_reduce_ms


def test_all_models_cards_and_precisions_at_once_equal_one_by_one() -> None:
    """A broadcast over models, cards, TP and precisions has the numbers of single calls."""
    shapes = [ModelArchitecture(name).shape for name in model_names()]
    cards = [n for n in accelerator_names() if accelerator(n).fp16_tflops and n != "IBM-Spyre"]
    roofs = [roof_of(accelerator(name)) for name in cards]
    forms = [precision(name) for name in ("bf16", "fp8", "int4")]
    tensor = np.array([1.0, 2.0, 4.0, 8.0])
    known = calibration()
    many = Replica(
        shape=ModelShape.stack(shapes).reshape((-1, 1, 1, 1)),
        roof=AcceleratorRoof.stack(roofs).reshape((-1, 1, 1)),
        precision=Precision.stack(forms).reshape((-1, 1)),
        parallelism=Parallelism(tensor=tensor),
        efficiencies=known.efficiencies,
        engine=known.of_engine("vllm"),
    )
    work = Work(decode_tokens=16.0, context_tokens=2000.0)
    times = iteration_ms(many, work)
    assert times.shape == (len(shapes), len(roofs), 3, 4)
    single = Replica(
        shape=shapes[5],
        roof=roofs[7],
        precision=forms[1],
        parallelism=Parallelism(tensor=4.0),
        efficiencies=known.efficiencies,
        engine=known.of_engine("vllm"),
    )
    assert times[5, 7, 1, 2] == pytest.approx(float(iteration_ms(single, work)), rel=1e-12)
    assert np.all(np.isfinite(times) & (times > 0))
