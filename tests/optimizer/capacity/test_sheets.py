"""Sheets have the reference sheet's figures where its arithmetic holds, and the right ones else."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from optimizer.capacity import GPU_LIBRARY, CapacityError, EngineSettings, ModelArchitecture
from optimizer.capacity.sheets import (
    PLANNED_LOADS,
    PlannedLoad,
    Pricing,
    Sheet,
    SheetCase,
    batch_sheet,
    break_even_sheet,
    concurrency_sheet,
    cost_sheet,
    kv_sheet,
    memory_sheet,
    planning_sheet,
    reference_case,
    roofline_sheet,
    scaling_sheet,
)

CASE = reference_case()
SHEETS = [
    memory_sheet,
    kv_sheet,
    concurrency_sheet,
    roofline_sheet,
    batch_sheet,
    scaling_sheet,
    cost_sheet,
    break_even_sheet,
    lambda case: planning_sheet(case, PLANNED_LOADS["chatbot"]),
]


def figure(sheet: Sheet, name: str) -> float:
    """Figure of a line that has one."""
    value = sheet.value(name)
    assert value is not None
    return value


def column(sheet: Sheet, title: str, heading: str) -> list[object]:
    """One column of a section's table."""
    table = sheet.table(title)
    place = table.columns.index(heading)
    return [row[place] for row in table.rows]


def test_the_memory_budget_by_hand() -> None:
    """80 - 70 - 2 - 2 = 6 GB; the engine finds 79.19 GiB and leaves less."""
    sheet = memory_sheet(CASE)
    assert figure(sheet, "KV pool") == 6
    assert figure(sheet, "memory found") == pytest.approx(79.19)
    parts = ("weights found", "activation peak", "outside of the framework", "pool found")
    assert sum(figure(sheet, name) for name in parts) == pytest.approx(0.9 * 79.19)
    assert figure(sheet, "tokens in the pool") == CASE.budget.kv_tokens


def test_three_readings_of_six_gigabytes() -> None:
    """327,680 bytes per token: 18,310, 19,660 and 18,750 tokens."""
    sheet = kv_sheet(CASE)
    assert figure(sheet, "all layers") == 327_680
    readings = ("GB = 1e9 bytes", "GB = 2^30 bytes", "units mixed")
    assert [figure(sheet, f"pool, {name}") for name in readings] == [18_310, 19_660, 18_750]
    assert figure(sheet, "block") == 5.24288


def test_concurrent_requests_by_all_readings() -> None:
    """36/18/9/4/2 with units mixed; 35/17/8/4/2 in GB, 38/19/9/4/2 in GiB."""
    sheet = concurrency_sheet(CASE)
    title = "Whole requests at once"
    assert column(sheet, title, "units mixed") == [36, 18, 9, 4, 2]
    assert column(sheet, title, "GB = 1e9 bytes") == [35, 17, 8, 4, 2]
    assert column(sheet, title, "GB = 2^30 bytes") == [38, 19, 9, 4, 2]
    logged = column(sheet, title, "as the engine logs it")
    assert logged[0] == pytest.approx(CASE.budget.blocks / 32)


def test_a_shared_prefix_holds_more_requests() -> None:
    """Of 1024 tokens 512 shared: nearly twice as many while decoding, none more logged."""
    alone, shared = (concurrency_sheet(CASE, [1024], tokens) for tokens in (0, 512))
    title = "Whole requests at once"
    more = column(shared, title, "while decoding")[0], column(alone, title, "while decoding")[0]
    assert more[0] == pytest.approx((CASE.budget.blocks - 32) / 32)
    assert more[1] == pytest.approx(CASE.budget.blocks / 64)
    assert column(shared, title, "as the engine logs it") == column(
        alone, title, "as the engine logs it"
    )


def test_the_roofline() -> None:
    """591 operations per byte; 20.9 ms and 48 tokens/s; 425 ms with a factor of 6, 70 without."""
    sheet = roofline_sheet(CASE)
    assert figure(sheet, "ridge") == pytest.approx(590.7, abs=0.1)
    assert figure(sheet, "intensity at batch 1") == 2
    assert figure(sheet, "decode bound at batch 1") == pytest.approx(20.9, abs=0.01)
    assert round(figure(sheet, "tokens/s at that bound")) == 48
    assert figure(sheet, "with a factor of 6") == pytest.approx(424.5, abs=0.1)
    assert figure(sheet, "prefill bound") == pytest.approx(138.2e12 / 1979e12 * 1e3, rel=1e-3)
    assert figure(sheet, "predicted decode at batch 1") > figure(sheet, "decode bound at batch 1")
    assert figure(sheet, "predicted prefill") > figure(sheet, "prefill bound")


def test_the_column_of_times_by_batch() -> None:
    """21/21/21/22/24/28 ms: 1,200 tokens of context each, rounded down; 16 and more do not fit."""
    sheet = batch_sheet(CASE)
    assert column(sheet, "By batch", "rounded down") == [21, 21, 21, 22, 24, 28]
    rates = column(sheet, "By batch", "tokens/s")
    assert [round(float(rate)) for rate in rates] == [48, 190, 381, 727, 1333, 2286]  # type: ignore[arg-type]
    assert column(sheet, "By batch", "in the pool by hand") == ["yes"] * 3 + ["no"] * 3
    bounds, predicted = (column(sheet, "By batch", name) for name in ("bound ms", "predicted ms"))
    assert all(a < b for a, b in zip(bounds, predicted, strict=True))  # type: ignore[operator]


def test_scaling_over_cards_and_instances() -> None:
    """Latency falls with the degree, a card's yield at equal batch too; instances add up."""
    sheet = scaling_sheet(CASE)
    ttft = column(sheet, "By tensor parallelism", "TTFT ms")
    equal = column(sheet, "By tensor parallelism", "tokens/s per card, batch 8")
    assert ttft == sorted(ttft, reverse=True)  # type: ignore[type-var]
    assert equal == sorted(equal, reverse=True)  # type: ignore[type-var]
    rates = column(sheet, "By instances", "tokens/s")
    assert rates[3] == pytest.approx(64 * rates[0])  # type: ignore[operator]
    # 3 does not divide 64 heads.
    assert scaling_sheet(CASE, [1, 3]).table("By tensor parallelism").rows[1][1:] == (None,) * 9


def test_the_claimed_cost_and_the_predicted_one() -> None:
    """50,000 tokens/s at 3.50 USD/h, 80 % busy: 0.0243 USD; the predicted rate costs 90 times."""
    sheet = cost_sheet(CASE, Pricing(claimed_tokens_per_s=50_000))
    assert figure(sheet, "tokens an hour claimed") == 144
    assert figure(sheet, "per million tokens claimed") == pytest.approx(0.0243, abs=1e-4)
    rate = figure(sheet, "throughput predicted")
    predicted = figure(sheet, "per million tokens predicted")
    assert predicted == pytest.approx(3.5e6 / (rate * 3600 * 0.8))
    assert predicted > 50 * figure(sheet, "per million tokens claimed")
    by_batch = column(sheet, "By requests in flight", "USD per million")
    assert by_batch == sorted(by_batch, reverse=True)  # type: ignore[type-var]


def test_break_even_by_volume() -> None:
    """2,520 USD a month per replica; own cost grows with the volume; cheap APIs never lose."""
    sheet = break_even_sheet(CASE)
    assert figure(sheet, "a replica a month") == 2520
    assert figure(sheet, "API, per million tokens of answers") == 22.5
    assert figure(sheet, "break-even") == pytest.approx(2520 / 22.5 / 1e3)
    carried = figure(sheet, "tokens it carries a month") * 1e9
    replicas = column(sheet, "By volume a month", "replicas")
    assert replicas == [math.ceil(volume / carried) for volume in (1e9, 10e9, 100e9)]
    cheap = break_even_sheet(CASE, Pricing(api_input_usd=0.01, api_output_usd=0.01))
    assert cheap.value("break-even") is None


def test_the_three_examples() -> None:
    """Rates as the examples state them; nothing below the bound of prefill; Little's law."""
    wanted = {"chatbot": 34.72, "code-assistant": 138.9, "rag": 16.67}
    bounds = {"chatbot": 1.2, "code-assistant": 19.6, "rag": 9.9}
    for name, load in PLANNED_LOADS.items():
        sheet = planning_sheet(CASE, load)
        rate = figure(sheet, "peak rate")
        assert rate == pytest.approx(wanted[name], abs=0.05)
        bound = figure(sheet, "accelerators at full throughput")
        assert bound == pytest.approx(bounds[name], abs=0.1)
        assert figure(sheet, "accelerators") > figure(sheet, "accelerators at predicted times")
        flight = rate * figure(sheet, "latency of a request")
        assert figure(sheet, "requests in flight") == pytest.approx(flight)
        held = figure(sheet, "requests that a replica holds") * figure(sheet, "replicas")
        assert figure(sheet, "requests in flight") < held * 1.01


@pytest.mark.parametrize("name", PLANNED_LOADS)
def test_the_prefill_of_a_plan_adds_up(name: str) -> None:
    """Operations of a prompt are twice its weights and some attention; times the peak, all."""
    load = PLANNED_LOADS[name]
    sheet = planning_sheet(CASE, load)
    of_weights = 2 * 70e9 * load.input_tokens / 1e12
    one = figure(sheet, "operations of a prompt")
    assert one == pytest.approx(of_weights, rel=0.06)
    assert figure(sheet, "prefill operations") == pytest.approx(load.peak_rps * one)


def test_what_a_model_cannot_serve_is_said() -> None:
    """8,500 tokens are above Llama-2's 4,096."""
    sheet = planning_sheet(CASE, PLANNED_LOADS["rag"])
    notes = [note for section in sheet.sections for note in section.notes]
    assert any("above the model's 4,096" in note for note in notes)


@pytest.mark.parametrize(
    ("model", "card", "precision"),
    [
        ("openai/gpt-oss-120b", "H200-SXM", "auto"),
        ("google/gemma-3-27b-it", "MI300X", "fp8"),
        ("Qwen/Qwen3.5-27B", "B200-SXM", "auto"),
        ("deepseek-ai/DeepSeek-V2", "H100-SXM", "auto"),
    ],
)
def test_any_model_on_any_accelerator(model: str, card: str, precision: str) -> None:
    """Every sheet can be made and told in JSON, for experts, windows, states and latents."""
    case = SheetCase(
        model=ModelArchitecture(model),
        facts=GPU_LIBRARY[card],
        precision=precision,
        tensor_parallel=8 if "DeepSeek" in model else 1,
        pool_gb=20.0,
    )
    for make in SHEETS:
        sheet = make(case)
        json.dumps(sheet.to_document(), allow_nan=False)
        assert all(line.arithmetic for section in sheet.sections for line in section.lines)


def test_more_pool_never_costs_more() -> None:
    """Utilisation 0.95 holds more requests than 0.9, and a token costs less."""
    wide = replace(CASE, settings=EngineSettings(utilization=0.95))
    for name, sign in (("requests in flight", 1), ("per million tokens predicted", -1)):
        assert sign * figure(cost_sheet(wide), name) > sign * figure(cost_sheet(CASE), name)


def test_wrong_figures_are_named() -> None:
    """Each error names the argument."""
    tiny = GPU_LIBRARY["T4"]
    for field, make in (
        ("tensor_parallel", lambda: reference_case(tensor_parallel=3)),
        ("tensor_parallel", lambda: reference_case(tensor_parallel=16)),
        ("pool_gb", lambda: reference_case(pool_gb=-1.0)),
        ("pool_gb", lambda: kv_sheet(reference_case(facts=tiny))),
        ("parameters", lambda: reference_case(parameters=float("nan"))),
        ("bandwidth_gb_s", lambda: reference_case(facts=GPU_LIBRARY["IBM-Spyre"])),
        ("usd_per_hour", lambda: cost_sheet(reference_case(facts=GPU_LIBRARY["H20"]))),
        ("context_lengths", lambda: concurrency_sheet(CASE, [0])),
        ("context_lengths", lambda: concurrency_sheet(CASE, [])),
        ("prompt_tokens", lambda: roofline_sheet(CASE, 0)),
        ("batches", lambda: batch_sheet(CASE, [])),
        ("context_tokens", lambda: batch_sheet(CASE, [1], -1)),
        ("degrees", lambda: scaling_sheet(CASE, [])),
        ("utilization", lambda: Pricing(utilization=1.5)),
        ("volumes", lambda: break_even_sheet(CASE, volumes=[0.0])),
        ("peak", lambda: replace(PLANNED_LOADS["rag"], peak=0.5)),
        ("tensor_parallel", lambda: planning_sheet(reference_case(facts=tiny), _long())),
    ):
        with pytest.raises(CapacityError, match=rf"^{field} = "):
            make()


def _long() -> PlannedLoad:
    return replace(PLANNED_LOADS["rag"], input_tokens=10**6)
