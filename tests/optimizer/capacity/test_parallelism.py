"""Degrees of parallelism, and the reason for each that is not possible."""

from __future__ import annotations

import pytest

from optimizer.capacity import (
    CapacityError,
    ModelArchitecture,
    find_possible_tp,
    tensor_parallel_obstacle,
    weight_format,
)
from optimizer.capacity.parallelism import experts_per_rank


@pytest.mark.parametrize(
    ("model", "degrees"),
    [
        ("meta-llama/Llama-3.1-8B", [1, 2, 4, 8, 16, 32]),
        ("01-ai/Yi-34B", [1, 2, 4, 8]),  # 56 heads, 8 key-value heads: not 7, 14
        ("microsoft/phi-4", [1, 2]),  # 10 key-value heads, vocabulary 100352
        ("tiiuae/falcon-7b", [1]),  # 71 heads, vocabulary 65024
        ("Qwen/Qwen2.5-7B-Instruct", [1, 2, 4]),  # 28 heads: not 7, not 14
    ],
)
def test_heads_and_vocabulary_decide(model: str, degrees: list[int]) -> None:
    """Divisors of the heads that key-value heads and the padded vocabulary allow as well."""
    assert find_possible_tp(model) == degrees


@pytest.mark.parametrize(
    ("model", "degree", "reason"),
    [
        ("meta-llama/Llama-3.1-8B", 3, "32 heads do not divide by 3"),
        ("01-ai/Yi-34B", 7, "8 key-value heads neither divide by 7"),
        ("tiiuae/falcon-7b", 71, "vocabulary of 65024"),
    ],
)
def test_obstacles_say_which_figure(model: str, degree: int, reason: str) -> None:
    """In words with the figure that does not divide."""
    found = tensor_parallel_obstacle(ModelArchitecture(model).architecture, degree)
    assert found is not None
    assert found.startswith(reason)


def test_groups_that_share_a_scale_are_not_cut() -> None:
    """Qwen3-30B-A3B: experts of width 768 are 6 blocks of 128, so fp8 blocks allow 2 and not 4."""
    architecture = ModelArchitecture("Qwen/Qwen3-30B-A3B").architecture
    blocks = weight_format("fp8-block")
    assert tensor_parallel_obstacle(architecture, 2, blocks) is None
    assert "share a scale" in str(tensor_parallel_obstacle(architecture, 4, blocks))
    assert tensor_parallel_obstacle(architecture, 4) is None


def test_the_scale_up_domain_limits() -> None:
    """Eight ranks need a link that joins eight."""
    assert find_possible_tp("meta-llama/Llama-3.1-8B", scale_up_devices=4) == [1, 2, 4]


def test_experts_divide_over_ranks() -> None:
    """Mixtral's 8 experts (`num_local_experts`) over 4 ranks are 2 each."""
    model = ModelArchitecture("mistralai/Mixtral-8x7B-v0.1")
    assert model.possible_expert_parallel() == [1, 2, 4, 8]
    assert experts_per_rank(model.architecture, 4) == 2
    assert ModelArchitecture("meta-llama/Llama-3.1-8B").possible_expert_parallel() == [1]


def test_every_stage_needs_a_layer() -> None:
    """At most as many stages as layers."""
    assert ModelArchitecture("meta-llama/Llama-3.1-8B").possible_pipeline_parallel(64)[-1] == 32


@pytest.mark.parametrize("degree", [0, -1, 1.5, True])
def test_bad_degrees_are_named(degree: object) -> None:
    """A degree is a whole number above 0."""
    architecture = ModelArchitecture("meta-llama/Llama-3.1-8B").architecture
    with pytest.raises(CapacityError, match=r"^tensor_parallel = "):
        tensor_parallel_obstacle(architecture, degree)  # type: ignore[arg-type]
