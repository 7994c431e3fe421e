"""A wrong configuration gets an error that names the field, never a traceback or a wrong figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.capacity import CapacityError, ModelArchitecture, kv_cache_detail, weight_format
from optimizer.capacity.number_formats import number_format
from optimizer.catalog import UnknownEntryError, configuration_names, model_configuration
from optimizer.errors import Fault, SpecError
from tests.optimizer.capacity.configurations import SMALL, small


def attempt(config: dict[str, Any]) -> tuple[tuple[Fault, ...], ModelArchitecture | None]:
    """Faults of a configuration, or the model it describes."""
    try:
        return (), ModelArchitecture(config)
    except SpecError as error:
        return error.faults, None


def is_size(value: object) -> bool:
    """Whether a value is a whole number above 0."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 < value <= 2**40
        and float(value).is_integer()
    )


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=True),
    st.text(max_size=6),
    st.lists(st.integers(-2, 9), max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_attention_heads": None}, "num_attention_heads: is missing"),
        ({"num_attention_heads": 0}, "num_attention_heads = 0: must be a whole number"),
        ({"num_attention_heads": "32"}, "num_attention_heads = '32': must be a whole number"),
        ({"num_key_value_heads": 3}, "num_key_value_heads = 3: 3 key-value heads do not divide"),
        ({"num_hidden_layers": -1}, "num_hidden_layers = -1: must be a whole number"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000: must be at most"),
        ({"vocab_size": None}, "vocab_size: is missing"),
        ({"hidden_size": 2.5}, "hidden_size = 2.5: must be a whole number"),
        ({"num_attention_heads": 10**12}, "num_attention_heads = 1000000000000: must be at most"),
        ({"num_experts": 8, "mlp_only_layers": [[1]]}, "mlp_only_layers = .*whole numbers"),
        ({"torch_dtype": "float17"}, "torch_dtype = 'float17': no such format; did you mean"),
        ({"layer_types": ["full_attention"]}, "layer_types = .*must have one entry per layer"),
        ({"layer_types": ["psychic"] * 4}, "layer_types = .*unknown kinds: psychic"),
        ({"quantization_config": {"quant_method": "magic"}}, "quantization_config.quant_method"),
        ({"kv_lora_rank": 512}, "qk_rope_head_dim: is missing"),
        ({"num_experts": 8}, "num_experts_per_tok: is missing"),
        ({"num_experts": 2, "num_experts_per_tok": 4}, "num_experts_per_tok = 4: more than"),
        ({"layer_types": ["sliding_attention"] * 4}, "sliding_window: is missing"),
        ({"cross_attention_layers": [1]}, "cross_attention_layers = .*image encoder"),
        ({"mamba_d_ssm": 64}, "mamba_d_ssm = 64: .*side by side"),
        ({"hybrid_layer_ids": [2]}, "hybrid_layer_ids = .*share"),
        ({"lru_width": 64}, "lru_width = 64: .*not read"),
        ({"parallel_attn_mlp_res": True}, "parallel_attn_mlp_res = True: .*residual"),
        ({"altup_num_inputs": 4}, "altup_num_inputs = 4: .*not read"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings = 'yes': must be true or false"),
    ],
)
def test_faults_name_their_field(fields: dict[str, Any], message: str) -> None:
    """What came, and what is wanted."""
    with pytest.raises(SpecError, match=message):
        ModelArchitecture(small(**fields))


def test_all_faults_are_reported_together() -> None:
    """An empty configuration lacks everything at once."""
    with pytest.raises(SpecError) as error:
        ModelArchitecture({})
    missing = {fault.path for fault in error.value.faults}
    assert {"num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"} <= missing


@settings(deadline=None, max_examples=300, derandomize=True)
@given(
    name=st.sampled_from(configuration_names()),
    place=st.integers(0, 10**6),
    value=JUNK,
    in_text=st.booleans(),
)
def test_junk_in_a_field_never_escapes(name: str, place: int, value: Any, in_text: bool) -> None:
    """Any value in any field of any model: an architecture, or an error of ours."""
    config = json.loads(json.dumps(dict(model_configuration(name))))
    section = config["text_config"] if in_text and "text_config" in config else config
    fields = sorted(section)
    section[fields[place % len(fields)]] = value
    faults, found = attempt(config)
    assert all(fault.path for fault in faults)
    if found is None:
        return
    assert found.num_parameters > 0
    assert found.get_kv_cache_detail(100).per_request_kv_cache_bytes >= 0
    assert found.possible_tensor_parallel()[0] == 1


@settings(deadline=None, max_examples=150, derandomize=True)
@given(document=st.dictionaries(st.sampled_from(sorted(SMALL)), JUNK))
def test_junk_configurations_never_escape(document: dict[str, Any]) -> None:
    """Whole configurations of junk."""
    faults, found = attempt(document)
    assert bool(faults) == (found is None)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(context=JUNK, batch=JUNK)
def test_junk_lengths_are_refused(context: Any, batch: Any) -> None:
    """A figure for whole numbers above 0, an error naming the field for anything else."""
    architecture = ModelArchitecture("Qwen/Qwen3-8B").architecture
    if all(is_size(value) for value in (context, batch)):
        found = kv_cache_detail(architecture, context_len=context, batch_size=batch)
        assert found.kv_cache_size_bytes == pytest.approx(147_456 * context * batch, rel=1e-15)
        return
    with pytest.raises(CapacityError, match=r"^(context_len|batch_size) = "):
        kv_cache_detail(architecture, context_len=context, batch_size=batch)


@pytest.mark.parametrize("text", ["fp7", "", "bf-16", "auto-ish"])
def test_unknown_formats_are_named(text: str) -> None:
    """KV formats, weight formats, number formats."""
    architecture = ModelArchitecture("Qwen/Qwen3-8B").architecture
    with pytest.raises(CapacityError, match=r"^kv_dtype = "):
        kv_cache_detail(architecture, kv_dtype=text)
    with pytest.raises(CapacityError, match=r"^weight_format = .*known: float32"):
        weight_format(text)
    with pytest.raises(CapacityError, match=r"^dtype = "):
        number_format(text)


def test_a_latent_layout_is_for_latents() -> None:
    """`fp8_ds_mla` with grouped queries says what to take instead."""
    architecture = ModelArchitecture("Qwen/Qwen3-8B").architecture
    with pytest.raises(CapacityError, match="multi-head latent attention; try fp8"):
        kv_cache_detail(architecture, kv_dtype="fp8_ds_mla")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Missing, not JSON, not an object, not text."""
    missing = tmp_path / "config.json"
    with pytest.raises(SpecError, match=r"config\.json: cannot be read: No such file"):
        ModelArchitecture(str(missing))
    for content, message in (
        (b"{", "is not JSON"),
        (b"[1]", "must be a JSON object"),
        (b"\xff", "UTF-8"),
    ):
        missing.write_bytes(content)
        with pytest.raises(SpecError, match=message):
            ModelArchitecture(str(missing))


def test_unknown_models_name_the_nearest() -> None:
    """A misspelt hub id."""
    with pytest.raises(UnknownEntryError, match=r"did you mean meta-llama/Llama-3\.1-8B"):
        ModelArchitecture("meta-llama/Llama-3.1-8b")
    with pytest.raises(CapacityError, match=r"^model = 7: "):
        ModelArchitecture(7)  # type: ignore[arg-type]
