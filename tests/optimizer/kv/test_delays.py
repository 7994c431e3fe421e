"""The delay engine on cases that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.catalog import model, model_names
from optimizer.errors import SpecError
from optimizer.kv import (
    KvShape,
    LoadOverheads,
    QuadraticPrefill,
    WholeModelTime,
    effective_bandwidth_gb_s,
    load_delay,
    recompute_delay,
)

LLAMA_70B = KvShape(layers=80, elements_per_layer_token=2 * 8 * 128)


def test_llama_70b_loads_a_layer_in_3_5_ms():
    """fp16, 4,096 tokens, 4.8 GB/s: 327,680 B a token, 3.50 ms a layer (CacheBlend's setting)."""
    assert float(LLAMA_70B.bytes_per_token) == 327_680
    load = load_delay(LLAMA_70B, 4096, bandwidth_gb_s=4.8)
    assert float(load.layer.ms) == pytest.approx(4096 * 4096 / 4.8e6, rel=1e-12)
    assert round(float(load.layer.ms), 2) == 3.50
    assert float(load.whole.ms) == pytest.approx(279.62026666, rel=1e-9)


def test_a_shape_by_hidden_size_and_heads():
    """Llama-3.1-70B: 8,192 / 64 elements a head, 8 KV heads; never more of them than heads."""
    shape = KvShape.of_heads(80, 8192, 64, kv_heads=8)
    assert float(shape.bytes_per_token) == 327_680
    assert float(KvShape.of_heads(80, 8192, 64).bytes_per_token) == 8 * 327_680
    with pytest.raises(SpecError, match=r"kv_heads = 65.*at most 64"):
        KvShape.of_heads(80, 8192, 64, kv_heads=65)


@pytest.mark.parametrize(
    ("name", "bytes_per_token"),
    [
        ("meta-llama/Llama-3.1-8B", 131_072),
        ("meta-llama/Llama-3.1-70B", 327_680),
        ("meta-llama/Llama-2-7b-hf", 524_288),
        ("meta-llama/Llama-2-13b-hf", 819_200),
        ("01-ai/Yi-34B", 245_760),
        ("Qwen/Qwen2.5-7B-Instruct", 57_344),
        ("meta-llama/Llama-3.1-405B", 516_096),
        ("deepseek-ai/DeepSeek-V3", 70_272),
    ],
)
def test_kv_bytes_per_token_of_known_models(name, bytes_per_token):
    """Published sizes in 16 bits: grouped queries, all heads, and latent attention."""
    shape = KvShape.of_model(model(name))
    assert float(shape.bytes_per_token) == pytest.approx(bytes_per_token, rel=1e-12)
    assert float(shape.total_bytes(1000)) == pytest.approx(1000 * bytes_per_token, rel=1e-12)


def test_windows_stop_growing():
    """Mistral-7B v0.1 slides over 4,096 tokens in every layer: no more is kept."""
    shape = KvShape.of_model(model("mistralai/Mistral-7B-v0.1"))
    assert float(shape.total_bytes(4096)) == 4096 * 131_072
    assert float(shape.total_bytes(32_768)) == 4096 * 131_072


def test_every_model_of_the_catalogue_has_a_shape():
    """All 34 give a positive size that compression and precision divide."""
    for name in model_names():
        whole = KvShape.of_model(model(name))
        quarter = KvShape.of_model(model(name), bytes_per_element=1.0, compression=2.0)
        assert float(whole.total_bytes(100)) == pytest.approx(4 * float(quarter.total_bytes(100)))
        assert float(whole.total_bytes(100)) > 0


def test_loading_adds_latency_once_and_coordination_per_layer():
    """1 GB at 2 GB/s, 10 layers, 7 ms latency, 0.5 ms a layer: 500 + 7 + 5 ms."""
    shape = KvShape(layers=10, elements_per_layer_token=50_000)  # 1 MB a token
    load = load_delay(
        shape, 1000, bandwidth_gb_s=2, latency_ms=7, overheads=LoadOverheads(layer_ms=0.5)
    )
    assert float(load.whole.ms) == pytest.approx(512.0, rel=1e-12)
    assert float(load.layer.ms) == pytest.approx(50.5, rel=1e-12)


def test_small_transfers_reach_half_the_bandwidth_at_their_half_size():
    """t0 x BW = 0.1 ms x 10 GB/s = 1 MB: such transfers see 5 GB/s, large ones all of it."""
    sizes = np.array([1e6, 1e12])
    seen = effective_bandwidth_gb_s(10.0, transfer_bytes=sizes, transfer_setup_ms=0.1)
    assert seen == pytest.approx([5.0, 10.0], rel=1e-5)


def test_sharers_divide_the_bandwidth():
    """Four loads at once take four times as long each; without set-up size does not matter."""
    alone = load_delay(LLAMA_70B, 4096, bandwidth_gb_s=20)
    shared = load_delay(LLAMA_70B, 4096, bandwidth_gb_s=20, sharers=4)
    assert float(shared.whole.ms) == pytest.approx(4 * float(alone.whole.ms), rel=1e-12)


def test_set_up_is_paid_per_transfer():
    """A layer of 16 MiB in pieces of 64 KiB at 0.01 ms each pays 256 of them."""
    extra = LoadOverheads(transfer_setup_ms=0.01, transfer_bytes=65_536)
    with_setup = load_delay(LLAMA_70B, 4096, bandwidth_gb_s=4.8, overheads=extra)
    without = load_delay(LLAMA_70B, 4096, bandwidth_gb_s=4.8)
    gap = float((with_setup.layer - without.layer).ms)
    assert gap == pytest.approx(256 * 0.01, rel=1e-9)


def test_an_empty_context_loads_in_the_latency():
    """Nothing takes no time, also with set-up per layer of nothing."""
    extra = LoadOverheads(transfer_setup_ms=1.0)
    assert float(load_delay(LLAMA_70B, 0, bandwidth_gb_s=1, latency_ms=3).whole.ms) == 3.0
    load = load_delay(LLAMA_70B, 0, bandwidth_gb_s=1, latency_ms=3, overheads=extra)
    assert float(load.whole.ms) == 3.0


def test_recomputing_is_ratio_times_prefill_times_overhead():
    """15 % of 640 ms with 5 % on top: 100.8 ms, 3.15 ms in each of 32 layers."""
    recompute = recompute_delay(0.15, WholeModelTime(640.0), layers=32)
    assert float(recompute.whole.ms) == pytest.approx(100.8, rel=1e-12)
    assert float(recompute.layer.ms) == pytest.approx(3.15, rel=1e-12)
    bare = recompute_delay(0.15, WholeModelTime(640.0), layers=32, overhead=0.0)
    assert float(bare.layer.ms) == pytest.approx(3.0, rel=1e-12)


def test_a_full_first_layer_makes_15_percent_17_7():
    """Effective share (1 + 31 x 0.15) / 32 = 17.66 % at 32 layers."""
    recompute = recompute_delay(0.15, WholeModelTime(100.0), layers=32, overhead=0.0)
    assert float(recompute.whole_with_full_first_layer.ms) == pytest.approx(17.65625, rel=1e-12)


def test_half_an_accelerator_computes_half_as_fast():
    """The share divides the recompute delay."""
    whole = recompute_delay(0.2, WholeModelTime(100.0), layers=4, compute_share=0.5).whole
    assert float(whole.ms) == pytest.approx(42.0, rel=1e-12)


@given(
    tokens=st.floats(1, 1e6),
    bandwidth=st.floats(1e-2, 1e3),
    latency=st.floats(0, 1e3),
    setup=st.floats(0, 10),
)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_loading_is_faster_with_bandwidth_and_slower_with_everything_else(
    tokens, bandwidth, latency, setup
):
    """Monotone in each figure."""

    def whole(**changed):
        figures = {"tokens": tokens, "bandwidth": bandwidth, "latency": latency, "setup": setup}
        figures |= changed
        return float(
            load_delay(
                LLAMA_70B,
                figures["tokens"],
                bandwidth_gb_s=figures["bandwidth"],
                latency_ms=figures["latency"],
                overheads=LoadOverheads(transfer_setup_ms=figures["setup"]),
            ).whole.ms
        )

    base = whole()
    assert whole(bandwidth=2 * bandwidth) < base
    assert whole(latency=latency + 1) > base
    assert whole(setup=setup + 1) > base
    assert whole(tokens=2 * tokens) > base


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: KvShape(layers=0, elements_per_layer_token=1), "layers"),
        (lambda: KvShape(layers=1, elements_per_layer_token=0), "elements_per_layer_token"),
        (lambda: KvShape(layers=1, elements_per_layer_token=1, compression=0), "compression"),
        (lambda: LoadOverheads(layer_ms=-1), "layer_ms"),
        (lambda: LoadOverheads(layer_ms=float("nan")), "layer_ms"),
        (lambda: LoadOverheads(transfer_bytes=0), "transfer_bytes"),
        (lambda: QuadraticPrefill(ms_per_token=0.0), "ms_per_token"),
        (lambda: QuadraticPrefill(ms_per_token=1.0, ms_per_token2=-1.0), "ms_per_token2"),
    ],
)
def test_figures_out_of_range_are_refused_by_name(make, path):
    """The fault names the field, what came and what is wanted."""
    with pytest.raises(SpecError) as caught:
        make()
    (fault,) = caught.value.faults
    assert fault.path == path
    assert "must be" in fault.message
    assert fault.value is not None
