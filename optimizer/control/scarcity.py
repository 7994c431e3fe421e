"""Types of card of which there are fewer than described: no replica starts there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from optimizer.control.spec import ReplicaCount, Variant

__all__ = ["Scarcity"]

# A type is tried again after the timeout, then after twice that, and so on so often.
_MOST_DOUBLINGS = 4


@dataclass
class _Scarce:
    cards: int
    until_s: float
    times: int


class Scarcity:
    """Notices replicas that do not come up.

    What is ready of a type then is all that there is of it, until it is tried again, later every
    time.

    Parameters
    ----------
    timeout_s
        How long a replica may be starting [s].
    cards_of
        Type of card of a variant, and cards in one replica.
    """

    def __init__(self, timeout_s: float, cards_of: Callable[[Variant], tuple[str, int]]) -> None:
        self._timeout_s, self._cards_of = timeout_s, cards_of
        self._scarce: dict[str, _Scarce] = {}

    def update(self, now_s: float, counts: Iterable[ReplicaCount]) -> Mapping[str, int]:
        """Return the cards that can be used of the types that are scarce."""
        counts = tuple(counts)
        ready: dict[str, int] = {}
        stuck: set[str] = set()
        for count in counts:
            kind, cards = self._cards_of(count.variant)
            ready[kind] = ready.get(kind, 0) + cards * (count.ready + count.stopping)
            if count.pending and count.pending_for_s > self._timeout_s:
                stuck.add(kind)
        for kind in stuck:
            known = self._scarce.get(kind)
            if known is None or now_s >= known.until_s:
                times = 0 if known is None else min(known.times + 1, _MOST_DOUBLINGS)
                wait_s = self._timeout_s * 2.0**times
                self._scarce[kind] = _Scarce(ready.get(kind, 0), now_s + wait_s, times)
        for kind, known in list(self._scarce.items()):
            if now_s >= known.until_s + self._timeout_s * 2.0**known.times:
                del self._scarce[kind]  # it has come up since: begin to wait anew
        return {
            kind: max(known.cards, ready.get(kind, 0))
            for kind, known in self._scarce.items()
            if now_s < known.until_s
        }

    def state(self) -> dict[str, Any]:
        """Return what to write down."""
        return {kind: [k.cards, k.until_s, k.times] for kind, k in self._scarce.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was written down."""
        self._scarce = {
            kind: _Scarce(int(cards), float(until_s), int(times))
            for kind, (cards, until_s, times) in state.items()
        }
