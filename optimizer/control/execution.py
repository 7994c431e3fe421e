"""Orders carried out: written down first, then given, and their outcomes remembered."""

from __future__ import annotations

from collections.abc import Callable

from optimizer.control.actuators import Actuator
from optimizer.control.breaker import Breaker
from optimizer.control.conditions import Conditions
from optimizer.control.sequencer import Ledger, Orders
from optimizer.control.spec import ConditionType, OrderOutcome, OrderResult, ReplicaCounts
from optimizer.control.stabilizer import Stabilizer

__all__ = ["Execution"]

# Orders with these outcomes were surely not carried out.
_NOT_DONE = (OrderResult.CONFLICT, OrderResult.REFUSED, OrderResult.SHADOWED)


class Execution:
    """Gives orders and tells everyone who must remember what became of them.

    Parameters
    ----------
    actuator
        Who carries them out.
    ledger, breaker, stabilizer, conditions
        Who remembers.
    """

    def __init__(
        self,
        actuator: Actuator,
        ledger: Ledger,
        breaker: Breaker,
        stabilizer: Stabilizer,
        conditions: Conditions,
    ) -> None:
        self._actuator, self._ledger = actuator, ledger
        self._breaker, self._stabilizer, self._conditions = breaker, stabilizer, conditions

    def carry_out(
        self, now_s: float, orders: Orders, counts: ReplicaCounts, written: Callable[[], bool]
    ) -> tuple[OrderOutcome, ...]:
        """Write down what will be ordered, then order it.

        Parameters
        ----------
        counts
            Replicas before.
        written
            Writes everything down; where it returns False nothing is ordered.
        """
        if not orders.orders:
            self._conditions.tell(now_s, ConditionType.ACTUATED, True, "AsWanted")
            return ()
        for order in orders.orders:
            self._ledger.note(now_s, order)
        if not written():
            for order in orders.orders:
                self._ledger.forget(order)
            return ()
        outcomes = tuple(self._actuator.apply(now_s, order) for order in orders.orders)
        for result in outcomes:
            if result.result in _NOT_DONE:
                self._ledger.forget(result.order)
        self._remember(now_s, outcomes, counts)
        failed = [result for result in outcomes if not result.done]
        first = f"{failed[0].order}: {failed[0].result}: {failed[0].detail}" if failed else ""
        self._conditions.tell(
            now_s,
            ConditionType.ACTUATED,
            not failed,
            "OrdersFailed" if failed else "Ordered",
            first,
        )
        return outcomes

    def _remember(
        self, now_s: float, outcomes: tuple[OrderOutcome, ...], counts: ReplicaCounts
    ) -> None:
        """Tell the breaker and the stabiliser what changed."""
        totals: dict[str, int] = {}
        for count in counts.counts:
            name = count.variant.service
            totals[name] = totals.get(name, 0) + count.wanted
        changes: dict[str, int] = {}
        for result in outcomes:
            if result.done:
                order = result.order
                self._breaker.note(now_s, order)
                name = order.variant.service
                changes[name] = changes.get(name, 0) + order.replicas - order.expected
        for name, change in changes.items():
            before = totals.get(name, 0)
            self._stabilizer.changed(now_s, name, before, before + change)
