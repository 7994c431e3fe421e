"""The configurations of the catalogue are complete and agree with its facts."""

from __future__ import annotations

import pytest

from optimizer.capacity import ModelArchitecture
from optimizer.catalog import (
    UnknownEntryError,
    configuration_names,
    model,
    model_configuration,
    model_names,
)


def test_every_model_has_a_configuration() -> None:
    """The models of the catalogue first, in its order; further ones after."""
    assert configuration_names()[: len(model_names())] == model_names()


def test_every_configuration_is_read() -> None:
    """None has a fault."""
    for name in configuration_names():
        assert ModelArchitecture(name).num_parameters > 0


@pytest.mark.parametrize("name", model_names())
def test_configurations_agree_with_the_facts(name: str) -> None:
    """Layers, hidden size, vocabulary, tied embeddings, experts, window, heads."""
    facts, found = model(name), ModelArchitecture(name).architecture
    assert len(found.layers) == facts.layers
    assert found.hidden_size == facts.hidden_size
    assert found.vocabulary_size == facts.vocabulary_size
    assert found.tied_embeddings == facts.tied_embeddings
    assert found.native_format.name == facts.native_dtype
    assert found.is_mixture_of_experts == bool(facts.experts)
    assert found.max_context_tokens == facts.max_context_tokens
    windows = {mixer.window for mixer, _ in found.attention_layers} - {None}
    assert windows == ({facts.sliding_window_tokens} if facts.sliding_window_tokens else set())
    assert found.main_attention is not None
    assert found.main_attention.heads == facts.attention_heads


def test_variants_share_the_shape_of_their_base() -> None:
    """An entry may point to another and add to it."""
    base = model_configuration("Qwen/Qwen2.5-7B-Instruct")
    variant = model_configuration("RedHatAI/Qwen2.5-7B-Instruct-quantized.w8a8")
    assert set(variant) - set(base) == {"quantization_config"}
    assert all(variant[key] == base[key] for key in base)


def test_unknown_names_get_the_nearest() -> None:
    """A `LookupError` that helps."""
    with pytest.raises(UnknownEntryError, match="did you mean microsoft/phi-4"):
        model_configuration("microsoft/phi-5")


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("Qwen/Qwen3-4B", 4_022_468_096),
        ("Qwen/Qwen3-14B", 14_768_307_200),
        ("Qwen/Qwen2.5-1.5B-Instruct", 1_543_714_304),
        ("Qwen/Qwen2.5-3B-Instruct", 3_085_938_688),
        ("Qwen/Qwen2.5-14B-Instruct", 14_770_033_664),
        ("meta-llama/Llama-3.2-1B", 1_235_814_400),
        ("meta-llama/Llama-3.2-3B", 3_212_749_824),
        ("google/gemma-2-2b-it", 2_614_341_888),
        ("google/gemma-2-9b-it", 9_241_705_984),
        ("google/gemma-3-4b-it", 4_300_079_472),
        ("google/gemma-3-12b-it", 12_187_325_040),
        ("mistralai/Mistral-Nemo-Instruct-2407", 12_247_782_400),
    ],
)
def test_further_models_have_the_totals_of_their_checkpoints(name: str, total: int) -> None:
    """To the last parameter (the hub's safetensors headers, as recalled)."""
    assert ModelArchitecture(name).num_parameters == total
