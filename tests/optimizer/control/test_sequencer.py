"""Release, confirm, then grant: quotas hold at every instant, and every target is reached."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.control.quotas import QuotaRow
from optimizer.control.sequencer import Ledger, Sequencer, held
from optimizer.control.spec import (
    Order,
    OrderKind,
    ReplicaCount,
    ReplicaCounts,
    Variant,
)
from tests.optimizer.control.fleets import variant

VARIANTS = tuple(variant(s, a) for s in ("s0", "s1", "s2") for a in ("H100", "A100"))
CARDS = {v: 1.0 + 2.0 * (v.service == "s2") for v in VARIANTS}
QUOTAS = (
    QuotaRow("H100", 9.0, {v: CARDS[v] for v in VARIANTS if v.accelerator == "H100"}),
    QuotaRow("A100", 7.0, {v: CARDS[v] for v in VARIANTS if v.accelerator == "A100"}),
    QuotaRow("money", 30.0, {v: 2.0 * CARDS[v] for v in VARIANTS}),
)


@dataclass
class Deployment:
    """Does what it is told when it likes: pods come, and go, at their own pace."""

    wanted: int = 0
    pods: int = 0
    stopping: int = 0

    def move(self, choice: int) -> None:
        if choice == 0 and self.pods < self.wanted:
            self.pods += 1
        elif choice == 1 and self.pods > self.wanted:
            self.pods -= 1
            self.stopping += 1
        elif choice == 2 and self.stopping:
            self.stopping -= 1

    def settle(self) -> None:
        self.pods, self.stopping = self.wanted, 0


def world_holds(world: dict[Variant, Deployment], row: QuotaRow) -> float:
    """What pods that exist hold, with those that may be created at any moment."""
    return sum(
        row.per_replica.get(v, 0.0) * (max(d.wanted, d.pods) + d.stopping) for v, d in world.items()
    )


def fitting(wishes: list[int]) -> dict[Variant, int]:
    """A plan within every quota, as the optimiser makes it."""
    plan: dict[Variant, int] = {}
    for v, wish in zip(VARIANTS, wishes, strict=True):
        while wish:
            plan[v] = wish
            if all(
                sum(row.per_replica.get(u, 0.0) * n for u, n in plan.items()) <= row.capacity
                for row in QUOTAS
            ):
                break
            wish -= 1
            plan[v] = wish
    return {v: plan.get(v, 0) for v in VARIANTS}


def counts_of(world: dict[Variant, Deployment], at_s: float) -> ReplicaCounts:
    return ReplicaCounts(
        at_s=at_s,
        counts=tuple(
            ReplicaCount(variant=v, wanted=d.wanted, ready=d.pods, stopping=d.stopping)
            for v, d in world.items()
        ),
    )


plans = st.lists(st.lists(st.integers(0, 9), min_size=6, max_size=6), min_size=1, max_size=5)
moves = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=0, max_size=120)
fates = st.lists(st.sampled_from(["applied", "lost", "unanswered", "stale"]), max_size=60)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(plans, moves, fates)
def test_quotas_hold_at_every_instant(
    wishes: list[list[int]], pace: list[tuple[int, int]], luck: list[str]
) -> None:
    """Under random plans, paces of pods, lost orders, lost answers and stale looks.

    Once the world calms down, every target of the last plan is reached.
    """
    world = {v: Deployment() for v in VARIANTS}
    sequencer, ledger = Sequencer(lambda name: int(name[1:])), Ledger(settle_s=60.0)
    pace, luck = list(pace), list(luck)
    now_s, old = 0.0, counts_of(world, 0.0)

    def look_and_order(targets: dict[Variant, int]) -> None:
        nonlocal old
        fresh = counts_of(world, now_s)
        fate = luck.pop() if luck else "applied"
        # A stale look shows an older state of what was asked for, pods as they are.
        seen = fresh
        if fate == "stale":
            asked = {c.variant: c.wanted for c in old.counts}
            seen = ReplicaCounts(
                at_s=old.at_s,
                counts=tuple(
                    c.model_copy(update={"wanted": min(c.wanted, asked[c.variant])})
                    for c in fresh.counts
                ),
            )
        old = fresh
        cautious = ledger.cautious(seen)
        for order in sequencer.orders(targets, cautious, QUOTAS, 1, seen.wanted()).orders:
            ledger.note(now_s, order)
            if fate != "lost":
                world[order.variant].wanted = order.replicas
            for row in QUOTAS:
                assert world_holds(world, row) <= row.capacity + 1e-9
        now = [v for v in VARIANTS if world[v].wanted > 20]
        assert not now

    for wish in wishes:
        targets = fitting(wish)
        for _ in range(8):
            now_s += 15.0
            look_and_order(targets)
            for _ in range(3):
                if pace:
                    place, choice = pace.pop()
                    world[VARIANTS[place]].move(choice)
                    for row in QUOTAS:
                        assert world_holds(world, row) <= row.capacity + 1e-9
    luck.clear()
    for _ in range(12):
        now_s += 15.0
        look_and_order(targets)
        for deployment in world.values():
            deployment.settle()
    assert {v: d.wanted for v, d in world.items()} == targets


def test_what_stops_is_not_free_yet() -> None:
    """Cards of a replica on its way out are granted to nobody, and go to the waiting after it."""
    a, b = VARIANTS[0], VARIANTS[2]
    quota = (QuotaRow("H100", 2.0, {a: 1.0, b: 1.0}),)
    sequencer = Sequencer(lambda _: 1)
    full = ReplicaCounts(at_s=0.0, counts=(ReplicaCount(variant=a, wanted=2, ready=2),))
    first = sequencer.orders({a: 1, b: 1}, full, quota, 1)
    assert [str(order) for order in first.orders] == [f"{a}: 2 -> 1"]
    assert first.waiting == {b: 1}
    assert a in first.contended
    leaving = ReplicaCounts(
        at_s=1.0, counts=(ReplicaCount(variant=a, wanted=1, ready=1, stopping=1),)
    )
    assert sequencer.orders({a: 1, b: 1}, leaving, quota, 1).orders == ()
    gone = ReplicaCounts(at_s=2.0, counts=(ReplicaCount(variant=a, wanted=1, ready=1),))
    then = sequencer.orders({a: 1, b: 1}, gone, quota, 1)
    assert [str(order) for order in then.orders] == [f"{b}: 0 -> 1"]


def test_who_comes_first_is_not_hurried_for_who_comes_later() -> None:
    """Both want each other's place: only the later one lets go before its new replica serves."""
    first, later = VARIANTS[0], VARIANTS[3]
    full = ReplicaCounts(
        at_s=0.0,
        counts=tuple(ReplicaCount(variant=v, wanted=1, ready=1) for v in (first, later)),
    )
    quotas = tuple(
        QuotaRow(kind, 1.0, {v: 1.0 for v in VARIANTS if v.accelerator == kind})
        for kind in ("H100", "A100")
    )
    swap = {first: 1, later: 1, VARIANTS[1]: 1, VARIANTS[2]: 1}
    orders = Sequencer({"s0": 1, "s1": 2, "s2": 2}.__getitem__).orders(swap, full, quotas, 1)
    assert orders.waiting == {VARIANTS[1]: 1, VARIANTS[2]: 1}
    assert orders.contended == {later}


def test_what_somebody_else_took_back_is_granted_again_only_where_it_fits() -> None:
    """A grant unmade by another counts as given, and is not given beside what it still holds."""
    a = VARIANTS[0]
    quota = (QuotaRow("H100", 8.0, {a: 1.0}),)
    ledger, sequencer = Ledger(settle_s=60.0), Sequencer(lambda _: 1)
    ledger.note(0.0, Order(variant=a, kind=OrderKind.GRANT, expected=4, replicas=8, cycle=1))

    def again(stopping: int) -> list[int]:
        count = ReplicaCount(variant=a, wanted=4, ready=4, stopping=stopping)
        seen = ReplicaCounts(at_s=10.0, counts=(count,))
        found = sequencer.orders({a: 8}, ledger.cautious(seen), quota, 2, seen.wanted())
        return [order.replicas for order in found.orders]

    assert again(stopping=4) == []
    assert again(stopping=3) == [5]
    assert again(stopping=0) == [8]


def test_the_important_get_what_there_is() -> None:
    """Where not all grants fit, the service of the lower priority number is first."""
    a, b = VARIANTS[0], VARIANTS[2]
    quota = (QuotaRow("H100", 3.0, {a: 1.0, b: 1.0}),)
    nothing = ReplicaCounts(at_s=0.0, counts=())
    orders = Sequencer(lambda name: 1 if name == "s1" else 2).orders(
        {a: 3, b: 2}, nothing, quota, 1
    )
    assert [(o.variant, o.replicas) for o in orders.orders] == [(b, 2), (a, 1)]


def test_a_grant_without_an_answer_counts_as_given() -> None:
    """Until a later look shows otherwise."""
    a = VARIANTS[0]
    ledger = Ledger(settle_s=60.0)
    ledger.note(0.0, Order(variant=a, kind=OrderKind.GRANT, expected=0, replicas=3, cycle=1))
    soon = ledger.cautious(ReplicaCounts(at_s=15.0, counts=()))
    assert held(QUOTAS[0], soon.counts) == 3.0
    late = ledger.cautious(ReplicaCounts(at_s=75.0, counts=()))
    assert held(QUOTAS[0], late.counts) == 0.0
