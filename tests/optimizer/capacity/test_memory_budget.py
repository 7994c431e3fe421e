"""How memory is divided: engines' rules, formats of weights, parallel deployments."""

from __future__ import annotations

import pytest

from optimizer.capacity import (
    CapacityError,
    Engine,
    EngineSettings,
    MemoryBudget,
    ModelArchitecture,
    kv_format,
    memory_budget,
    model_memory_req,
)
from optimizer.catalog import accelerator, accelerator_names, device_memory
from tests.optimizer.capacity.configurations import small

GIB = 2**30
H100_GIB = 79.19


def budget_of(model: str, **options: object) -> MemoryBudget:
    """Budget of a model on an H100."""
    found = ModelArchitecture(model)
    precision = str(options.pop("precision", "auto"))
    return memory_budget(
        found.architecture,
        found.weights_in(precision),
        kv_format("auto", found.architecture),
        **{"device_memory_gib": H100_GIB, **options},  # type: ignore[arg-type]
    )


def test_the_pool_is_what_is_left() -> None:
    """vLLM: utilisation x memory less weights, activations and the rest, to the byte."""
    found = budget_of("meta-llama/Llama-3.1-8B")
    stage = found.tightest
    left = (
        0.9 * H100_GIB * GIB - stage.weight_bytes - stage.activation_bytes - stage.non_torch_bytes
    )
    assert stage.kv_pool_bytes == pytest.approx(left)
    assert found.outside_bytes == pytest.approx(0.1 * H100_GIB * GIB)
    assert found.kv_pool_gb == pytest.approx(found.kv_pool_gib * GIB / 1e9)


def test_engines_divide_by_their_own_rules() -> None:
    """SGLang keeps activations outside; TensorRT-LLM takes a part of what is free."""
    stage = budget_of("meta-llama/Llama-3.1-8B").tightest
    rest = stage.weight_bytes + stage.non_torch_bytes
    sglang = budget_of(
        "meta-llama/Llama-3.1-8B", settings=EngineSettings(engine=Engine.SGLANG)
    ).tightest
    tensorrt = budget_of(
        "meta-llama/Llama-3.1-8B", settings=EngineSettings(engine=Engine.TENSORRT_LLM)
    ).tightest
    device = H100_GIB * GIB
    assert sglang.kv_pool_bytes == pytest.approx(0.9 * device - rest)
    assert tensorrt.kv_pool_bytes == pytest.approx(0.9 * (device - rest - stage.activation_bytes))


def test_a_model_that_is_too_large_does_not_fit() -> None:
    """Llama-3.1-70B in 16 bits on one H100: no pool, no blocks."""
    found = budget_of("meta-llama/Llama-3.1-70B")
    assert not found.fits
    assert (found.blocks, found.kv_pool_gib, found.kv_tokens) == (0, 0.0, 0)


def test_graphs_can_count_against_the_budget() -> None:
    """Newer releases reserve them inside."""
    inside = budget_of("Qwen/Qwen3-8B", settings=EngineSettings(graphs_in_budget=True))
    outside = budget_of("Qwen/Qwen3-8B")
    assert outside.kv_pool_gib - inside.kv_pool_gib == pytest.approx(0.9)


def test_pipeline_stages_place_embedding_and_output() -> None:
    """Llama-3.1-8B over four stages: the ends hold a vocabulary of 0.98 GiB each."""
    found = budget_of("meta-llama/Llama-3.1-8B", pipeline_parallel=4)
    sizes = [stage.weight_bytes / GIB for stage in found.stages]
    assert sizes[0] - sizes[1] == pytest.approx(128_256 * 4096 * 2 / GIB)
    assert sizes[3] - sizes[1] == pytest.approx(128_256 * 4096 * 2 / GIB, abs=1e-4)
    assert found.tightest is found.stages[3]


def test_stages_that_keep_nothing_limit_nothing() -> None:
    """Nemotron-H's pattern over two stages, the second without a mixer: the first limits."""
    config = small(
        model_type="nemotron_h",
        hybrid_override_pattern="M*--",
        ssm_state_size=16,
        mamba_num_heads=8,
    )
    architecture = ModelArchitecture(config).architecture
    found = memory_budget(
        architecture,
        architecture.weight_format,
        kv_format("auto", architecture),
        device_memory_gib=H100_GIB,
        pipeline_parallel=2,
    )
    assert found.stages[1].layout is None
    assert found.blocks == found.stages[0].blocks > 0


def test_there_are_no_more_stages_than_layers() -> None:
    """The error names the argument."""
    with pytest.raises(CapacityError, match=r"^pipeline_parallel = 33: more stages than .* 32"):
        budget_of("meta-llama/Llama-3.1-8B", pipeline_parallel=33)


def test_activations_follow_the_vocabulary_and_not_the_ranks() -> None:
    """Logits are gathered: the same peak at every tensor parallelism."""
    one, four = (
        ModelArchitecture("meta-llama/Llama-3.1-8B").activation_gib(tensor_parallel=n)
        for n in (1, 4)
    )
    assert one == pytest.approx(four)


@pytest.mark.parametrize(
    ("model", "precision", "size_gb"),
    [
        ("meta-llama/Llama-2-70b-hf", "float16", 137.953),
        ("meta-llama/Llama-2-70b-hf", "int8", 69.53),
        ("meta-llama/Llama-2-70b-hf", "int4", 36.36),
        ("deepseek-ai/DeepSeek-V3", None, 673.15),
        ("openai/gpt-oss-20b", None, 13.761),
    ],
)
def test_weights_by_precision(model: str, precision: str | None, size_gb: float) -> None:
    """Linear layers narrow, embeddings do not; four bits are not nothing; all experts count."""
    assert model_memory_req(model, precision) == pytest.approx(size_gb, rel=1e-3)


@pytest.mark.parametrize("precision", ["int4", "nf4", "mxfp4", "nvfp4"])
def test_four_bits_are_about_a_quarter(precision: str) -> None:
    """Scales included: between 0.25 and 0.32 of 16 bits for a model of 405e9."""
    ratio = model_memory_req("meta-llama/Llama-3.1-405B", precision) / model_memory_req(
        "meta-llama/Llama-3.1-405B"
    )
    assert 0.25 < ratio < 0.32


def test_planner_figures_that_were_right_are_kept() -> None:
    """Qwen2.5-0.5B: 0.9202 GiB; DeepSeek-V2: 439.1026 GiB; gpt-oss-20b: 12.816 GiB."""
    sizes = [
        ModelArchitecture(name).model_memory_gib()
        for name in ("Qwen/Qwen2.5-0.5B", "deepseek-ai/DeepSeek-V2", "openai/gpt-oss-20b")
    ]
    assert sizes == pytest.approx([0.9202077388763428, 439.10264015197754, 12.816176533699036])


def test_device_memory_is_less_than_nominal_and_in_gib() -> None:
    """79.19 GiB of an 80 GB card, as measured; never more than the nominal figure as GiB."""
    assert device_memory(accelerator("H100-SXM")).memory_gib == H100_GIB
    for name in accelerator_names():
        facts = accelerator(name)
        found = device_memory(facts).memory_gib
        assert 0.9 * facts.memory_gb < found <= 1.001 * facts.memory_gb, name


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"utilization": 0}, "utilization"),
        ({"utilization": 1.5}, "utilization"),
        ({"max_num_seqs": -1}, "max_num_seqs"),
        ({"max_num_batched_tokens": 2.5}, "max_num_batched_tokens"),
        ({"block_tokens": 0}, "block_tokens"),
        ({"engine": "llama.cpp"}, "engine"),
    ],
)
def test_bad_settings_are_named(options: dict[str, object], field: str) -> None:
    """The error names the setting."""
    with pytest.raises(CapacityError, match=rf"^{field} = "):
        EngineSettings(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("memory", [0, -80, float("nan"), float("inf"), "80"])
def test_bad_memory_is_named(memory: object) -> None:
    """A card has a finite memory above 0."""
    with pytest.raises(CapacityError, match=r"^device_memory_gib = "):
        budget_of("Qwen/Qwen3-8B", device_memory_gib=memory)
