"""Recommendations are ranked as asked, and every rejection has its reason."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from optimizer.capacity import (
    GPU_LIBRARY,
    CapacityError,
    ModelArchitecture,
    Recommendations,
    find_gpu_recommendations,
)
from optimizer.catalog import UnknownEntryError

MODEL = "meta-llama/Llama-3.1-70B"


@pytest.fixture(scope="module")
def found() -> Recommendations:
    """Llama-3.1-70B for 16 requests of 8192 tokens."""
    return find_gpu_recommendations(MODEL, 8192, 16)


def test_every_combination_is_ranked_or_rejected(found: Recommendations) -> None:
    """34 accelerators x 4 degrees, none lost, each rejection with a reason."""
    assert len(found.ranked) + len(found.rejected) == 34 * 4
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
        ranks = entry.tensor_parallel
        held = entry.kv_pool_gib * 2**30 * ranks / size
        assert entry.max_concurrent >= 16
        assert entry.max_concurrent == pytest.approx(held, abs=1.01)


@pytest.mark.parametrize(
    ("rank_by", "figure", "sign"),
    [
        ("cost", "usd_per_million_tokens", 1),
        ("price", "usd_per_hour", 1),
        ("throughput", "max_tokens_per_s", -1),
        ("latency", "decode_ms", 1),
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
        assert entry.usd_per_hour == pytest.approx(price * entry.tensor_parallel)
        cost = price * entry.tensor_parallel / (entry.tokens_per_s * 3600) * 1e6
        assert entry.usd_per_million_tokens == pytest.approx(cost)


def test_bounds_are_bytes_over_bandwidth() -> None:
    """Llama-2-70B in int8, batch 1, H100: 69.0e9 bytes / 3.35e12 = 20.6 ms (sheets say 20.9)."""
    entry = find_gpu_recommendations(
        "meta-llama/Llama-2-70b-hf", 1, 1, accelerators=["H100-SXM"], precisions=["int8"]
    ).ranked
    alone = next(one for one in entry if one.tensor_parallel == 1)
    weights = ModelArchitecture("meta-llama/Llama-2-70b-hf").model_memory_bytes("int8")
    read = weights - 32_000 * 8192 * 2 + 327_680
    assert alone.decode_ms == pytest.approx(1e3 * read / 3350e9, rel=1e-6)
    assert alone.decode_ms == pytest.approx(20.6, abs=0.05)


def test_a_batch_touches_a_part_of_the_experts() -> None:
    """Mixtral at batch 1 reads 2 of 8 experts, at batch 64 nearly all."""
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
    read = (46.70e9 - 32_000 * 4096) * 2
    assert one == pytest.approx(1e3 * (12.88e9 - 32_000 * 4096) * 2 / 5300e9, rel=0.01)
    assert many == pytest.approx(1e3 * read / 5300e9, rel=0.05)


def test_rejections_say_why() -> None:
    """Too large, not divisible, beyond the link, too long, facts missing, too slow."""
    found = find_gpu_recommendations(
        "Qwen/Qwen2.5-7B-Instruct", 4096, 64, tensor_parallel=[1, 3, 4], max_decode_ms=5
    )
    reasons = {(one.accelerator, one.tensor_parallel): one.reason for one in found.rejected}
    assert "GiB for KV" in reasons["T4", 1]
    assert reasons["H100-SXM", 3] == "28 heads do not divide by 3"
    assert reasons["L4", 4] == "4 ranks, but its link joins 1"
    assert reasons["IBM-Spyre", 1] == "bandwidth_gb_s is not known"
    assert "max_decode_ms: at least" in reasons["L40S", 1]
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
        ("max_decode_ms", {"max_decode_ms": -1}),
        ("precisions", {"precisions": []}),
    ):
        with pytest.raises(CapacityError, match=rf"^{field} = "):
            find_gpu_recommendations(MODEL, **{"context_length": 4096, **options})  # type: ignore[arg-type]
    with pytest.raises(UnknownEntryError, match="did you mean H100"):
        find_gpu_recommendations(MODEL, 4096, accelerators=["H100-SXN"])
    with pytest.raises(UnknownEntryError, match="did you mean"):
        find_gpu_recommendations("meta-llama/Llama-3.1-71B", 4096)
