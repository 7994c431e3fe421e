"""How fast the replicas of a service follow the optimiser: windows, steps, cooldowns.

A rise is the least that was proposed throughout a window, a fall the most, as with Kubernetes'
horizontal autoscaler, but per variant, so that a move is a rise and a fall. Nothing falls while
figures are missing, before it has been watched for a whole window, or while the replicas that
serve could not carry the load without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.control.planned_load import PlannedLoad
from optimizer.control.spec import (
    Clamp,
    ReplicaCount,
    ReplicaCounts,
    StabilizationSpec,
    Variant,
)

__all__ = ["Settled", "Stabilizer"]

# Turns within this time that show a service to swing [s], how many of them, and how much longer its
# down window becomes each time, at most. Who follows a load that changed by this share does not.
_SWING_S = 3600.0
_MOVED = 0.1
_SWING_TURNS = 2
_LONGEST = 8.0


@dataclass(frozen=True, slots=True)
class Settled:
    """What the replicas of a service should be now, and what keeps them from the proposal."""

    target: Mapping[Variant, int]
    clamps: tuple[Clamp, ...]


@dataclass
class _Service:
    """What is remembered of one service.

    Parameters
    ----------
    since_s
        When it was first watched.
    proposals
        Changes of the proposal: when, and what; each holds until the next.
    last_up_s, last_down_s
        When its replicas last rose and fell.
    rising_s
        When the proposal last rose: what is seen lags behind a load that rises.
    turns
        When its replicas changed direction though the load did not.
    seen_rps, changed_rps
        The rate that was seen last, and when its replicas changed last; None: unknown.
    """

    since_s: float
    proposals: list[tuple[float, dict[Variant, int]]] = field(default_factory=list)
    last_up_s: float = -math.inf
    last_down_s: float = -math.inf
    rising_s: float = -math.inf
    turns: list[float] = field(default_factory=list)
    seen_rps: float | None = None
    changed_rps: float | None = None

    def follows(self, rising: bool) -> bool:
        """Return whether the load moved in a direction since its replicas changed last."""
        if self.seen_rps is None or self.changed_rps is None:
            return False
        if rising:
            return self.seen_rps > (1.0 + _MOVED) * self.changed_rps
        return self.seen_rps < self.changed_rps / (1.0 + _MOVED)

    def within(self, now_s: float, window_s: float, variant: Variant) -> list[int]:
        """Return every number proposed for a variant during a window."""
        found = []
        for place, (_, proposed) in enumerate(self.proposals):
            later = self.proposals[place + 1 :]
            until_s = later[0][0] if later else math.inf
            if until_s > now_s - window_s:
                found.append(proposed.get(variant, 0))
        return found


class Stabilizer:
    """Turns proposals into targets; see the module."""

    def __init__(self, spec: StabilizationSpec) -> None:
        self._spec = spec
        self._services: dict[str, _Service] = {}

    @property
    def swinging(self) -> tuple[str, ...]:
        """Services whose replicas keep changing direction."""
        return tuple(
            name for name, kept in self._services.items() if len(kept.turns) >= _SWING_TURNS
        )

    def settle_all(
        self,
        now_s: float,
        services: Iterable[str],
        counts: ReplicaCounts,
        proposed: Mapping[Variant, int],
        loads: Mapping[str, PlannedLoad],
        *,
        rate_of: Callable[[Variant], float],
        trusted: bool,
        contended: frozenset[Variant],
    ) -> dict[str, Settled]:
        """Say what the replicas of every service should be now; see `settle`.

        Parameters
        ----------
        loads
            What each is sized for.
        trusted
            Whether the proposal is as young as it should be.
        """
        there: dict[str, list[ReplicaCount]] = {}
        for count in counts.counts:
            there.setdefault(count.variant.service, []).append(count)
        wanted: dict[str, dict[Variant, int]] = {}
        for variant, replicas in proposed.items():
            wanted.setdefault(variant.service, {})[variant] = replicas
        settled = {}
        for name in services:
            load = loads[name]
            settled[name] = self.settle(
                now_s,
                name,
                tuple(there.get(name, ())),
                wanted.get(name, {}),
                rate_rps=0.0 if load.load is None else load.load.rate_rps,
                seen_rps=load.seen_rps,
                rate_of=rate_of,
                trusted=load.trusted and trusted,
                contended=contended,
            )
        return settled

    def settle(
        self,
        now_s: float,
        service: str,
        counts: tuple[ReplicaCount, ...],
        proposed: Mapping[Variant, int],
        *,
        rate_rps: float,
        rate_of: Callable[[Variant], float],
        trusted: bool,
        seen_rps: float | None = None,
        contended: frozenset[Variant] = frozenset(),
    ) -> Settled:
        """Say what a service's replicas should be now.

        Parameters
        ----------
        counts
            Its variants that are there.
        proposed
            Replicas by variant; none of those left out.
        rate_rps, rate_of
            What it is sized for, and what one replica of a variant carries [requests/s].
        trusted
            Whether the figures allow a reduction.
        seen_rps
            The rate that was seen; None: unknown.
        contended
            Variants whose cards others wait for: these need not wait for the window to fall.
        """
        spec = self._spec
        kept = self._services.setdefault(service, _Service(since_s=now_s))
        kept.seen_rps = seen_rps
        wishes = {variant: count for variant, count in proposed.items() if count > 0}
        if not kept.proposals or kept.proposals[-1][1] != wishes:
            if kept.proposals and _carried(wishes, rate_of) > _carried(
                kept.proposals[-1][1], rate_of
            ):
                kept.rising_s = now_s
            kept.proposals.append((now_s, wishes))
        window_s = spec.down_window_s * self._caution(kept, now_s)
        self._forget(kept, now_s, max(window_s, spec.up_window_s))
        before = {count.variant: count.wanted for count in counts}
        clamps: list[Clamp] = []
        target = {}
        for variant in dict.fromkeys((*before, *wishes)):
            now, wish = before.get(variant, 0), wishes.get(variant, 0)
            if wish > now:
                least = min(kept.within(now_s, spec.up_window_s, variant))
                target[variant] = max(now, min(wish, least))
                if target[variant] < wish:
                    clamps.append(Clamp.UP_WINDOW)
            elif wish < now:
                hurry = variant in contended
                most = wish if hurry else max(kept.within(now_s, window_s, variant))
                target[variant] = min(now, max(wish, most))
                if target[variant] > wish:
                    clamps.append(Clamp.DOWN_WINDOW)
                young = now_s - kept.since_s < window_s
                if target[variant] < now and not trusted:
                    target[variant] = now
                    clamps.append(Clamp.NO_DATA)
                elif target[variant] < now and young and not hurry:
                    target[variant] = now
                    clamps.append(Clamp.SHORT_HISTORY)
            else:
                target[variant] = now
        self._limit_rise(kept, now_s, before, target, clamps)
        self._limit_fall(kept, now_s, before, target, clamps, contended)
        self._keep_capacity(counts, wishes, target, rate_rps, rate_of, contended, clamps)
        return Settled(target, tuple(dict.fromkeys(clamps)))

    def changed(self, now_s: float, service: str, before: int, after: int) -> None:
        """Remember that orders changed a service's replicas in all."""
        kept = self._services.setdefault(service, _Service(since_s=now_s))
        if after == before:
            return
        rising, rose_last = after > before, kept.last_up_s > kept.last_down_s
        moved_before = max(kept.last_up_s, kept.last_down_s) > -math.inf
        if moved_before and rising != rose_last and not kept.follows(rising):
            kept.turns.append(now_s)
        kept.changed_rps = kept.seen_rps
        if rising:
            kept.last_up_s = now_s
        else:
            kept.last_down_s = now_s

    def _caution(self, kept: _Service, now_s: float) -> float:
        """Return how many times longer the down window is for a service that swings."""
        kept.turns = [turn for turn in kept.turns if now_s - turn < _SWING_S]
        return min(2.0 ** (len(kept.turns) // _SWING_TURNS), _LONGEST)

    @staticmethod
    def _forget(kept: _Service, now_s: float, window_s: float) -> None:
        """Drop the proposals that ended before the window."""
        old = [at for at, (since_s, _) in enumerate(kept.proposals) if since_s <= now_s - window_s]
        if old:
            del kept.proposals[: old[-1]]

    def _limit_rise(
        self,
        kept: _Service,
        now_s: float,
        before: Mapping[Variant, int],
        target: dict[Variant, int],
        clamps: list[Clamp],
    ) -> None:
        rises = [variant for variant, count in target.items() if count > before.get(variant, 0)]
        if not rises:
            return
        if now_s - kept.last_up_s < self._spec.cooldown_up_s:
            target.update({variant: before.get(variant, 0) for variant in rises})
            clamps.append(Clamp.COOLDOWN)
            return
        total = sum(before.values())
        # A service that has nothing yet gets all it needs at once.
        left = max(self._spec.least_step, int(total * self._spec.most_up_share))
        for variant in rises if total else ():
            now = before.get(variant, 0)
            if target[variant] - now > left:
                target[variant] = now + left
                clamps.append(Clamp.STEP_UP)
            left -= target[variant] - now

    def _limit_fall(
        self,
        kept: _Service,
        now_s: float,
        before: Mapping[Variant, int],
        target: dict[Variant, int],
        clamps: list[Clamp],
        contended: frozenset[Variant],
    ) -> None:
        falls = [variant for variant, count in target.items() if count < before.get(variant, 0)]
        quiet_s = now_s - max(kept.last_up_s, kept.last_down_s, kept.rising_s)
        if quiet_s < self._spec.cooldown_down_s:
            for variant in falls:
                if variant not in contended:
                    target[variant] = before[variant]
                    clamps.append(Clamp.COOLDOWN)
        left = max(self._spec.least_step, int(sum(before.values()) * self._spec.most_down_share))
        for variant in falls:
            if before[variant] - target[variant] > left:
                target[variant] = before[variant] - left
                clamps.append(Clamp.STEP_DOWN)
            left -= before[variant] - target[variant]

    @staticmethod
    def _keep_capacity(
        counts: tuple[ReplicaCount, ...],
        wishes: Mapping[Variant, int],
        target: dict[Variant, int],
        rate_rps: float,
        rate_of: Callable[[Variant], float],
        contended: frozenset[Variant],
        clamps: list[Clamp],
    ) -> None:
        """Keep replicas that serve until those that replace them do: a move makes before it breaks.

        What the optimiser itself takes from a service, because others come first, is taken.
        """
        must_carry = min(rate_rps, _carried(wishes, rate_of))
        carried = sum(
            min(count.ready, target.get(count.variant, 0)) * rate_of(count.variant)
            for count in counts
        )
        for count in counts:
            variant, each = count.variant, rate_of(count.variant)
            if count.wanted <= target.get(variant, 0) or variant in contended or each <= 0:
                continue
            lacking = must_carry - carried
            if lacking <= 1e-9:
                return
            back = min(count.wanted - target[variant], math.ceil(lacking / each - 1e-9))
            target[variant] += back
            carried += each * back
            clamps.append(Clamp.PENDING)

    def state(self) -> dict[str, Any]:
        """Return what to write down."""
        return {
            name: {
                "since_s": kept.since_s,
                "last_up_s": _or_none(kept.last_up_s),
                "last_down_s": _or_none(kept.last_down_s),
                "rising_s": _or_none(kept.rising_s),
                "turns": kept.turns,
                "changed_rps": kept.changed_rps,
                "proposals": [
                    [at_s, [[v.model_dump(mode="json"), n] for v, n in proposed.items()]]
                    for at_s, proposed in kept.proposals
                ],
            }
            for name, kept in self._services.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was written down."""
        self._services = {
            name: _Service(
                since_s=kept["since_s"],
                proposals=[
                    (at_s, {Variant.model_validate(v): n for v, n in proposed})
                    for at_s, proposed in kept["proposals"]
                ],
                last_up_s=_or_never(kept["last_up_s"]),
                last_down_s=_or_never(kept["last_down_s"]),
                rising_s=_or_never(kept["rising_s"]),
                turns=list(kept["turns"]),
                changed_rps=kept.get("changed_rps"),
            )
            for name, kept in state.items()
        }


def _carried(replicas: Mapping[Variant, int], rate_of: Callable[[Variant], float]) -> float:
    """Return what replicas carry [requests/s]."""
    return sum(count * rate_of(variant) for variant, count in replicas.items())


def _or_never(time_s: float | None) -> float:
    return -math.inf if time_s is None else time_s


def _or_none(time_s: float) -> float | None:
    return time_s if math.isfinite(time_s) else None
