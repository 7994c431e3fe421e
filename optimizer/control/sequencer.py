"""From targets to orders: release, wait until the cards are back, then grant.

At every instant the replicas that are asked for, start, serve or are on their way out hold their
cards. What is granted fits beside all of them; what is released counts as held until it is seen to
be gone. A grant of which it is not known whether it was carried out counts as carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from optimizer.control.quotas import QuotaRow
from optimizer.control.spec import Order, OrderKind, ReplicaCount, ReplicaCounts, Variant

__all__ = ["Ledger", "Orders", "Sequencer", "held"]

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Orders:
    """What can be ordered now, and what waits.

    Parameters
    ----------
    orders
        Releases first.
    waiting
        Replicas by variant that wait for others to be gone.
    contended
        Variants that hold what is waited for by services that come no later than theirs.
    """

    orders: tuple[Order, ...]
    waiting: Mapping[Variant, int]
    contended: frozenset[Variant]


class Ledger:
    """Grants that no observation has confirmed yet; they count as carried out.

    Parameters
    ----------
    settle_s
        An observation so much younger than a grant is believed against it [s].
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._given: dict[Variant, tuple[float, int]] = {}

    def forget(self, order: Order) -> None:
        """Strike out an order that was surely not carried out."""
        self._given.pop(order.variant, None)

    def note(self, now_s: float, order: Order) -> None:
        """Write down an order before it is given."""
        if order.kind is OrderKind.GRANT:
            self._given[order.variant] = (now_s, order.replicas)
        else:
            self._given.pop(order.variant, None)

    def cautious(self, counts: ReplicaCounts) -> ReplicaCounts:
        """Return counts in which unconfirmed grants are carried out; forgets confirmed ones."""
        seen = {count.variant: count for count in counts.counts}
        for variant, (at_s, replicas) in list(self._given.items()):
            count = seen.get(variant, ReplicaCount(variant=variant, wanted=0))
            if count.wanted >= replicas or counts.at_s - at_s > self._settle_s:
                del self._given[variant]
            else:
                seen[variant] = count.model_copy(update={"wanted": replicas})
        return counts.model_copy(update={"counts": tuple(seen.values())})

    def state(self) -> list[list[object]]:
        """Return what to write down."""
        return [[v.model_dump(mode="json"), at, n] for v, (at, n) in self._given.items()]

    def restore(self, state: Iterable[Sequence[object]]) -> None:
        """Go on from what was written down."""
        self._given = {
            Variant.model_validate(variant): (float(str(at)), int(str(count)))
            for variant, at, count in state
        }


def held(row: QuotaRow, counts: Iterable[ReplicaCount]) -> float:
    """Return what replicas hold of a resource, or may hold at any moment."""
    return sum(row.per_replica.get(count.variant, 0.0) * count.holding for count in counts)


class Sequencer:
    """Turns targets into orders that keep every quota.

    Parameters
    ----------
    priority_of
        Priority of a service; the smaller come first.
    """

    def __init__(self, priority_of: Callable[[str], int]) -> None:
        self._priority_of = priority_of

    def orders(
        self,
        targets: Mapping[Variant, int],
        counts: ReplicaCounts,
        quotas: Sequence[QuotaRow],
        cycle: int,
        asked: Mapping[Variant, int] | None = None,
    ) -> Orders:
        """Say what can be ordered now.

        Parameters
        ----------
        targets
            Replicas wanted; variants that are not there stay as they are.
        counts
            As from `Ledger.cautious`.
        quotas
            What must hold.
        cycle
            Of the decision.
        asked
            Replicas seen to be asked for; by default those of the counts. A grant that is in the
            counts, and was not seen to be carried out, is given again as far as it still fits.
        """
        now = {count.variant: count.wanted for count in counts.counts}
        seen = now if asked is None else asked
        releases = [
            _order(variant, seen.get(variant, 0), target, cycle)
            for variant, target in targets.items()
            if target < seen.get(variant, 0)
        ]
        rises = sorted(
            (v for v, target in targets.items() if target > seen.get(v, 0)),
            key=lambda v: (self._priority_of(v.service), now.get(v, 0) > 0, str(v)),
        )
        free = {row.name: row.capacity - held(row, counts.counts) for row in quotas}
        grants, waiting = [], {}
        scarce: dict[str, int] = {}  # and the priority of the first who waits for it
        for variant in rises:
            before, counted = seen.get(variant, 0), now.get(variant, 0)
            wanted = max(targets[variant] - counted, 0)
            given, least = wanted, min(before - counted, 0)
            for row in quotas:
                each = row.per_replica.get(variant, 0.0)
                if each > 0:
                    fits = int((free[row.name] + _TOLERANCE * max(row.capacity, 1.0)) // each)
                    if fits < wanted:
                        scarce.setdefault(row.name, self._priority_of(variant.service))
                    given = max(min(given, fits), least)
            for row in quotas:
                # What is not given again may have been carried out unseen: it stays counted.
                free[row.name] -= max(given, 0) * row.per_replica.get(variant, 0.0)
            after = min(counted + given, targets[variant])
            if after > before:
                grants.append(_order(variant, before, after, cycle))
            if given < wanted:
                waiting[variant] = wanted - given
        contended = frozenset(
            variant
            for row in quotas
            if row.name in scarce
            for variant in row.per_replica
            if now.get(variant, 0) > 0 and self._priority_of(variant.service) >= scarce[row.name]
        )
        return Orders((*releases, *grants), waiting, contended)


def _order(variant: Variant, before: int, after: int, cycle: int) -> Order:
    kind = OrderKind.RELEASE if after < before else OrderKind.GRANT
    return Order(variant=variant, kind=kind, expected=before, replicas=after, cycle=cycle)
