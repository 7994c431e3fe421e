"""Imported inferno systems give the Go core's candidates, and better plans than its greedy.

The references were made by the Go programs of llm-inferno and the Workload Variant Autoscaler on
the same documents; costs there are cents per hour.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer import build_candidates, load_inferno, optimize
from optimizer.fleet import CandidateTable, Verdict
from optimizer.spec import FleetSpec

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "inferno"
INSTANCES = (
    "ce1-regret-trap",
    "ce3-no-mix",
    "ce4-scale-to-zero-limited",
    "light-10x9",
    "light-sample-small-limited",
    "wva-100x9",
    "wva-10x9",
    "wva-sample-small-limited",
    "wva-sample-small-unlimited",
)

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="reference data (../shared/data/inferno) is not beside this checkout"
)


def model_of(instance: str) -> str:
    """Name the queue model of an instance's generation."""
    return "inferno-3p" if instance.startswith("light") else "inferno-4p"


def system_of(instance: str) -> dict[str, Any]:
    """Read an instance's document."""
    document: dict[str, Any] = json.loads((DATA / "instances" / f"{instance}.json").read_text())
    return document


def results_of(instance: str) -> dict[str, Any]:
    """Read what the Go core said of an instance."""
    for name in (instance, f"{instance}-wva"):
        path = DATA / "results" / f"{name}.json"
        if path.exists():
            document: dict[str, Any] = json.loads(path.read_text())
            return document
    raise FileNotFoundError(instance)


def with_capacity(
    document: dict[str, Any], capacity: dict[str, int] | None, **options: Any
) -> dict[str, Any]:
    """Return the document with other capacities and optimizer options."""
    system = dict(document["system"])
    if capacity is not None:
        system["capacityData"] = {
            "count": [{"type": name, "count": count} for name, count in capacity.items()]
        }
    own = {**system["optimizerData"]["optimizer"], **options}
    system["optimizerData"] = {"optimizer": own}
    return {"system": system}


def imported(tmp_path: Path, document: dict[str, Any]) -> FleetSpec:
    """Import a document through a file."""
    path = tmp_path / "system.json"
    path.write_text(json.dumps(document))
    return load_inferno(path)


def by_server(table: CandidateTable) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield each service with its possible candidates, accelerator -> row."""
    for index, service in enumerate(table.spec.services):
        rows = [
            int(row)
            for row in table.rows_of(index)
            if table.verdict[row] == Verdict.POSSIBLE and table.accelerator[row] >= 0
        ]
        yield service.name, {table.inventory.names[int(table.accelerator[r])]: r for r in rows}


@pytest.mark.parametrize("instance", INSTANCES)
def test_every_candidate_of_the_go_core_is_reproduced(instance: str, tmp_path: Path) -> None:
    """Same feasible pairs; replicas, units and cost equal (99.5 %); ITL and TTFT within 0.5 %."""
    fleet = imported(tmp_path, system_of(instance))
    table = build_candidates(fleet, model_of(instance))
    reference = results_of(instance)["candidates"]
    compared, off = 0, []
    for server, rows in by_server(table):
        wanted = {c["acc"]: c for c in reference[server] if c["replicas"] > 0}
        assert set(rows) == set(wanted), f"{server}: other accelerators are feasible"
        for name, row in rows.items():
            theirs = wanted[name]
            compared += 1
            ours = (table.replicas[row], table.cards[row], table.cost_per_hour[row] * 100)
            if not np.allclose(
                ours, (theirs["replicas"], theirs["units"], theirs["cost"]), rtol=1e-9
            ):
                off.append((server, name, int(table.replicas[row]), theirs["replicas"]))
                continue
            assert table.metrics.itl_ms[row] == pytest.approx(theirs["itl"], rel=5e-3)
            assert table.metrics.ttft_ms[row] == pytest.approx(theirs["ttft"], rel=5e-3)
            assert table.max_batch[row] == theirs["batch"]
    assert len(off) <= 0.005 * compared, f"replicas differ: {off}"
    assert all(abs(ours - theirs) <= 1 for _, _, ours, theirs in off), off


@pytest.mark.parametrize(
    "instance", ["light-10x9", "wva-100x9", "wva-10x9", "wva-sample-small-unlimited"]
)
def test_unlimited_mode_makes_the_go_cores_choice(instance: str, tmp_path: Path) -> None:
    """Under inferno's own objective every server gets what the Go core gives it."""
    document = with_capacity(system_of(instance), None, unlimited=True)
    fleet = imported(tmp_path, document)
    assert fleet.optimizer.objective == "inferno-value"
    plan = optimize(fleet, queue_model=model_of(instance))
    results = results_of(instance)
    theirs = next((r for r in results.get("results", ()) if r["name"] == "unlimited"), results)[
        "allocations"
    ]
    assert {a.service for a in plan.allocations} == set(theirs)
    for allocation in plan.allocations:
        wanted = theirs[allocation.service]
        candidates = [c for c in results["candidates"][allocation.service] if c["replicas"]]
        least = min(c["value"] for c in candidates)
        tied = {c["acc"] for c in candidates if c["value"] <= least * (1 + 1e-6)}
        assert wanted["accelerator"] in tied
        assert allocation.accelerator in tied, "among equals the Go core's choice is random"
        if len(tied) == 1:
            assert allocation.accelerator == wanted["accelerator"]
            assert allocation.replicas == wanted["numReplicas"]
    assert plan.termination == "optimal"


def limited_cases() -> list[tuple[str, str, str]]:
    """Instances of `greedy_vs_exact.json` that are here: (its key, instance, capacity setting)."""
    if not DATA.is_dir():
        return []
    keys = json.loads((DATA / "greedy_vs_exact.json").read_text())
    cases = []
    for key in keys:
        for suffix in ("-limited", "-scarce", ""):
            instance = key.removesuffix(suffix) if suffix else f"{key}-limited"
            if (key.endswith(suffix) and instance in INSTANCES) and key != "note":
                cases.append((key, instance, suffix.removeprefix("-")))
                break
    return cases


@pytest.mark.parametrize("solver", ["milp", "cp-sat"])
@pytest.mark.parametrize(("key", "instance", "setting"), limited_cases())
def test_exact_solvers_reach_the_known_optimum(
    key: str, instance: str, setting: str, solver: str, tmp_path: Path
) -> None:
    """Served counts by priority and least cost as listed, every stage proven, gap 0."""
    exact = json.loads((DATA / "greedy_vs_exact.json").read_text())[key]["exact"]
    capacity = next(
        (r["capacity"] for r in results_of(instance).get("results", ()) if r["name"] == setting),
        None,
    )
    document = with_capacity(
        system_of(instance), capacity, unlimited=False, saturationPolicy="None"
    )
    plan = optimize(imported(tmp_path, document), queue_model=model_of(instance), solver=solver)
    served = {str(p): sum(a.priority == p for a in plan.allocations) for p in (1, 2, 3)}
    assert served == {"1": 0, "2": 0, "3": 0, **exact["served"]}
    assert plan.total_cost_per_hour == pytest.approx(exact["cost"] / 100, rel=1e-6)
    assert plan.termination == "optimal"
    assert plan.relative_gap == pytest.approx(0, abs=1e-6)


def test_the_list_of_known_optima_is_not_empty() -> None:
    """The cases above exist: small samples, 10 and 100 servers, limited and scarce."""
    assert len(limited_cases()) >= 8


def greedy_cases() -> list[tuple[str, str]]:
    """(instance, name of the run) of every limited run of the Go greedy."""
    if not DATA.is_dir():
        return []
    return [
        (instance, run["name"])
        for instance in INSTANCES
        for run in results_of(instance).get("results", ())
        if run["name"] != "unlimited"
    ]


@pytest.mark.parametrize(("instance", "run"), greedy_cases())
def test_greedy_is_never_worse_than_the_go_greedys_worst_run(
    instance: str, run: str, tmp_path: Path
) -> None:
    """Unserved, then cost of the whole allocation, against the worst of seven runs."""
    theirs = next(r for r in results_of(instance)["results"] if r["name"] == run)
    document = with_capacity(system_of(instance), theirs["capacity"], **theirs["optimizer"])
    plan = optimize(imported(tmp_path, document), queue_model=model_of(instance), solver="greedy")
    worst = max(zip(theirs["unallocated"], theirs["costs"], strict=True))
    assert len(plan.unserved) <= worst[0]
    if len(plan.unserved) == worst[0]:
        assert (plan.total_cost_per_hour or 0) * 100 <= worst[1] * (1 + 1e-9)
    # The reference lists the allocations of its first run: ours serves at least as many in full.
    assert in_full(
        instance, {a.service: (a.accelerator, a.replicas) for a in plan.allocations}
    ) >= (
        in_full(
            instance,
            {n: (a["accelerator"], a["numReplicas"]) for n, a in theirs["allocations"].items()},
        )
    )


def in_full(instance: str, given: dict[str, tuple[str | None, int]]) -> tuple[int, ...]:
    """Count the services of each priority that got every replica they need."""
    system = system_of(instance)["system"]
    priority = {c["name"]: c["priority"] for c in system["serviceClassData"]["serviceClasses"]}
    needed = {
        (server, c["acc"]): c["replicas"]
        for server, candidates in results_of(instance)["candidates"].items()
        for c in candidates
    }
    served = [
        priority[s["class"]]
        for s in system["serverData"]["servers"]
        if s["name"] in given
        and given[s["name"]][1] >= needed[s["name"], given[s["name"]][0] or ""] - 1e-9
    ]
    return tuple(served.count(level) for level in (1, 2, 3))


def test_best_effort_predicts_what_it_really_gives(tmp_path: Path) -> None:
    """A service with fewer replicas than it needs is not promised the full size's latency."""
    results = results_of("wva-100x9")
    run = next(r for r in results["results"] if r["name"] == "scarce-RoundRobin-perGroup")
    document = with_capacity(system_of("wva-100x9"), run["capacity"], **run["optimizer"])
    plan = optimize(imported(tmp_path, document), queue_model="inferno-4p", solver="greedy")
    partial = [a for a in plan.allocations if a.partial]
    assert partial
    full = {(server, c["acc"]): c for server, rows in results["candidates"].items() for c in rows}
    for allocation in partial:
        reference = full[allocation.service, allocation.accelerator or ""]
        if not allocation.stable:
            assert allocation.ttft_ms is None
            assert allocation.itl_ms is None
            assert not allocation.slo_met
        else:
            assert allocation.itl_ms is not None
            assert allocation.itl_ms >= reference["itl"] * (1 - 5e-3)


def test_regret_trap_costs_seventy_cents(tmp_path: Path) -> None:
    """The instance on which the Go greedy pays 90 cents."""
    plan = optimize(imported(tmp_path, system_of("ce1-regret-trap")), queue_model="inferno-4p")
    assert plan.total_cost_per_hour == pytest.approx(0.70)
    assert plan.termination == "optimal"


def test_scale_to_zero_server_is_kept(tmp_path: Path) -> None:
    """The Go core drops a server without load in limited mode; here it has zero replicas."""
    fleet = imported(tmp_path, system_of("ce4-scale-to-zero-limited"))
    plan = optimize(fleet, queue_model="inferno-4p")
    assert plan.allocation("X").replicas == 0
    assert plan.allocation("Y").replicas == 1
    assert not plan.unserved
