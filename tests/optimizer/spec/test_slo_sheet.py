"""SLO sheets: the shipped one, every fault at once, and what a fleet is held to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import SpecError
from optimizer.spec import (
    FleetSpec,
    SloSheetSpec,
    from_data,
    load_slo,
    slo_from_data,
    with_slo_sheet,
)
from tests.conftest import REPOSITORY

SHEET = REPOSITORY / "examples" / "slo.yaml"
TTFT = {"metric": "ttft_ms", "statistic": "p99", "target": 200, "alert": 300}


def sheet(*objectives: dict[str, Any], **more: Any) -> SloSheetSpec:
    """Return a sheet of these objectives."""
    return slo_from_data({"objectives": list(objectives), **more})


def fleet() -> FleetSpec:
    """Two classes, one with objectives of its own for a model, and three services."""
    entry = {
        "accelerator": "A",
        "max_batch": 8,
        "iteration": {"base_ms": 5, "decode_ms_per_token": 0.1, "prefill_ms_per_token": 0.1},
    }
    own = [
        {"metric": "ttft_ms", "statistic": "p99", "bound": 900},
        {"metric": "itl_ms", "bound": 60},
    ]
    return from_data(
        {
            "accelerators": [{"name": "A", "cost_per_hour": 1}],
            "models": [{"name": "m"}, {"name": "n"}],
            "performance": [{"model": "m", **entry}, {"model": "n", **entry}],
            "classes": [
                {
                    "name": "gold",
                    "priority": 1,
                    "slos": [{"model": "m", "targets": own}, {"targets": []}],
                },
                {"name": "free", "priority": 2},
            ],
            "services": [
                service("a", "m", "gold", 50),
                service("b", "n", "gold", 400),
                service("c", "m", "free", 100),
            ],
        }
    )


def service(name: str, model: str, group: str, output_tokens: int) -> dict[str, Any]:
    """A service with answers of this length."""
    load = {"arrival_rate_rps": 1, "input_tokens": 100, "output_tokens": output_tokens}
    return {"name": name, "model": model, "class": group, "load": load}


def bounds(held: FleetSpec, group: str, model: str | None) -> dict[tuple[str, str], float]:
    """Bounds of a class for a model, by metric and statistic."""
    slos = next(one for one in held.classes if one.name == group).slos
    targets = next(slo.targets for slo in slos if slo.model == model)
    return {(t.metric.value, t.statistic): t.bound for t in targets}


def test_the_shipped_sheet_has_the_reference_targets() -> None:
    """Every target and alert, no more and no fewer."""
    found = [
        (one.metric.value, one.statistic, one.target, one.alert)
        for one in load_slo(SHEET).objectives
    ]
    assert found == [
        ("ttft_ms", "p50", 100, 150),
        ("ttft_ms", "p99", 200, 300),
        ("itl_ms", "p50", 20, 30),
        ("itl_ms", "p99", 50, 80),
        ("e2e_ms", "p50", 2000, 3000),
        ("service_requests_per_s", "mean", 100, 80),
        ("service_tokens_per_s", "mean", 50_000, 40_000),
        ("gpu_utilization_percent", "mean", 70, 50),
        ("success_percent", "mean", 99.9, 99.5),
        ("timeout_percent", "mean", 0.1, 0.5),
        ("out_of_memory_percent", "mean", 0.01, None),
    ]


def test_a_sheet_replaces_equal_objectives_and_joins_others() -> None:
    """p99 TTFT is the sheet's, mean ITL stays; classes without objectives get them too."""
    held = with_slo_sheet(fleet(), sheet(TTFT))
    assert bounds(held, "gold", "m") == {("itl_ms", "mean"): 60, ("ttft_ms", "p99"): 200}
    assert bounds(held, "gold", None) == {("ttft_ms", "p99"): 200}
    assert bounds(held, "free", None) == {("ttft_ms", "p99"): 200}


def test_an_objective_may_be_for_one_class() -> None:
    """The class's own goes before the one for all."""
    held = with_slo_sheet(
        fleet(), sheet(TTFT, {**TTFT, "target": 500, "alert": 600, "class": "free"})
    )
    assert bounds(held, "free", None) == {("ttft_ms", "p99"): 500}
    assert bounds(held, "gold", None) == {("ttft_ms", "p99"): 200}
    alone = with_slo_sheet(fleet(), sheet({**TTFT, "class": "free"}))
    assert alone.classes[0] == fleet().classes[0]


def test_end_to_end_is_in_proportion_to_the_answer() -> None:
    """2 s at 100 tokens: 1 s for 50, 8 s for 400."""
    objective = {"metric": "e2e_ms", "statistic": "p50", "target": 2000, "output_tokens": 100}
    held = with_slo_sheet(fleet(), sheet(objective))
    assert bounds(held, "gold", "m")["e2e_ms", "p50"] == 1000
    assert bounds(held, "gold", "n")["e2e_ms", "p50"] == 8000
    assert bounds(held, "free", "m")["e2e_ms", "p50"] == 2000


def test_what_a_plan_does_not_decide_is_noted() -> None:
    """The notes of the fleet travel to the plan."""
    held = with_slo_sheet(fleet(), load_slo(SHEET))
    decided, shown = held.notes[-2:]
    assert decided == "SLO sheet 'reference': 7 of 11 objectives decide the plan"
    for words in ("gpu_utilization_percent at least 70", "timeout_percent at most 0.1"):
        assert words in shown
    only = with_slo_sheet(fleet(), sheet({"metric": "success_percent", "target": 99}))
    assert only.classes == fleet().classes


def test_an_unknown_class_is_named() -> None:
    """With the nearest that there is."""
    with pytest.raises(SpecError, match=r"objectives\[0\]\.class = 'glod'.*did you mean 'gold'"):
        with_slo_sheet(fleet(), sheet({**TTFT, "class": "glod"}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"objectives": []}, r"objectives"),
        ({}, r"objectives: is missing"),
        ({"objectives": [{"metric": "ttfb_ms", "target": 1}]}, r"must be one of .*ttft_ms"),
        ({"objectives": [{"metric": "ttft_ms"}]}, r"objectives\[0\]\.target: is missing"),
        ({"objectives": [{**TTFT, "target": -5}]}, r"target = -5: must be greater than 0"),
        ({"objectives": [{**TTFT, "target": float("nan")}]}, r"must be a finite number"),
        ({"objectives": [{**TTFT, "alert": 100}]}, r"alert = 100: must be at least the target 200"),
        (
            {"objectives": [{"metric": "success_percent", "target": 99, "alert": 99.5}]},
            r"alert = 99.5: must be at most the target 99",
        ),
        (
            {"objectives": [{"metric": "success_percent", "target": 999}]},
            r"target = 999: must be at most 100",
        ),
        (
            {"objectives": [{"metric": "success_percent", "statistic": "p50", "target": 9}]},
            r"statistic = 'p50': is for latencies only",
        ),
        ({"objectives": [{**TTFT, "output_tokens": 5}]}, r"output_tokens = 5: is for e2e_ms only"),
        ({"objectives": [TTFT, TTFT]}, r"another objective bounds the same: objectives\[0\]"),
        ({"objectives": [{**TTFT, "statistics": "p9"}]}, r"unknown key 'statistics'"),
        ({"objectives": [{**TTFT, "statistic": "p100"}]}, r"write it as p95"),
        ({"objectives": [TTFT], "window": "5 minutes"}, r"write it as 5m"),
        ({"objectives": [TTFT], "labels": {"a-b": "c"}}, r"label"),
        ([TTFT], r"begin with the key objectives:"),
        ("text", r"must be a mapping"),
    ],
)
def test_faults_are_named(data: object, words: str) -> None:
    """Path, value, what is wanted."""
    with pytest.raises(SpecError, match=words):
        slo_from_data(data)


def test_every_fault_at_once() -> None:
    """Two wrong objectives, two faults."""
    with pytest.raises(SpecError) as caught:
        sheet({**TTFT, "alert": 1}, {"metric": "itl_ms", "target": 0})
    assert len(caught.value.faults) == 2


def test_empty_and_absent_files(tmp_path: Path) -> None:
    """Both say so by name."""
    path = tmp_path / "slo.yaml"
    path.write_text("", encoding="utf-8")
    with pytest.raises(SpecError, match=r"slo\.yaml.*is empty: must be an SLO sheet"):
        load_slo(path)
    with pytest.raises(SpecError, match=r"absent\.yaml"):
        load_slo(tmp_path / "absent.yaml")
