"""The models of the catalogue."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import pytest

from optimizer.catalog import ModelFacts, UnknownEntryError, model, model_names

REFERENCE = (
    Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "model_architectures.csv"
)
# Field of the catalogue -> column of the reference data, where 0 and "" both mean "none".
COLUMNS = {
    "family": "family",
    "parameters_total": "params_total_published",
    "parameters_active": "params_active_computed",
    "native_dtype": "native_dtype",
    "attention": "attention",
    "layers": "num_layers",
    "full_attention_layers": "num_full_attention_layers",
    "sliding_layers": "num_sliding_layers",
    "linear_layers": "num_linear_layers",
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "attention_heads": "num_attention_heads",
    "kv_heads": "num_kv_heads",
    "head_dim": "head_dim",
    "vocabulary_size": "vocab_size",
    "tied_embeddings": "tie_word_embeddings",
    "kv_elements_per_token_full": "kv_elems_per_token_full",
    "kv_elements_per_token_sliding": "kv_elems_per_token_sliding",
    "sliding_window_tokens": "sliding_window",
    "max_context_tokens": "max_position_embeddings",
    "experts": "num_experts",
    "experts_per_token": "experts_per_token",
    "expert_intermediate_size": "moe_intermediate_size",
    "shared_experts": "num_shared_experts",
    "shared_expert_intermediate_size": "shared_expert_intermediate_size",
    "first_dense_layers": "first_k_dense",
    "kv_lora_rank": "kv_lora_rank",
    "q_lora_rank": "q_lora_rank",
    "qk_rope_head_dim": "qk_rope_head_dim",
    "qk_nope_head_dim": "qk_nope_head_dim",
    "v_head_dim": "v_head_dim",
}
DENSE = [
    name
    for name in model_names()
    if not model(name).experts and not model(name).linear_layers and "falcon" not in name
]


def every() -> list[ModelFacts]:
    return [model(name) for name in model_names()]


def test_there_are_34_models_with_distinct_names():
    """The catalogue holds all 34 models, and each answers to its own name."""
    assert len(model_names()) == 34
    assert len({name.casefold() for name in model_names()}) == 34
    assert [facts.name for facts in every()] == list(model_names())


def test_totals_are_those_of_the_data():
    """Sums over the whole file: a changed digit anywhere in these columns shows."""
    assert sum(facts.parameters_total or 0 for facts in every()) == 4_918_416_131_440
    assert sum(facts.kv_elements_per_token_full for facts in every()) == 3_140_288
    assert sum(facts.layers for facts in every()) == 1821


@pytest.mark.parametrize("name", model_names())
def test_figures_are_in_sane_ranges(name: str):
    """Layers add up, heads divide, experts come whole, and the total is that of a known model."""
    facts = model(name)
    assert facts.full_attention_layers + facts.sliding_layers + facts.linear_layers == facts.layers
    assert facts.attention_heads % facts.kv_heads == 0
    assert (facts.sliding_window_tokens is not None) == (facts.sliding_layers > 0)
    assert (facts.experts is None) == (facts.experts_per_token is None)
    assert (facts.kv_lora_rank is not None) == (facts.attention == "MLA")
    assert 2048 <= facts.max_context_tokens <= 10_485_760
    assert 4 < facts.weight_bits <= 16
    assert facts.source.strip()
    if facts.parameters_total is not None and facts.parameters_active is not None:
        assert 5e9 < facts.parameters_total < 1.1e12
        assert facts.parameters_active <= facts.parameters_total


@pytest.mark.parametrize("name", model_names())
def test_kv_elements_follow_from_the_architecture(name: str):
    """KV elements per token: 2 x KV heads x head dimension per layer; MLA: latent + rope part."""
    facts = model(name)
    if facts.kv_lora_rank is not None and facts.qk_rope_head_dim is not None:
        per_layer = facts.kv_lora_rank + facts.qk_rope_head_dim
    else:
        per_layer = 2 * facts.kv_heads * facts.head_dim
    assert facts.kv_elements_per_token_sliding == per_layer * facts.sliding_layers
    if name == "google/gemma-4-26B-A4B":  # its full layers have 2 heads of 512
        per_layer = 2 * 2 * 512
    assert facts.kv_elements_per_token_full == per_layer * facts.full_attention_layers


@pytest.mark.parametrize("name", DENSE)
def test_parameters_of_dense_models_follow_from_the_architecture(name: str):
    """Embeddings, attention and gated feed-forward layers add up to the published total."""
    facts = model(name)
    h = facts.hidden_size
    attention = 2 * h * facts.head_dim * (facts.attention_heads + facts.kv_heads)
    layer = attention + 3 * h * facts.intermediate_size
    embeddings = facts.vocabulary_size * h * (1 if facts.tied_embeddings else 2)
    vision = 0.42e9 if name == "google/gemma-3-27b-it" else 0.0
    assert facts.layers * layer + embeddings + vision == pytest.approx(
        facts.parameters_total, rel=1e-3
    )


@pytest.mark.parametrize("name", model_names())
def test_weight_bits_follow_from_the_quantisation(name: str):
    """Average bits: mxfp4 experts at 4.25, fp8 blocks at 8 + 32/128^2, everything else at 16."""
    facts = model(name)
    if facts.checkpoint_quantization is None:
        assert facts.weight_bits == 16
        return
    total, experts = facts.parameters_total, facts.experts
    assert total is not None
    assert experts is not None
    if facts.checkpoint_quantization == "mxfp4-experts":
        assert facts.expert_intermediate_size is not None
        small = facts.layers * experts * 3 * facts.hidden_size * facts.expert_intermediate_size
        bits = 4.25
    else:
        assert facts.first_dense_layers is not None
        routers = (facts.layers - facts.first_dense_layers) * experts
        small = total - (2 * facts.vocabulary_size + routers) * facts.hidden_size
        bits = 8 + 32 / 128**2
    average = (small * bits + (total - small) * 16) / total
    assert facts.weight_bits == pytest.approx(average, abs=1e-4)


def test_checkpoint_sizes():
    """Known sizes of checkpoints: 16.06 GB, 65.2 GB in mxfp4, 673 GB in fp8; unknown is None."""
    assert model("meta-llama/Llama-3.1-8B").weights_gb == pytest.approx(16.06, abs=0.01)
    assert model("openai/gpt-oss-120b").weights_gb == pytest.approx(65.25, abs=0.05)
    assert model("deepseek-ai/DeepSeek-V3").weights_gb == pytest.approx(673.1, abs=0.5)
    assert model("Qwen/Qwen3.5-27B").parameters_total is None
    assert model("Qwen/Qwen3.5-27B").weights_gb is None


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("openai/gpt-oss-12b", "openai/gpt-oss-120b"),
        ("scout", "meta-llama/Llama-4-Scout-17B-16E-Instruct"),
    ],
)
def test_unknown_name_offers_the_nearest(asked: str, offered: str):
    """An unknown model is a LookupError that names what resembles it, and survives pickling."""
    with pytest.raises(UnknownEntryError, match="the catalogue has no model") as caught:
        model(asked)
    assert offered in caught.value.nearest
    assert pickle.loads(pickle.dumps(caught.value)).nearest == caught.value.nearest


@pytest.mark.parametrize("asked", ["", "zzzzzzzz"])
def test_name_like_no_other_offers_nothing(asked: str):
    """Without resemblance there is no guess."""
    with pytest.raises(UnknownEntryError) as caught:
        model(asked)
    assert caught.value.nearest == ()
    assert str(caught.value) == f"the catalogue has no model {asked!r}"


def test_values_equal_the_reference_data():
    """The catalogue is fresh: every figure equals the reference data it was taken from."""
    if not REFERENCE.exists():
        pytest.skip("the reference data lie outside the repository and are not here")
    with REFERENCE.open(encoding="utf-8", newline="") as lines:
        rows = {row["hf_id"]: row for row in csv.DictReader(lines)}
    assert tuple(rows) == model_names()
    for facts in every():
        for field, column in COLUMNS.items():
            ours, theirs = getattr(facts, field), rows[facts.name][column]
            same = ours == theirs if isinstance(ours, str) else (ours or 0) == int(theirs or 0)
            assert same, f"{facts.name}.{field}: {ours} != {theirs}"


def test_a_models_common_name_leads_to_its_hub_ids() -> None:
    """All words of it, in any case, with others between; a word more leads nowhere."""
    with pytest.raises(UnknownEntryError) as caught:
        model("llama-70B")
    assert set(caught.value.nearest) == {"meta-llama/Llama-2-70b-hf", "meta-llama/Llama-3.1-70B"}
    with pytest.raises(UnknownEntryError) as caught:
        model("llama 70b of ours")
    assert not caught.value.nearest
