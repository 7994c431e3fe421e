"""An actuator that looks through another one and changes nothing: a dry run against the living."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.control.actuators.base import Actuator, outcome
from optimizer.control.spec import Order, OrderOutcome, OrderResult, ReplicaCounts, Variant

__all__ = ["ShadowActuator"]


class ShadowActuator(Actuator):
    """Counts the replicas that there are and gives no order.

    Parameters
    ----------
    inner
        Who counts.
    """

    name = "shadow"
    summary = "counts through another actuator and changes nothing"

    def __init__(self, inner: Actuator) -> None:
        self._inner = inner
        self.orders: list[Order] = []

    def begin(self, variants: Sequence[Variant]) -> None:
        """Pass it on."""
        self._inner.begin(variants)

    def counts(self, now_s: float) -> ReplicaCounts:
        """Return the other's counts."""
        return self._inner.counts(now_s)

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Keep the order to be shown."""
        del now_s
        self.orders.append(order)
        return outcome(order, OrderResult.SHADOWED, "a dry run: nothing was changed")

    def close(self) -> None:
        """Close the other."""
        self._inner.close()
