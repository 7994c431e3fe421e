"""The circuit breaker: a change of a large part of the fleet waits until a person approves it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from optimizer.control.spec import BreakerSpec, Order, Variant

__all__ = ["Breaker"]

_HOUR_S, _HOURS = 3600.0, 24


class Breaker:
    """Compares what is wanted with the fleet of some time ago.

    What was started since then and is stopped again is no change of it. What is started is compared
    with the largest fleet of the last day: one that slept through a lull wakes up as a whole. An
    empty fleet may be started as a whole. A tripped breaker holds everything, until it is
    approved or what is wanted is within the limits again.
    """

    def __init__(self, spec: BreakerSpec) -> None:
        self._spec = spec
        self._changes: list[tuple[float, Variant, int]] = []  # when, whose, how many more
        self._approved_until_s = -1.0
        self._starting = False  # from nothing: not counted
        self._largest: dict[int, int] = {}  # by the hour
        self.tripped: str = ""
        """What a person has to approve; "" while it is closed."""
        self.reason = ""

    def holds(
        self, now_s: float, before: Mapping[Variant, int], target: Mapping[Variant, int]
    ) -> bool:
        """Whether a change must wait."""
        spec = self._spec
        self._starting = not any(before.values())
        started, stopped = _change(before, target)
        self._changes = [change for change in self._changes if now_s - change[0] < spec.within_s]
        then = dict(before)
        for _, variant, more in self._changes:
            then[variant] = then.get(variant, 0) - more
        # Replicas that others stopped meanwhile were there then.
        then = {variant: max(count, 0) for variant, count in then.items()}
        ups, downs = _change(then, {**before, **target})
        size = sum(then.values())
        largest = self._largest_of_a_day(now_s, size)
        too_many = []
        if size and ups > max(spec.free_replicas, spec.most_started_share * largest) and started:
            too_many.append(f"{ups} replicas started, of {largest} at most in a day")
        if size and downs > max(spec.free_replicas, spec.most_stopped_share * size) and stopped:
            too_many.append(f"{downs} of {size} replicas stopped")
        if not too_many or now_s < self._approved_until_s:
            self.tripped = self.reason = ""
            return False
        self.reason = f"{' and '.join(too_many)} within {spec.within_s:g} s"
        if not self.tripped:
            self.tripped = hashlib.sha256(f"{now_s}{self.reason}".encode()).hexdigest()[:12]
        return True

    def _largest_of_a_day(self, now_s: float, size: int) -> int:
        hour = int(now_s // _HOUR_S)
        self._largest = {at: n for at, n in self._largest.items() if hour - at < _HOURS}
        self._largest[hour] = max(size, self._largest.get(hour, 0))
        return max(self._largest.values())

    def approve(self, now_s: float, digest: str) -> bool:
        """Let pass what is held, and what else is wanted for a time; whether the digest is it."""
        if not self.tripped or digest.strip() != self.tripped:
            return False
        self._approved_until_s = now_s + self._spec.within_s
        self.tripped = self.reason = ""
        return True

    def note(self, now_s: float, order: Order) -> None:
        """Remember a change that was ordered."""
        if not self._starting:
            self._changes.append((now_s, order.variant, order.replicas - order.expected))

    def state(self) -> dict[str, Any]:
        """Return what to write down."""
        return {
            "changes": [[at, v.model_dump(mode="json"), n] for at, v, n in self._changes],
            "approved_until_s": self._approved_until_s,
            "tripped": self.tripped,
            "reason": self.reason,
            "largest": [[hour, size] for hour, size in self._largest.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was written down."""
        self._changes = [
            (float(at), Variant.model_validate(variant), int(more))
            for at, variant, more in state["changes"]
        ]
        self._approved_until_s = float(state["approved_until_s"])
        self.tripped, self.reason = str(state["tripped"]), str(state["reason"])
        self._largest = {int(hour): int(size) for hour, size in state["largest"]}


def _change(before: Mapping[Variant, int], target: Mapping[Variant, int]) -> tuple[int, int]:
    """Return replicas started and stopped."""
    deltas = [count - before.get(variant, 0) for variant, count in target.items()]
    return sum(d for d in deltas if d > 0), -sum(d for d in deltas if d < 0)
