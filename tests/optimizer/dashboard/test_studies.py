"""Studies and calculators of the dashboard."""

from __future__ import annotations

import json
import shlex
import threading
from typing import Any

import pytest

from optimizer.errors import PlanError
from optimizer.fleet import ParetoMeasure, optimize, pareto_front, repair
from optimizer.spec import assigned, load, parse_assignment
from solvers import CancelFlag
from tests.optimizer.cli.in_process import called
from tests.optimizer.dashboard.conftest import SMALL, Solve, ended
from tests.optimizer.report.html.pages import Page

LLAMA = "meta-llama/Llama-3.1-8B"
SCARCE = ["capacities[0].cards=1", "capacities[1].cards=1"]


def untold(*_what: object, **_more: object) -> None:
    """Tell nobody."""


def test_a_front_is_that_of_pareto_with_the_line_of_the_objectives() -> None:
    """The same points; each with how much of the tightest objective its plan uses."""
    from optimizer.dashboard.studies import front_study

    spec = load(SMALL)
    found = front_study(spec, ParetoMeasure.E2E_MS, 4, untold)
    costs = [plan["total_cost_per_hour"] for plan in found["plans"]]
    front = pareto_front(spec, ParetoMeasure.E2E_MS, 4)
    assert costs == [point.plan.total_cost_per_hour for point in front.points]
    page = Page(found["html"])
    assert "SLO" in page.texts
    buttons = [attributes for tag, attributes in page.tags if tag == "button"]
    assert [b["data-pin-point"] for b in buttons] == [str(place) for place in range(len(costs))]


def test_a_repair_can_be_tried_and_is_enough() -> None:
    """The button holds the changes; with them everyone can be served."""
    from optimizer.dashboard.studies import repair_study

    spec = assigned(load(SMALL), [parse_assignment(text) for text in SCARCE])
    page = Page(repair_study(spec, untold)["html"])
    assert "cannot be kept together" in page.text
    changes = [a["data-changes"] for tag, a in page.tags if tag == "button"]
    mended = assigned(spec, [parse_assignment(text) for text in json.loads(changes[0] or "")])
    assert repair(mended).feasible


@pytest.mark.slow
def test_what_the_cost_hangs_on_is_told() -> None:
    """A row per figure that matters."""
    from optimizer.dashboard.studies import tornado_study

    spec = load(SMALL)
    page = Page(tornado_study(spec, optimize(spec), 0.5, untold)["html"])
    assert "all loads" in page.text
    assert "50%" in page.text


@pytest.mark.slow
def test_a_study_is_another_process_and_ends_when_it_is_cancelled() -> None:
    """It answers as here, tells of its progress, and is ended at once by the flag."""
    from optimizer.dashboard.studies import front_study
    from optimizer.dashboard.study_process import run_study

    told: list[str] = []
    spec = load(SMALL)
    answer = run_study(
        front_study,
        (spec, ParetoMeasure.E2E_MS, 2),
        CancelFlag(),
        told.append,
    )
    assert answer == front_study(spec, ParetoMeasure.E2E_MS, 2, untold)
    assert told[0] == "the cheapest plan"
    assert len(told) > len(answer["plans"])
    cancel = CancelFlag()
    cancel.set()
    with pytest.raises(PlanError, match="cancelled"):
        run_study(front_study, (spec, ParetoMeasure.E2E_MS, 2), cancel, untold)
    nowhere = assigned(spec, [parse_assignment("services[chat].current=null")])
    with pytest.raises(PlanError, match="no service says what serves it today"):
        run_study(front_study, (nowhere, ParetoMeasure.MOVES, 2), CancelFlag(), untold)


def test_cancelling_a_job_is_heeded(client: Any, fleet: str) -> None:
    """A study that would take long ends as soon as it is asked to."""
    job = client.post("/api/studies/lab", json={"fleet": fleet, "hours": 48.0}).json()["job"]
    assert client.get(f"/api/jobs/{job}").json()["state"] == "running"
    assert client.delete(f"/api/jobs/{job}").status_code == 202
    document = ended(client, job)
    assert document["state"] == "failed"
    assert document["message"] == "cancelled"


def test_the_laboratory_s_scenario_is_of_the_fleet() -> None:
    """Every service has its load; what is not wanted is left out."""
    from optimizer.dashboard.bodies import LabBody
    from optimizer.dashboard.scenario import scenario_of

    spec = load(SMALL)
    asked = LabBody(fleet="x", hours=1.0, spike=1.0, node_loss=0.0, baselines=["hpa"])
    scenario = scenario_of(asked, spec)
    assert [traffic.service for traffic in scenario.traffic] == ["chat", "tagging"]
    assert not scenario.faults
    assert not any(traffic.events for traffic in scenario.traffic)
    assert scenario.duration_s == 3600


def test_the_laboratory_tells_its_curves_while_it_runs() -> None:
    """Of each policy from its first step on, on one clock; the page at the end has them all."""
    from optimizer.dashboard.bodies import LabBody
    from optimizer.dashboard.scenario import scenario_of
    from optimizer.dashboard.studies import lab_study

    spec = load(SMALL)
    scenario = scenario_of(LabBody(fleet="x", hours=0.1, baselines=["static-peak"]), spec)
    told: dict[str, list[Any]] = {}
    found = lab_study(
        scenario, spec, ".", lambda policy, _, figures: told.setdefault(policy, []).append(figures)
    )
    assert list(told) == ["fleetopt", "static-peak"]
    for figures in told.values():
        lengths = [len(one["time_h"]) for one in figures]
        assert lengths == sorted(lengths)
        assert lengths[0] == 1
        assert figures[-1]["time_h"][-1] <= 0.1
        assert all(len(one["cards"]) == len(one["kept_percent"]) for one in figures)
    assert "static-peak" in Page(found["html"]).text


def test_kv_figures_are_those_of_the_command_line(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both commands that the page shows print what it was made of."""
    asked = {"model": LLAMA, "device": "nvme_gen4", "context_tokens": 8000.0,
             "prefill_s": 2.5, "kv_precision": "fp8", "minimum_ratio": 0.2}  # fmt: skip
    answer = client.post("/api/kv", json=asked).json()
    for command, figures in zip(
        answer["commands"], (answer["ratio"], answer["devices"]), strict=True
    ):
        assert called(tuple(shlex.split(command)[1:])) == 0
        assert json.loads(capsys.readouterr().out) == figures
    assert "nvme_gen4" in Page(answer["html"]).text


def test_capacity_figures_are_those_of_the_command_line(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that the page shows prints the same tokens and requests."""
    asked = {"model": LLAMA, "accelerator": "H100-SXM", "tensor_parallel": 2,
             "context_lengths": [1000, 5000]}  # fmt: skip
    answer = client.post("/api/capacity", json=asked).json()
    assert called(tuple(shlex.split(answer["command"])[1:])) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["kv_tokens"] == answer["kv_tokens"]
    assert [c["engine_logged"] for c in printed["concurrency"]] == answer["concurrency"]
    assert "KV pool" in Page(answer["html"]).text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/capacity", {"model": "/etc/passwd", "accelerator": "H100-SXM"}),
        ("/api/capacity", {"model": LLAMA, "accelerator": "H1000"}),
        ("/api/capacity", {"model": LLAMA, "accelerator": "H100-SXM", "tensor_parallel": 3}),
        ("/api/kv", {"model": LLAMA, "device": "/etc/passwd"}),
        ("/api/kv", {"model": "/etc/passwd", "device": "nvme_gen4"}),
    ],
)
def test_only_the_catalogue_is_read(client: Any, path: str, body: dict[str, Any]) -> None:
    """A name that is a path is no name; what is impossible is told in words."""
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["text"]


def test_solves_at_the_same_time_do_not_meet(solve: Solve) -> None:
    """Plans made side by side are those made one after the other."""
    rates = (30, 60, 90)
    alone = [solve(changes=[f"services[chat].load.arrival_rate_rps={r}"]) for r in rates]
    together: dict[int, float] = {}

    def one(rate: int) -> None:
        made = solve(changes=[f"services[chat].load.arrival_rate_rps={rate}"])
        together[rate] = made["cost_per_hour"]

    threads = [threading.Thread(target=one, args=(rate,), daemon=True) for rate in rates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [together[rate] for rate in rates] == [made["cost_per_hour"] for made in alone]
