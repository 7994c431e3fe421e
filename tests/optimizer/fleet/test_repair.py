"""Fleets made impossible on purpose: the cause is named, the cheapest repair works, less does not.

One replica of `fleets.CONSTANT` with batch 32 spends 110 ms on a request and carries some 290 of
them per second; `SLOW` takes ten times as long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from optimizer.fleet import FleetPlan, Repair, RepairStudy, optimize, repair
from optimizer.fleet.conflict import irreducible
from optimizer.fleet.everyone_served import can_serve, everyone_served
from optimizer.fleet.problem import build_problem
from optimizer.spec import Assignment, FleetSpec, assigned
from tests.optimizer.fleet.fleets import CONSTANT, fleet, service

SLOW = {name: 10 * value for name, value in CONSTANT.items()}


def performance(**by_accelerator: dict[str, Any]) -> list[dict[str, Any]]:
    """Return entries of model m: timing and instances by accelerator."""
    return [
        {"model": "m", "accelerator": name, "max_batch": 32, "prefill_decode": CONSTANT, **changes}
        for name, changes in by_accelerator.items()
    ]


def gold(*targets: tuple[str, float]) -> list[dict[str, Any]]:
    """Return classes of which gold has objectives."""
    slo = {"targets": [{"metric": metric, "bound": bound} for metric, bound in targets]}
    return [{"name": "gold", "priority": 1, "slos": [slo]}, {"name": "silver", "priority": 2}]


def cards(**by_type: int) -> list[dict[str, Any]]:
    return [{"type": type_, "cards": count} for type_, count in by_type.items()]


def loaded(name: str, rate: float, **changes: Any) -> dict[str, Any]:
    load = {"arrival_rate_rps": rate, "input_tokens": 100, "output_tokens": 11}
    return service(name, load=load, **changes)


THREE = [service("x"), service("y"), service("z")]
EIGHT = performance(A={"instances": 8}, B={"instances": 8})

# What makes the fleet impossible, what is in conflict (services, demands, rows), and the cheapest
# repair's changes.
CASES: dict[str, tuple[dict[str, Any], tuple[int, set[str], set[str]], set[str]]] = {
    "no cards at all": (
        {"services": [service("x")], "capacities": cards(A=0, B=0)},
        (1, set(), {"A", "B"}), {"capacities[B].cards+=1"},
    ),
    "two cards for three replicas": (
        {"services": THREE, "capacities": cards(A=1, B=1)},
        (3, set(), {"A", "B"}), {"capacities[B].cards+=1"},
    ),
    "the cheap type is not made for it": (
        {"services": THREE, "capacities": cards(A=2, B=50),
         "performance": performance(A={})},
        (3, set(), {"A"}), {"capacities[A].cards+=1"},
    ),
    "eight cards per replica, twelve there": (
        {"services": [service("x"), service("y")], "capacities": cards(A=0, B=12),
         "performance": EIGHT},
        (2, set(), {"A", "B"}), {"capacities[B].cards+=4"},
    ),
    "more replicas than are bought": (
        {"services": [service("x", replicas={"min": 5})], "capacities": cards(A=2, B=3)},
        (1, set(), {"A", "B"}), {"capacities[B].cards+=2"},
    ),
    "pinned to the scarce type": (
        {"services": [service("x", accelerator="A"), service("y", accelerator="A")],
         "capacities": cards(A=1, B=9)},
        (2, {"accelerator"}, {"A"}), {"capacities[A].cards+=1"},
    ),
    "one of many services is too large": (
        {"services": [service("x", replicas={"min": 7}), service("y"), service("z")],
         "capacities": cards(A=2, B=4)},
        (1, set(), {"A", "B"}), {"capacities[B].cards+=3"},
    ),
    "budget below the cheapest": (
        {"services": THREE, "limits": [{"measure": "cost_per_hour", "at_most": 12}]},
        (3, set(), {"cost_per_hour"}), {"limits[0].at_most+=3"},
    ),
    "budget of one tenant": (
        {"services": [service("x", tenant="t"), service("y", tenant="t"), service("z")],
         "tenants": None,
         "limits": [{"name": "quota", "measure": "cost_per_hour", "at_most": 8, "tenant": "t"}]},
        (2, set(), {"quota"}), {"limits[quota].at_most+=2"},
    ),
    "cards of one tenant": (
        {"services": [service("x", tenant="t"), service("y", tenant="t")],
         "limits": [{"measure": "cards", "at_most": 1, "tenant": "t"}]},
        (2, set(), {"cards@tenant:t"}), {"limits[0].at_most+=1"},
    ),
    "too few replicas allowed": (
        {"services": [loaded("x", 1000, replicas={"max": 2})]},
        (1, {"replicas.max"}, set()), {"services[x].replicas.max=4"},
    ),
    "too few replicas allowed, too few cards": (
        {"services": [loaded("x", 1000, replicas={"max": 2})], "capacities": cards(A=0, B=3)},
        (1, {"replicas.max"}, set()),
        {"services[x].replicas.max=4", "capacities[B].cards+=1"},
    ),
    "more load than cards": (
        {"services": [loaded("x", 1000)], "capacities": cards(A=1, B=1)},
        (1, set(), {"A", "B"}), {"capacities[B].cards+=3"},
    ),
    "time to first token below the prefill": (
        {"services": [service("x")], "classes": gold(("ttft_ms", 5))},
        (1, {"objectives"}, set()), {"classes[gold].slos[0].targets[0].bound*=2"},
    ),
    "time between tokens below the decode": (
        {"services": [service("x"), service("y")], "classes": gold(("itl_ms", 8))},
        (1, {"objectives"}, set()), {"classes[gold].slos[0].targets[0].bound*=1.25"},
    ),
    "one objective of two is too tight": (
        {"services": [service("x")], "classes": gold(("ttft_ms", 500), ("itl_ms", 4))},
        (1, {"objectives"}, set()),
        {"classes[gold].slos[0].targets[1].bound*=2.5"},
    ),
    "the fast type is gone, the slow one too slow": (
        {"services": [service("x")], "capacities": cards(A=0, B=9),
         "performance": performance(A={}, B={"prefill_decode": SLOW}),
         "classes": gold(("ttft_ms", 50))},
        (1, {"objectives"}, {"A"}), {"capacities[A].cards+=1"},
    ),
    "pinned to a type that is too slow": (
        {"services": [service("x", accelerator="B")],
         "performance": performance(A={}, B={"prefill_decode": SLOW}),
         "classes": gold(("ttft_ms", 50))},
        (1, {"objectives", "accelerator"}, set()), {"services[x].accelerator=null"},
    ),
    "two services each hopeless": (
        {"services": [loaded(*s, replicas={"max": 1}) for s in (("x", 600), ("y", 900))]},
        (1, {"replicas.max"}, set()),
        {"services[x].replicas.max=3", "services[y].replicas.max=4"},
    ),
    "power": (
        {"services": THREE,
         "accelerators": [
             {"name": "A", "cost_per_hour": 10.0, "power": {"idle_w": 500, "full_w": 500}},
             {"name": "B", "cost_per_hour": 5.0, "power": {"idle_w": 400, "full_w": 400}}],
         "limits": [{"measure": "power_kw", "at_most": 1}]},
        (3, set(), {"power_kw"}), {"limits[0].at_most+=0.2"},
    ),
}  # fmt: skip


def made(changes: dict[str, Any]) -> FleetSpec:
    return fleet(**{name: value for name, value in changes.items() if value is not None})


def texts(repaired: Repair) -> set[str]:
    return {str(change) for change in repaired.assignments}


def served(spec: FleetSpec, changes: Sequence[Assignment]) -> bool:
    return bool(can_serve(build_problem(everyone_served(assigned(spec, changes)))))


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_named_and_the_cheapest_repair_is_enough(name: str) -> None:
    """The conflict, the changes of the cheapest repair, and that they let everyone be served."""
    changes, (services, demands, rows), wanted = CASES[name]
    spec = made(changes)
    study = repair(spec)
    assert study.feasible is False
    assert study.conflict is not None
    assert study.conflict.irreducible
    assert len(study.conflict.services) == services
    assert {str(demand) for _, demand in study.conflict.demands} == demands
    assert set(study.conflict.rows) == rows
    assert _close(texts(study.repairs[0]), wanted)
    for one in study.repairs:
        assert served(spec, one.assignments), texts(one)
        assert not any(served(spec, less) for less in _less(one)), texts(one)


def _close(found: set[str], wanted: set[str]) -> bool:
    """Whether changes are the wanted ones, figures to 2 %."""
    pairs = [
        (a.rpartition("="), b.rpartition("="))
        for a, b in zip(sorted(found), sorted(wanted), strict=True)
    ]
    return all(
        a[0] == b[0] and (a[2] == b[2] or float(a[2]) == pytest.approx(float(b[2]), rel=0.02))
        for a, b in pairs
    )


def _less(repaired: Repair) -> Iterator[tuple[Assignment, ...]]:
    """Yield repairs of which one part is 5 % smaller, or a card or replica fewer."""
    changes = repaired.assignments
    if changes[0].path.startswith("classes"):
        # The bounds of one class are loosened together.
        yield tuple(_smaller(change) for change in changes)
        return
    for position, change in enumerate(changes):
        if change.value is None:
            yield (*changes[:position], *changes[position + 1 :])
            continue
        yield (*changes[:position], _smaller(change), *changes[position + 1 :])


def _smaller(change: Assignment) -> Assignment:
    value = change.value
    if isinstance(value, int):
        return dataclasses.replace(change, value=value - 1)
    if change.operation == "*=":
        return dataclasses.replace(change, value=1 + 0.95 * (value - 1))
    return dataclasses.replace(change, value=0.95 * value)


def test_parts_that_matter_are_found_whatever_the_order() -> None:
    """Of a hundred numbers exactly the three whose sum passes a limit are kept."""
    asked = []

    def is_impossible(kept: Sequence[int]) -> bool:
        asked.append(kept)
        return sum(n for n in kept if n in (13, 57, 91)) > 13 + 57 + 90

    kept, sure = irreducible(range(100), is_impossible)
    assert (kept, sure) == ([13, 57, 91], True)
    assert len(asked) < 60


def test_doubt_keeps_a_part_and_is_said() -> None:
    """A question that time did not answer leaves its item in, unproven."""
    kept, sure = irreducible([1, 2], lambda kept: None if 2 in kept else False)
    assert (kept, sure) == ([1, 2], False)


def test_a_fleet_that_serves_everyone_needs_no_repair() -> None:
    """Nothing is in conflict, nothing is proposed."""
    assert repair(fleet()) == RepairStudy(True)


def test_what_is_found_is_told_on_the_way() -> None:
    """Each step with its share; what is told grows into the answer."""
    spec = made({"services": [loaded("x", 1000)], "capacities": cards(A=1, B=1)})
    told: list[tuple[str, float, RepairStudy]] = []
    study = repair(spec, told=lambda *what: told.append(what))
    steps = ["what contradicts what", "the cheapest repair", "what x could give up"]
    assert [step for step, _, _ in told] == steps
    assert [share for _, share, _ in told] == sorted(share for _, share, _ in told)
    assert [s.conflict for _, _, s in told] == [None, study.conflict, study.conflict]
    assert told[-1][2].repairs == study.repairs[:1]


def test_what_no_figure_repairs_is_said() -> None:
    """Weights that fit nowhere stay so with any load, bound or card."""
    spec = fleet(
        accelerators=[{"name": "A", "cost_per_hour": 1.0, "memory_gb": 80}],
        capacities=[],
        models=[{"name": "m", "weights_gb": 200}],
        performance=performance(A={}),
    )
    study = repair(spec)
    assert study.repairs == ()
    ((name, reason),) = study.beyond
    assert name == "x"
    assert "weights of 200 GB do not fit" in reason


def test_a_service_may_give_up_load_instead() -> None:
    """1000 requests/s on two cards: what two replicas carry is some 58 % of it."""
    spec = made({"services": [loaded("x", 1000)], "capacities": cards(A=1, B=1)})
    plan: FleetPlan = optimize(spec, allocation="split")
    assert plan.unserved
    _, less = repair(spec).repairs
    (change,) = less.assignments
    carried = assigned(spec, [change]).services[0].load.arrival_rate_rps
    assert 200 < carried < 1000
