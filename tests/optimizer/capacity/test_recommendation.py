"""Recommendations are ranked as asked, and every rejection has its reason."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from importlib.resources import files

import pytest
from scipy.stats import kendalltau

from optimizer.capacity import (
    GPU_LIBRARY,
    CapacityError,
    Engine,
    EngineSettings,
    ModelArchitecture,
    Recommendations,
    find_gpu_recommendations,
    model_work,
)
from optimizer.catalog import UnknownEntryError
from optimizer.performance import calibration

MODEL = "meta-llama/Llama-3.1-70B"


@pytest.fixture(scope="module")
def found() -> Recommendations:
    """Llama-3.1-70B for 16 requests of 8192 tokens."""
    return find_gpu_recommendations(MODEL, 8192, 16)


def test_every_combination_is_ranked_or_rejected(found: Recommendations) -> None:
    """34 accelerators x 4 degrees, none lost, and pipelines only where none of these fits."""
    both = (*found.ranked, *found.rejected)
    usual = [one for one in both if one.pipeline_parallel == 1]
    assert len({(one.accelerator, one.layout) for one in both}) == len(both)
    assert len(usual) == 34 * 4
    fit = {one.accelerator for one in found.ranked if one.pipeline_parallel == 1}
    piped = {one.accelerator for one in both if one.pipeline_parallel > 1}
    assert piped
    assert not piped & fit
    assert all(entry.reason for entry in found.rejected)
    assert found.best is found.ranked[0]


def test_the_library_is_the_catalogue() -> None:
    """34 accelerators by name; unknown names are `KeyError`s."""
    assert len(GPU_LIBRARY) == 34
    assert GPU_LIBRARY["H100-SXM"].bandwidth_gb_s == 3350
    with pytest.raises(KeyError):
        GPU_LIBRARY["H1000"]


def test_what_is_ranked_holds_the_batch(found: Recommendations) -> None:
    """The pool over the cache of a request, which is the same for all accelerators."""
    size = found.kv_cache.per_request_kv_cache_bytes
    assert size == 8192 * 327_680
    for entry in found.ranked:
        assert entry.max_concurrent >= 16
        if entry.pipeline_parallel == 1:
            held = entry.kv_pool_gib * 2**30 * entry.tensor_parallel / size
            assert entry.max_concurrent == pytest.approx(held, abs=1.01)


@pytest.mark.parametrize(
    ("rank_by", "figure", "sign"),
    [
        ("cost", "usd_per_million_tokens", 1),
        ("price", "usd_per_hour", 1),
        ("throughput", "max_tokens_per_s", -1),
        ("latency", "itl_ms", 1),
    ],
)
def test_the_order_is_the_one_asked_for(rank_by: str, figure: str, sign: int) -> None:
    """Ascending, what has no price at the end."""
    ranked = find_gpu_recommendations(MODEL, 8192, 16, rank_by=rank_by).ranked
    values = [getattr(entry, figure) for entry in ranked]
    known = [sign * value for value in values if value is not None]
    assert known == sorted(known)
    assert all(value is None for value in values[len(known) :])


def test_cost_is_price_over_tokens(found: Recommendations) -> None:
    """USD per 1e6 tokens = USD/h / (tokens/s x 3600) x 1e6, for the ranks the replica has."""
    for entry in found.ranked:
        price = GPU_LIBRARY[entry.accelerator].usd_per_hour
        if price is None:
            assert entry.usd_per_million_tokens is None
            continue
        assert entry.usd_per_hour == pytest.approx(price * entry.cards)
        cost = price * entry.cards / (entry.tokens_per_s * 3600) * 1e6
        assert entry.usd_per_million_tokens == pytest.approx(cost)


def test_times_are_above_the_roofline_and_below_twice_it() -> None:
    """Llama-2-70B in int8, batch 1, H100: 69.0e9 bytes / 3.35e12 = 20.6 ms at the very least."""
    source = ModelArchitecture("meta-llama/Llama-2-70b-hf")
    found = find_gpu_recommendations(
        source, 2, 1, accelerators=["H100-SXM"], tensor_parallel=[1], precisions=["int8"]
    )
    work = model_work(source.architecture, source.weights_in("int8"))
    bound = 1e3 * work.decode_bytes(1.0, 327_680) / 3350e9
    assert bound == pytest.approx(20.6, abs=0.05)
    assert bound < found.ranked[0].decode_ms < 2 * bound


def test_a_batch_touches_a_part_of_the_experts() -> None:
    """Mixtral at batch 1 reads 2 of 8 experts, at batch 64 nearly all: 13 against 47e9 weights."""
    one, many = (
        find_gpu_recommendations(
            "mistralai/Mixtral-8x7B-v0.1",
            512,
            batch,
            accelerators=["MI300X"],
            tensor_parallel=[1],
        )
        .ranked[0]
        .decode_ms
        for batch in (1, 64)
    )
    assert 2.5 < many / one < 46.70 / 12.88 * 1.5


def test_more_requests_more_tokens_and_slower(found: Recommendations) -> None:
    """Throughput rises with the batch and so does the time between tokens."""
    alone = find_gpu_recommendations(MODEL, 8192, 1)
    by_way = {(one.accelerator, one.layout): one for one in alone.ranked}
    for entry in found.ranked:
        other = by_way.get((entry.accelerator, entry.layout))
        if other is None:
            continue
        assert entry.tokens_per_s > other.tokens_per_s
        assert entry.itl_ms >= entry.decode_ms > 0
        assert entry.itl_ms > other.itl_ms
        assert entry.ttft_ms == pytest.approx(other.ttft_ms)


def test_uncalibrated_accelerators_say_that_they_are_less_certain(
    found: Recommendations,
) -> None:
    """0.12 on Hopper; 0.20 more in quadrature on Gaudi."""
    spread = {entry.accelerator: entry.log_sd for entry in found.ranked}
    assert spread["H100-SXM"] == calibration().spread.dense
    assert spread["Gaudi3"] == pytest.approx(math.hypot(spread["H100-SXM"], 0.2))


def test_mixtures_of_experts_are_tried_with_whole_experts() -> None:
    """DeepSeek-V3 on MI300X: attention in groups holds 8 times the latents of tensor parallelism.

    A latent is copied on every tensor parallel rank. gpt-oss's 32 experts do not divide by 3.
    """
    found = find_gpu_recommendations(
        "deepseek-ai/DeepSeek-V3", 4096, accelerators=["MI300X"], rank_by="throughput"
    )
    by_way = {str(entry.layout): entry for entry in found.ranked}
    assert found.best is by_way["DP 8 x EP 8"]
    one, many = by_way["TP 8"], by_way["DP 8 x EP 8"]
    assert many.cards == one.cards == 8
    held = many.kv_pool_gib / one.kv_pool_gib
    assert many.max_concurrent == pytest.approx(8 * held * one.max_concurrent, rel=1e-2)
    refused = find_gpu_recommendations(
        "openai/gpt-oss-20b", 4096, accelerators=["H100-SXM"], tensor_parallel=[3]
    ).rejected
    reasons = {str(one.layout): one.reason for one in refused}
    assert reasons["DP 3 x EP 3"] == "32 experts do not divide by 3"


def test_pipelines_carry_what_a_link_does_not() -> None:
    """Llama-3.1-70B needs 4 L40S in a row in bf16: read one after another, no faster than alone."""
    found = find_gpu_recommendations(MODEL, 4096, accelerators=["L40S"])
    assert {str(entry.layout) for entry in found.ranked} == {"PP 4", "PP 8"}
    for entry in found.ranked:
        assert entry.cards == entry.pipeline_parallel
        assert entry.decode_ms > 1e3 * 139e9 / 864e9
    none = find_gpu_recommendations(MODEL, 4096, accelerators=["L40S"], pipeline_parallel=())
    assert not none.ranked


def test_the_order_of_accelerators_is_that_of_mlperf() -> None:
    """Offline Llama-2-70B per accelerator, each by its submission's engine: Kendall tau >= 0.8."""
    text = (files("benchmarks.iteration_time") / "mlperf_llama2_70b.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    source = ModelArchitecture("meta-llama/Llama-2-70b-hf", kv_dtype="fp8")
    formats = {"fp8": "fp8", "fp4": "nvfp4"}
    engines = {"trtllm": Engine.TENSORRT_LLM, "vllm": Engine.VLLM}
    predicted = []
    for row in rows:
        found = find_gpu_recommendations(
            source,
            588,
            output_tokens=294,
            accelerators=[row["accelerator"]],
            precisions=[formats[row["weights"]]],
            rank_by="throughput",
            settings=EngineSettings(engine=engines[row["engine"]], max_num_seqs=2048),
        )
        predicted.append(max(one.max_tokens_per_s / one.cards for one in found.ranked))
    measured = [float(row["tokens_per_s"]) / int(row["accelerators"]) for row in rows]
    assert kendalltau(measured, predicted).statistic >= 0.8


def test_rejections_say_why() -> None:
    """Too large, not divisible, beyond the link, too long, facts missing, too slow."""
    found = find_gpu_recommendations(
        "Qwen/Qwen2.5-7B-Instruct", 4096, 64, tensor_parallel=[1, 3, 4], max_itl_ms=15
    )
    reasons = {
        (one.accelerator, one.tensor_parallel): one.reason
        for one in found.rejected
        if one.pipeline_parallel == 1
    }
    assert "GiB for KV" in reasons["T4", 1]
    assert reasons["H100-SXM", 3] == "28 heads do not divide by 3"
    assert reasons["L4", 4] == "4 ranks, but its link joins 1"
    assert reasons["IBM-Spyre", 1] == "bandwidth_gb_s is not known"
    assert "ms predicted, wanted at most 15" in reasons["L40S", 1]
    longer = find_gpu_recommendations("meta-llama/Llama-2-70b-hf", 8192)
    assert not longer.ranked
    assert "above the model's 4096" in longer.rejected[0].reason


def test_a_batch_that_does_not_fit_says_how_many_do() -> None:
    """One H100 holds some of 1000 requests of Llama-3.1-8B."""
    found = find_gpu_recommendations(
        "meta-llama/Llama-3.1-8B", 8192, 1000, accelerators=["H100-SXM"], tensor_parallel=[1]
    )
    assert found.rejected[0].reason == "KV pool of 54.2 GiB holds 54 of 1000 requests"


def test_own_accelerators_can_be_given() -> None:
    """A mapping of facts replaces the library."""
    own = replace(GPU_LIBRARY["H200-SXM"], name="lab", usd_per_hour=1.0)
    found = find_gpu_recommendations(MODEL, 4096, accelerators={"lab": own})
    assert {entry.accelerator for entry in found.ranked} == {"lab"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bandwidth_gb_s", None),
        ("bandwidth_gb_s", 0.0),
        ("fp16_tflops", None),
        ("memory_gb", -80.0),
        ("max_scaleup_devices", 0),
        ("interconnect_gb_s", -900.0),
        ("usd_per_hour", -3.5),
        ("usd_per_hour", math.nan),
    ],
)
def test_an_accelerator_with_too_few_facts_is_refused(field: str, value: float | None) -> None:
    """One that was asked for gets an error that names the fact, not a quiet rejection."""
    own = replace(GPU_LIBRARY["H100-SXM"], **{field: value})  # type: ignore[arg-type]
    with pytest.raises(CapacityError, match=f"^{field} = {value}: "):
        find_gpu_recommendations(MODEL, 4096, accelerators={"own": own})


def test_an_accelerator_of_the_catalogue_without_bandwidth_is_refused_by_name() -> None:
    """IBM-Spyre's bandwidth is not public."""
    with pytest.raises(CapacityError, match=r"^bandwidth_gb_s = None: is not known for IBM-Spyre"):
        find_gpu_recommendations(MODEL, 4096, accelerators=["IBM-Spyre"])


def test_another_card_of_a_known_name_has_its_own_memory() -> None:
    """Facts given with 160 GB are not read as the catalogue's 79.19 GiB."""
    own = replace(GPU_LIBRARY["H100-SXM"], memory_gb=160.0)
    found = find_gpu_recommendations(MODEL, 4096, accelerators={"own": own}, tensor_parallel=[2])
    assert found.ranked[0].kv_pool_gib > 70


def test_the_document_is_json(found: Recommendations) -> None:
    """Versioned, with all rejections, nothing that JSON lacks."""
    document = json.loads(json.dumps(found.to_document(), allow_nan=False))
    assert document["schema_version"] == 1
    assert len(document["recommendations"]) == len(found.ranked)
    assert len(document["rejected"]) == len(found.rejected)


def test_bad_arguments_are_named() -> None:
    """Lengths, batches, orders, limits, accelerators and models."""
    for field, options in (
        ("context_len", {"context_length": 0}),
        ("batch_size", {"batch_size": -1}),
        ("rank_by", {"rank_by": "beauty"}),
        ("max_itl_ms", {"max_itl_ms": -1}),
        ("max_ttft_ms", {"max_ttft_ms": float("nan")}),
        ("output_tokens", {"output_tokens": 4096}),
        ("output_tokens", {"output_tokens": 0}),
        ("pipeline_parallel", {"pipeline_parallel": [1]}),
        ("precisions", {"precisions": []}),
    ):
        with pytest.raises(CapacityError, match=rf"^{field} = "):
            find_gpu_recommendations(MODEL, **{"context_length": 4096, **options})  # type: ignore[arg-type]
    with pytest.raises(UnknownEntryError, match="did you mean H100"):
        find_gpu_recommendations(MODEL, 4096, accelerators=["H100-SXN"])
    with pytest.raises(UnknownEntryError, match="did you mean"):
        find_gpu_recommendations("meta-llama/Llama-3.1-71B", 4096)
