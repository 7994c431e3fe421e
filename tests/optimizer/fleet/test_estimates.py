"""Pairs that nobody measured are estimated, labelled, and left out where that is forbidden."""

from __future__ import annotations

import copy
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from optimizer.capacity import GPU_LIBRARY, EngineSettings, ModelArchitecture, memory_budget
from optimizer.capacity.kv_formats import kv_format
from optimizer.catalog import device_memory
from optimizer.errors import SpecError
from optimizer.fleet import FleetPlan, build_candidates, optimize
from optimizer.fleet.candidates import Verdict
from optimizer.fleet.check import check_plan
from optimizer.fleet.estimates import why_not_estimated, with_estimates
from optimizer.fleet.impossible import why_not
from optimizer.fleet.one_pair import pair_data
from optimizer.spec import FleetSpec, from_data, load, with_options
from optimizer.spec.model import PerformanceSpec
from tests.optimizer.capacity.configurations import SMALL, small

LLAMA = "meta-llama/Llama-3.1-8B"


def document(**optimizer: object) -> dict[str, Any]:
    """Two services, catalogue accelerators, not one performance entry."""
    targets = [
        {"metric": "ttft_ms", "statistic": "mean", "bound": 500},
        {"metric": "itl_ms", "statistic": "mean", "bound": 40},
    ]
    load = {"arrival_rate_rps": 4, "input_tokens": 800, "output_tokens": 200}
    return {
        "name": "nothing measured",
        "accelerators": [
            {"name": "L4", "catalog": "L4"},
            {"name": "H100", "catalog": "H100-SXM"},
            {"name": "box", "catalog": "H100-SXM", "cards": 4},
        ],
        "models": [
            {"name": "small", "catalog": LLAMA},
            {"name": "large", "catalog": "meta-llama/Llama-3.1-70B"},
        ],
        "classes": [{"name": "fast", "priority": 1, "slos": [{"targets": targets}]}],
        "services": [
            {"name": "chat", "model": "small", "class": "fast", "max_batch": 64, "load": load},
            {"name": "work", "model": "large", "class": "fast", "max_batch": 64, "load": load},
        ],
        "optimizer": {"estimates": "linear", **optimizer},
    }


def fleet(**optimizer: object) -> FleetSpec:
    """Return the fleet of `document`."""
    return from_data(document(**optimizer))


def entries(spec: FleetSpec) -> dict[tuple[str, str, int], PerformanceSpec]:
    """Estimated entries by model, accelerator and degree."""
    return {
        (entry.model, entry.accelerator, entry.tensor_parallel or 0): entry
        for entry in with_estimates(spec).performance
    }


@pytest.fixture(scope="module")
def plan() -> FleetPlan:
    """The fleet's plan."""
    return optimize(fleet())


def test_every_degree_that_fits_gets_an_entry() -> None:
    """8B: one L4, and 1 to 8 H100; 70B: 2 to 8 H100; boxes of 4 hold 4 or 8 at a time."""
    found = entries(fleet())
    assert {key for key in found if key[0] == "small"} == {
        ("small", "L4", 1),
        *(("small", "H100", degree) for degree in (1, 2, 4, 8)),
        *(("small", "box", degree) for degree in (4, 8)),
    }
    assert {key for key in found if key[0] == "large"} == {
        *(("large", "H100", degree) for degree in (2, 4, 8)),
        *(("large", "box", degree) for degree in (4, 8)),
    }
    for (_, accelerator, degree), entry in found.items():
        assert entry.instances == degree // (4 if accelerator == "box" else 1)


def test_entries_say_that_they_are_estimates() -> None:
    """Source and uncertainty; precisions of the checkpoint."""
    entry = entries(fleet())["small", "H100", 1]
    assert entry.source is not None
    assert entry.source.startswith("estimated from the architecture, nothing measured")
    assert entry.log_sd is not None
    assert 0.12 < entry.log_sd < 0.3
    assert (entry.weight_precision, entry.kv_precision) == ("bf16", "bf16")
    assert entry.iteration is not None
    assert entry.prefill_decode is not None


def test_the_cache_is_the_memory_budgets() -> None:
    """Tokens in the pool of the engine's rule, and no more requests than it holds."""
    entry = entries(fleet())["large", "H100", 2]
    source = ModelArchitecture("meta-llama/Llama-3.1-70B")
    budget = memory_budget(
        source.architecture,
        source.weights_in(),
        kv_format("auto", source.architecture),
        device_memory_gib=device_memory(GPU_LIBRARY["H100-SXM"]).memory_gib,
        tensor_parallel=2,
        settings=EngineSettings(max_num_seqs=256),
    )
    assert entry.kv_capacity_tokens == pytest.approx(budget.kv_tokens, rel=0.01)
    assert entry.max_batch == budget.kv_tokens // 1008  # 1000 tokens in blocks of 16


def test_tables_are_for_all_entries_alike() -> None:
    """One set of axes, so that queue models compute all entries at once; linear ones have none."""
    spec = with_estimates(fleet(estimates="allowed"))
    tables = [entry.iteration_table for entry in spec.performance]
    assert len({(t.decode_tokens, t.prefill_tokens, t.kv_tokens) for t in tables if t}) == 1
    assert None not in tables
    assert {entry.iteration_table for entry in with_estimates(fleet()).performance} == {None}


def test_a_margin_slows_every_time() -> None:
    """One standard deviation: times exp(log_sd) longer, as many requests."""
    plain, careful = entries(fleet()), entries(fleet(estimate_margin_sd=1.0))
    for key, entry in plain.items():
        slow = careful[key]
        assert entry.iteration is not None
        assert slow.iteration is not None
        assert entry.log_sd is not None
        ratio = slow.iteration.base_ms / entry.iteration.base_ms
        assert ratio == pytest.approx(math.exp(entry.log_sd), rel=1e-3)
        assert slow.max_batch == entry.max_batch
        assert "slower by 1 standard" in (slow.source or "")


def test_measured_pairs_stay_as_they_are() -> None:
    """A pair with an entry gets no other; estimating twice changes nothing."""
    data = document()
    data["performance"] = [
        {
            "model": "small",
            "accelerator": "H100",
            "max_batch": 10,
            "iteration": {
                "base_ms": 8,
                "decode_ms_per_token": 0.1,
                "prefill_ms_per_token": 0.1,
            },
        }
    ]
    spec = with_estimates(from_data(data))
    mine = [e for e in spec.performance if (e.model, e.accelerator) == ("small", "H100")]
    assert [entry.log_sd for entry in mine] == [None]
    assert with_estimates(spec) == spec


def test_plan_and_explanation_are_labelled(plan: FleetPlan) -> None:
    """Every allocation tells its source and uncertainty; the plan passes the checker."""
    assert plan.found
    for allocation in plan.allocations:
        assert allocation.source is not None
        assert allocation.source.startswith("estimated")
        assert allocation.log_sd is not None
    options = plan.explain("chat").options
    assert all(option.log_sd for option in options if option.state != "impossible")
    assert not check_plan(fleet(), plan).violations


def test_a_pair_without_an_estimate_says_why() -> None:
    """70B on an L4: the memory; forbidden: that; nothing known: what to give."""
    table = build_candidates(fleet())
    reasons = [
        why_not(table, row)
        for row in range(len(table))
        if table.verdict[row] == Verdict.NO_PERFORMANCE
    ]
    (reason,) = reasons
    assert reason.startswith("no performance data for large, no estimate: weights 131.4 GiB and ")
    forbidden = with_options(fleet(), estimates="forbidden")
    assert why_not_estimated(forbidden, "large", "L4") == "estimates are forbidden"
    assert not build_candidates(forbidden).possible.size


def test_forbidden_estimates_leave_a_fleet_without_data_invalid() -> None:
    """The fault is the old one, with the way out."""
    with pytest.raises(SpecError, match=r"no entry for model 'small'.*or allow estimates"):
        fleet(estimates="forbidden")


@pytest.mark.parametrize(
    ("strip", "words"),
    [
        (("models", 0, "catalog"), "give the model a `catalog` entry or a `config`"),
        (("accelerators", None, "catalog"), "give accelerators a `catalog` entry or memory_gb"),
    ],
)
def test_what_an_estimate_lacks_is_said(strip: tuple[str, int | None, str], words: str) -> None:
    """Models without architecture, accelerators without facts."""
    data = copy.deepcopy(document())
    section, place, key = strip
    for n, entry in enumerate(data[section]):
        if place in (None, n):
            del entry[key]
            entry["cost_per_hour" if section == "accelerators" else "parameters"] = 1e9
    with pytest.raises(SpecError, match=words):
        from_data(data)


def test_an_accelerator_of_ones_own_is_enough() -> None:
    """Memory, bandwidth and throughput; without a link, replicas stay within an instance."""
    data = document()
    own = {"memory_gb": 320, "bandwidth_gb_s": 13400, "fp16_tflops": 3956, "cost_per_hour": 10}
    data["accelerators"] = [{"name": "own", "cards": 4, **own}]
    found = entries(from_data(data))
    assert set(found) == {("small", "own", 4), ("large", "own", 4)}
    data["accelerators"][0]["link_gb_s"] = 450
    assert ("large", "own", 8) in entries(from_data(data))


def test_quality_lists_choose_the_precisions() -> None:
    """Those that a service and its class both allow, and the model's own where it is free."""
    data = document()
    data["services"][0]["weight_precisions"] = ["fp8", "int4"]
    data["classes"][0]["weight_precisions"] = ["fp8", "bf16"]
    spec = with_estimates(from_data(data))
    of_small = {e.weight_precision for e in spec.performance if e.model == "small"}
    of_large = {e.weight_precision for e in spec.performance if e.model == "large"}
    assert of_small == {"fp8"}
    assert of_large == {"fp8", "bf16"}


def test_stated_bits_are_the_precision() -> None:
    """A model served in 8 bits needs half the memory: 70B fits 2 H100 with room, or an H200."""
    data = document()
    data["models"][1]["weight_bits"] = 8
    found = entries(from_data(data))
    assert found["large", "H100", 2].weight_precision == "fp8"
    assert found["large", "H100", 2].max_batch > 100


def test_a_configuration_beside_the_fleet(tmp_path: Path) -> None:
    """`config:` starts at the fleet file's folder; what is not there is named."""
    data = document()
    data["models"] = [{"name": "small", "config": "model/config.json"}]
    data["services"] = [data["services"][0]]
    data["services"][0]["load"] = {
        "arrival_rate_rps": 1,
        "input_tokens": 50,
        "output_tokens": 20,
    }
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(small()), encoding="utf-8")
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    before = entries(load(path))
    assert before
    # A configuration that changed is read again.
    wider = small(intermediate_size=2 * SMALL["intermediate_size"])
    (tmp_path / "model" / "config.json").write_text(json.dumps(wider), encoding="utf-8")
    os.utime(tmp_path / "model" / "config.json", (1, 1))
    assert entries(load(path)) != before
    data["models"][0]["config"] = "absent.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(SpecError, match=r"absent\.json"):
        entries(load(path))


def test_sizing_one_pair_prefers_what_was_measured() -> None:
    """A model measured on one accelerator is sized there; asked for another, it is estimated."""
    data = document()
    timing = {"base_ms": 8, "decode_ms_per_token": 0.1, "prefill_ms_per_token": 0.1}
    data["performance"] = [
        {"model": "small", "accelerator": "H100", "max_batch": 10, "iteration": timing}
    ]
    spec = from_data(data)
    (entry,) = pair_data(spec, service="chat")["performance"]
    assert (entry["accelerator"], entry["max_batch"]) == ("H100", 10)
    (entry,) = pair_data(spec, service="chat", accelerator="L4")["performance"]
    assert entry["source"].startswith("estimated")


def test_measured_rates_need_no_estimates() -> None:
    """A service in length buckets with measured rates gets no entries beside them."""
    data = document()
    data["services"] = [data["services"][0]]
    data["services"][0].pop("max_batch")
    data["services"][0]["length_buckets"] = {
        "input_tokens": [1000],
        "output_tokens": [400],
        "shares": [[1.0]],
        "measured": [{"accelerator": "H100", "rates_rps": [[5.0]]}],
    }
    assert not with_estimates(from_data(data)).performance


def test_why_a_pair_has_no_estimate_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many services ask: estimates look at the requests of all of them."""
    data = document(queue_model="mm1k-state-dependent")
    work = data["services"][1]
    data["services"] = [{**work, "name": f"work {number}"} for number in range(20)]
    data["accelerators"] = data["accelerators"][:1]  # too small for the large model
    asked: list[tuple[str, str]] = []

    def counted(spec: FleetSpec, model: str, accelerator: str) -> str:
        asked.append((model, accelerator))
        return why_not_estimated(spec, model, accelerator)

    monkeypatch.setattr("optimizer.fleet.impossible.why_not_estimated", counted)
    plan = optimize(from_data(data))
    assert len(plan.unserved) == 20
    assert all("no estimate" in one.explanation for one in plan.unserved)
    assert asked == [("large", "L4")]
