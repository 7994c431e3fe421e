"""Conditions: statements about the controller that remember since when they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optimizer.control.planned_load import PlannedLoad
from optimizer.control.spec import Condition, ConditionType, ServiceObservation, Variant

__all__ = ["Conditions"]


class Conditions:
    """The controller's conditions, one of each type that was ever told."""

    def __init__(self) -> None:
        self._known: dict[ConditionType, Condition] = {}

    def tell(
        self, now_s: float, kind: ConditionType, status: bool, reason: str, message: str = ""
    ) -> None:
        """Say how something is; `since_s` changes with the status alone."""
        before = self._known.get(kind)
        since_s = before.since_s if before is not None and before.status == status else now_s
        self._known[kind] = Condition(
            type=kind, status=status, reason=reason, message=message, since_s=since_s
        )

    def tell_metrics(
        self,
        now_s: float,
        loads: Mapping[str, PlannedLoad],
        seen: Mapping[str, ServiceObservation],
    ) -> None:
        """Say whether the figures of every service are known."""
        blind = sorted(name for name, load in loads.items() if not load.trusted)
        why = next(
            (str(seen[name].arrival_rate_rps) for name in blind if name in seen), "not observed"
        )
        self.tell(
            now_s,
            ConditionType.METRICS_AVAILABLE,
            not blind,
            "MetricsMissing" if blind else "MetricsFound",
            f"{len(blind)} of {len(loads)} services, such as {blind[0]}: {why}" if blind else "",
        )

    def tell_swinging(self, now_s: float, swinging: Sequence[str]) -> None:
        """Say whose replicas keep changing direction."""
        self.tell(
            now_s,
            ConditionType.STABILIZED,
            not swinging,
            "Swinging" if swinging else "Steady",
            f"{', '.join(swinging[:5])}: reductions wait longer" if swinging else "",
        )

    def tell_approval(self, now_s: float, reason: str, digest: str) -> None:
        """Say whether a large change waits for approval, and under which digest; "": none."""
        self.tell(
            now_s,
            ConditionType.APPROVED,
            not digest,
            "AwaitingApproval" if digest else "WithinLimits",
            f"{reason}; approve {digest}" if digest else "",
        )

    def tell_capacity(
        self, now_s: float, unserved: Sequence[str], waiting: Mapping[Variant, int]
    ) -> None:
        """Say which services are not served whole, and how many replicas wait for cards."""
        words = []
        if unserved:
            words.append(f"not served whole: {', '.join(unserved[:5])}")
        if waiting:
            first = next(iter(waiting))
            words.append(f"{sum(waiting.values())} replicas wait for cards, as {first}")
        self.tell(
            now_s,
            ConditionType.CAPACITY_AVAILABLE,
            not words,
            "Unserved" if unserved else "Waiting" if words else "Enough",
            "; ".join(words),
        )

    def tell_ready(self, now_s: float, failures: int, most_failures: int) -> None:
        """Say whether all is as it should be, after so many failed plans in a row."""
        valid = all(
            self.holds(kind) for kind in (ConditionType.CONFIGURATION_VALID, ConditionType.APPROVED)
        )
        why = "the configuration is not valid, or a large change waits for approval"
        if failures:
            why = f"{failures} failures in a row"
        if failures < most_failures and valid:
            self.tell(now_s, ConditionType.READY, True, "Working")
        else:
            self.tell(now_s, ConditionType.READY, False, "Degraded", why)

    def holds(self, kind: ConditionType) -> bool:
        """Whether all is well with something; also where nothing was told."""
        known = self._known.get(kind)
        return known is None or known.status

    def all(self) -> tuple[Condition, ...]:
        """Return them in a fixed order."""
        return tuple(self._known[kind] for kind in ConditionType if kind in self._known)

    def state(self) -> list[dict[str, Any]]:
        """Return what to write down."""
        return [condition.model_dump(mode="json") for condition in self.all()]

    def restore(self, state: Iterable[Any]) -> None:
        """Go on from what was written down."""
        found = [Condition.model_validate(entry) for entry in state]
        self._known = {condition.type: condition for condition in found}
