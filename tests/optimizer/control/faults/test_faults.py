"""Every fault, while replicas are due to rise, to fall, or to stay: nothing unsafe happens."""

from __future__ import annotations

import gc
import random

import pytest

pytest.importorskip("httpx", reason="needs httpx (the extra 'control')")

from optimizer.control.planner import Planner
from optimizer.control.spec import ConditionType
from optimizer.spec import FleetSpec, loads
from tests.optimizer.control.faults.loop import (
    CYCLE_S,
    DOWN_WINDOW_S,
    SPEC,
    Loop,
    begun,
)
from tests.optimizer.control.faults.table import TABLE, Row
from tests.optimizer.control.fleets import TEXT

RATES = {"chat": 200.0, "tags": 60.0}
# What the largest replica carries, rounded up.
LARGEST_RPS = 32.0
# Met by the collector in the same place as another row.
ALIKE = frozenset(
    f"Prometheus: {name}"
    for name in (
        *("500", "429", "slow 30 s", "TLS wrong", "Inf", "negative", "label missing"),
        *("clock skew +5 min", "duplicate series", "colon to underscore renaming"),
    )
)
WELL = (
    ConditionType.METRICS_AVAILABLE,
    ConditionType.OPTIMIZATION_READY,
    ConditionType.ACTUATED,
    ConditionType.READY,
)
FACTORS = {"scale-up due": 2.0, "scale-down due": 0.4, "steady": 1.0}


@pytest.fixture(scope="module")
def quick_fleet() -> FleetSpec:
    return loads(TEXT.replace("start_up_s: 60", "start_up_s: 20").replace("cards: 12", "cards: 24"))


@pytest.fixture(scope="module")
def sized(quick_fleet: FleetSpec) -> Planner:
    return Planner(quick_fleet, SPEC)


def held_to_the_invariants(fleet: FleetSpec, sized: Planner, row: Row, factor: float) -> None:
    """Begin, let the load change as the fault begins, end it, and see the loop recover."""
    loop = begun(Loop(fleet, sized, RATES, row.through))
    before = loop.wanted
    for name in loop.rates:
        loop.rates[name] *= factor
    row.begin(loop)
    loop.run(row.lasts_s)
    if row.blind:
        assert all(loop.wanted[name] >= before[name] for name in before)
        assert not (
            loop.condition(ConditionType.METRICS_AVAILABLE)
            and loop.condition(ConditionType.ACTUATED)
        )
    row.end(loop)
    looks: list[set[ConditionType]] = []
    loop.each_tick.append(lambda: looks.append({kind for kind in WELL if loop.condition(kind)}))
    loop.run(2 * CYCLE_S + row.recovers_s)
    loop.each_tick.clear()
    for name, rate in loop.rates.items():
        assert loop.capacity(name) >= rate, f"{name} has not recovered"
    # Replicas that join take over queues: for a moment afterwards the load may be unknown again.
    assert set(WELL) in looks, f"never well: {looks}"
    loop.run(DOWN_WINDOW_S + 8 * CYCLE_S, slower=2)
    for name, rate in loop.rates.items():
        assert rate <= loop.capacity(name) <= 1.3 * rate + LARGEST_RPS, f"{name} has not settled"
    for kind in WELL:
        assert loop.condition(kind), f"{kind} is still false"
    loop.nothing_lost()


@pytest.mark.parametrize(
    "fault", [pytest.param(f, marks=pytest.mark.slow if f in ALIKE else ()) for f in TABLE]
)
def test_every_fault_while_a_fall_is_due(
    quick_fleet: FleetSpec, sized: Planner, fault: str
) -> None:
    """Nothing lost, no unsafe fall, quotas held, and recovered within two cycles of its end."""
    held_to_the_invariants(quick_fleet, sized, TABLE[fault], FACTORS["scale-down due"])


@pytest.mark.slow
@pytest.mark.parametrize("due", ["scale-up due", "steady"])
@pytest.mark.parametrize("fault", TABLE)
def test_every_fault_while_a_rise_or_nothing_is_due(
    quick_fleet: FleetSpec, sized: Planner, fault: str, due: str
) -> None:
    """As while a fall is due."""
    held_to_the_invariants(quick_fleet, sized, TABLE[fault], FACTORS[due])


def test_a_replica_of_forty_cards(quick_fleet: FleetSpec) -> None:
    """Where one replica is all that fits, a move is not begun, and the quota holds."""
    text = TEXT.replace("instances: 1", "instances: 40").replace("cards: 12", "cards: 60")
    fleet = loads(text.replace("start_up_s: 60", "start_up_s: 20"))
    loop = begun(Loop(fleet, Planner(fleet, SPEC), {"chat": 8.0, "tags": 0.0}))
    assert loop.wanted == {"chat": 1, "tags": 0}
    for rate in (60.0, 1.0, 8.0):
        loop.rates["chat"] = rate
        loop.run(DOWN_WINDOW_S + 4 * CYCLE_S)
        assert loop.wanted["chat"] >= 1
    loop.nothing_lost()


@pytest.mark.slow
def test_three_days_of_random_faults(quick_fleet: FleetSpec, sized: Planner) -> None:
    """Every invariant for 72 simulated hours; what is remembered does not grow; nothing sticks."""
    rng = random.Random(1)
    loop = begun(Loop(quick_fleet, sized, RATES, "api"))
    rows = [row for row in TABLE.values() if row.through != "prometheus"]
    sizes = []
    while loop.fleet.now_s < 72 * 3600.0:
        row = rng.choice(rows)
        loop.rates = {name: rate * rng.choice((0.4, 1.0, 1.6)) for name, rate in RATES.items()}
        row.begin(loop)
        loop.run(row.lasts_s)
        row.end(loop)
        loop.run(rng.uniform(300.0, 1500.0), slower=4)
        gc.collect()
        sizes.append((loop.fleet.now_s, len(gc.get_objects()), loop.journal.size))
    loop.rates = dict(RATES)
    loop.run(3600.0)
    for name, rate in RATES.items():
        assert rate <= loop.capacity(name) <= 1.3 * rate + LARGEST_RPS
    assert all(loop.condition(kind) for kind in ConditionType)
    loop.nothing_lost()
    early = [s for s in sizes if 12 * 3600 < s[0] < 24 * 3600]
    late = [s for s in sizes if s[0] > 60 * 3600]
    assert max(s[1] for s in late) < 1.1 * max(s[1] for s in early), "objects grow"
    assert max(s[2] for s in late) < 1.5 * max(s[2] for s in early), "the journal grows"
