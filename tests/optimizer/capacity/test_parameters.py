"""Parameters follow from the configuration alone, and are those that were published."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from optimizer.capacity import ModelArchitecture, find_possible_tp, model_total_params
from optimizer.catalog import model, model_names
from tests.optimizer.capacity.configurations import NEMOTRON_3_NANO, QWEN3_VL_8B, small
from tests.optimizer.capacity.families import TOTALS

TOLERANCE = 1e-3


@pytest.mark.parametrize("name", model_names())
def test_totals_of_the_catalogue_are_the_published_ones(name: str) -> None:
    """Within 0.1 % of the published total for every model that has one."""
    published = model(name).parameters_total
    if published is None:
        pytest.skip("no total was published")
    assert model_total_params(name) == pytest.approx(published, rel=TOLERANCE)


def test_active_parameters_agree_with_the_reference_table(shared_data: Path) -> None:
    """What one token uses is what the reference table computed on its own, within 0.1 %."""
    checked = 0
    with (shared_data / "model_architectures.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["params_active_computed"]:
                found = ModelArchitecture(row["hf_id"])
                wanted = int(row["params_active_computed"])
                assert found.num_active_parameters == pytest.approx(wanted, rel=TOLERANCE)
                checked += 1
    assert checked >= 30


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("meta-llama/Llama-2-70b-hf", 68_976_648_192),
        ("deepseek-ai/DeepSeek-V3", 671_026_419_200),
        ("openai/gpt-oss-20b", 20_914_757_184),
        ("google/gemma-3-27b-it", 27_432_406_640),
        ("Qwen/Qwen2.5-0.5B", 494_032_768),
        ("microsoft/phi-2", 2_779_683_840),
    ],
)
def test_totals_are_exact_where_the_family_is_known(name: str, total: int) -> None:
    """To the last parameter (totals of the hub's safetensors headers)."""
    assert model_total_params(name) == total


@pytest.mark.parametrize("name", TOTALS)
def test_other_families_have_their_published_totals(name: str) -> None:
    """Old and new families, by the fields of their configurations alone, within 0.1 %."""
    total, config = TOTALS[name]
    assert model_total_params(config) == pytest.approx(total, rel=TOLERANCE)


def test_parts_of_a_small_model_add_up() -> None:
    """Counted by hand: 4 layers of hidden size 256, 8 heads, 2 key-value heads, width 512."""
    found = ModelArchitecture(small())
    attention = 4 * (256 * 256 + 2 * 64 * 256 + 256 * 256)
    feed_forward = 4 * 3 * 256 * 512
    assert found.parameters_by_role == {
        "embedding": 1024 * 256,
        "output": 1024 * 256,
        "attention": attention,
        "feed_forward": feed_forward,
        "vectors": 4 * 2 * 256 + 256,
    }
    assert found.num_parameters == sum(found.parameters_by_role.values())


def test_all_experts_count_and_a_token_uses_a_few() -> None:
    """Mixtral: 46.7e9 parameters lie in memory, 12.9e9 are used."""
    found = ModelArchitecture("mistralai/Mixtral-8x7B-v0.1")
    assert found.num_parameters_billions == pytest.approx(46.70, abs=0.01)
    assert found.num_active_parameters / 1e9 == pytest.approx(12.88, abs=0.01)


def test_hybrids_of_recurrent_layers_and_experts_are_counted() -> None:
    """Nemotron 3 Nano has 31.6e9 parameters, of which a token uses 3.6e9 (NVIDIA's model card)."""
    found = ModelArchitecture(NEMOTRON_3_NANO)
    assert found.num_parameters_billions == pytest.approx(31.58, abs=0.05)
    assert found.num_active_parameters / 1e9 == pytest.approx(3.6, abs=0.1)


def test_image_encoders_are_counted() -> None:
    """Qwen3-VL-8B: 8,767,123,696 parameters with its encoder (the hub's safetensors header)."""
    assert model_total_params(QWEN3_VL_8B) == pytest.approx(8_767_123_696, rel=1e-5)


def test_tensor_parallelism_keeps_what_the_planner_found_right() -> None:
    """DeepSeek-V2 with 128 heads: powers of two; Qwen2.5-0.5B's vocabulary forbids 7 and 14."""
    assert find_possible_tp("deepseek-ai/DeepSeek-V2") == [1, 2, 4, 8, 16, 32, 64, 128]
    assert find_possible_tp("Qwen/Qwen2.5-0.5B") == [1, 2]
