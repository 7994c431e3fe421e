"""What iteration times are computed from, made of architectures and the catalogue's cards."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from optimizer.capacity import GPU_LIBRARY, Engine, ModelArchitecture, kv_format
from optimizer.capacity.iteration_inputs import (
    engine_overheads,
    reached_efficiencies,
    served_precision,
    stacked_roofs,
)
from optimizer.catalog import model, model_names
from optimizer.performance import ModelShape, calibration


@pytest.mark.parametrize("name", model_names())
def test_shapes_hold_the_parameters_of_their_models(name: str) -> None:
    """Matrices of a shape and its embeddings add up to the published total within 2.5 %.

    What is missing are norms, biases, routers and vision encoders; the totals of Gemma-4 and
    Qwen3.5 are not known.
    """
    facts = model(name)
    if facts.parameters_total is None:
        pytest.skip("no published total")
    shape = ModelArchitecture(name).shape
    expert_layers = shape.layers - shape.dense_layers
    embeddings = (1 if facts.tied_embeddings else 2) * shape.vocabulary * shape.hidden_size
    total = (
        shape.layers * shape.attention_elements
        + shape.dense_layers * shape.dense_elements
        + expert_layers * (shape.experts * shape.expert_elements + shape.shared_elements)
        + embeddings
    )
    assert total == pytest.approx(facts.parameters_total, rel=0.025)


def test_stacked_shapes_keep_every_number() -> None:
    """A stack's columns are the numbers of its records, and it reshapes to cross with others."""
    shapes = [ModelArchitecture(name).shape for name in model_names()]
    stacked = ModelShape.stack(shapes)
    assert np.array_equal(stacked.layers, [shape.layers for shape in shapes])
    assert np.shape(stacked.reshape((-1, 1, 1)).vocabulary) == (len(shapes), 1, 1)
    assert np.array_equal(stacked.take(np.array([2])).hidden_size, [shapes[2].hidden_size])


def test_layers_that_differ_count_with_what_they_have() -> None:
    """Gemma-3's windows, Gemma-4's dense part beside its experts, Qwen3.5's recurrent state."""
    gemma = ModelArchitecture("google/gemma-3-27b-it").shape
    assert (gemma.full_layers, gemma.sliding_layers, gemma.window_tokens) == (10, 52, 1024)
    mixed = ModelArchitecture("google/gemma-4-26B-A4B").shape
    assert (mixed.dense_layers, mixed.dense_elements) == (0, 0)
    assert mixed.shared_elements == 3 * 2816 * 2112
    # 48 layers of 48 value heads with 128 x 128 numbers in fp32, and the convolutions.
    state = ModelArchitecture("Qwen/Qwen3.5-27B").shape.state_bytes_per_sequence
    assert state == pytest.approx(48 * 48 * 128 * 128 * 4, rel=0.03)


def test_formats_are_multiplied_as_the_card_can() -> None:
    """fp8: in 8 bits on an H100, widened on an A100, which can int8; 4-bit integers never."""
    source = ModelArchitecture("meta-llama/Llama-3.1-8B")
    cards = [GPU_LIBRARY["H100-SXM"], GPU_LIBRARY["A100-80GB-SXM"], GPU_LIBRARY["B200-SXM"]]
    cache = kv_format("fp8", source.architecture)
    wanted = {
        "bfloat16": ([16, 16, 16], 2.0),
        "fp8": ([8, 16, 8], 1.0),
        "int8": ([8, 8, 8], 1.0),
        "int4": ([16, 16, 16], 0.5 + 2 / 128),
        "nvfp4": ([16, 16, 4], 4.5 / 8),
    }
    for name, (bits, size) in wanted.items():
        form = served_precision(source.architecture, source.weights_in(name), cache, cards)
        assert np.array_equal(form.matrix_bits, bits)
        assert form.weight_bytes == pytest.approx(size, rel=2e-3)
        assert form.kv_bytes == 1.0


def test_experts_alone_may_be_narrow() -> None:
    """gpt-oss: mxfp4 experts of 4.25 bits, attention in bfloat16."""
    source = ModelArchitecture("openai/gpt-oss-20b")
    form = served_precision(
        source.architecture,
        source.weights_in(),
        kv_format("auto", source.architecture),
        [GPU_LIBRARY["H100-SXM"]],
    )
    assert (form.weight_bytes, form.expert_bytes) == (2.0, 4.25 / 8)


def test_cards_without_figures_have_no_times() -> None:
    """Their peaks are nan; the others' are the catalogue's; families have their efficiencies."""
    cards = [GPU_LIBRARY["IBM-Spyre"], GPU_LIBRARY["H100-SXM"], GPU_LIBRARY["A100-80GB-SXM"]]
    roofs = stacked_roofs(cards)
    assert np.array_equal(np.isnan(roofs.bandwidth_gb_s), [True, False, False])
    known = calibration()
    reached = reached_efficiencies(cards[1:])
    wanted = [known.of_family(name).kernel_ms for name in ("hopper", "ampere")]
    assert np.array_equal(reached.kernel_ms, wanted)


def test_steps_are_as_long_as_the_engine_is_told() -> None:
    """The chunk is the setting's, the rest the calibration's."""
    told = engine_overheads(Engine.TENSORRT_LLM, 512)
    known = replace(calibration().of_engine("trtllm"), chunk_tokens=512)
    assert asdict(told) == asdict(known)
