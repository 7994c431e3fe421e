"""What a run of the laboratory is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field

from optimizer.control.lab.fluid_fleet import ServiceTick
from optimizer.spec.base import SpecModel

__all__ = ["Score", "Scorer"]

# A minute in which fewer of its requests are kept violates.
_KEPT_OF_A_MINUTE = 0.99
# A change of direction counts as a reversal within this time of the change before [s].
_REVERSAL_S = 3600.0
_MINUTE_S = 60.0


class Score(SpecModel):
    """Figures of one run."""

    requests: float = Field(description="That came.")
    attainment: float = Field(description="Share of them that came while every objective held.")
    violating_minutes: float = Field(
        description="Minutes in which a service kept less than 99 % of its requests, summed over "
        "services."
    )
    gpu_hours: float = Field(description="Card-hours held, those starting and stopping included.")
    cost: float = Field(description="Of them, in the fleet's currency.")
    changes: int = Field(description="Times that a service's replicas changed.")
    reversals: int = Field(
        description="Changes against the direction of the one before, within an hour of it."
    )
    recovery_s: tuple[float, ...] = Field(
        default=(),
        strict=False,
        description="After each scripted event or fault: until its last violating moment.",
    )
    peak_cards: int = Field(default=0, description="Most cards held at one moment.")
    over_quota_s: float = Field(default=0.0, description="Time in which a quota was broken.")


@dataclass
class _Service:
    kept: float = 0.0
    arrived: float = 0.0
    total: int | None = None
    direction: int = 0
    changed_s: float = float("-inf")


@dataclass
class Scorer:
    """Adds up a run.

    Parameters
    ----------
    warm_up_s
        What is not scored [s].
    events_s
        When something happens.
    """

    warm_up_s: float
    events_s: tuple[float, ...]
    arrived: float = 0.0
    kept: float = 0.0
    violating_minutes: float = 0.0
    changes: int = 0
    reversals: int = 0
    over_quota_s: float = 0.0
    peak_cards: int = 0
    services: dict[str, _Service] = field(default_factory=dict)
    last_bad_s: dict[float, float] = field(default_factory=dict)
    _minute: int = -1

    def add(
        self,
        now_s: float,
        dt_s: float,
        ticks: Mapping[str, ServiceTick],
        wanted: Mapping[str, int],
        cards: int,
        over_quota: bool,
    ) -> None:
        """Take in a step that ended now."""
        if now_s <= self.warm_up_s:
            for name, count in wanted.items():
                self.services.setdefault(name, _Service()).total = count
            return
        if int(now_s / _MINUTE_S) != self._minute:
            self._end_of_minute()
            self._minute = int(now_s / _MINUTE_S)
        self.peak_cards = max(self.peak_cards, cards)
        self.over_quota_s += dt_s if over_quota else 0.0
        for name, tick in ticks.items():
            service = self.services.setdefault(name, _Service())
            service.arrived += tick.arrived
            service.kept += tick.kept
            self.arrived += tick.arrived
            self.kept += tick.kept
            if tick.kept < _KEPT_OF_A_MINUTE * tick.arrived:
                since = [event for event in self.events_s if event <= now_s]
                if since:
                    self.last_bad_s[since[-1]] = now_s
        for name, count in wanted.items():
            self._count(now_s, self.services.setdefault(name, _Service()), count)

    def _count(self, now_s: float, service: _Service, count: int) -> None:
        before, service.total = service.total, count
        if before is None or before == count:
            return
        self.changes += 1
        direction = 1 if count > before else -1
        if service.direction == -direction and now_s - service.changed_s < _REVERSAL_S:
            self.reversals += 1
        service.direction, service.changed_s = direction, now_s

    def _end_of_minute(self) -> None:
        for service in self.services.values():
            if service.kept < _KEPT_OF_A_MINUTE * service.arrived:
                self.violating_minutes += 1
            service.kept = service.arrived = 0.0

    def score(self, gpu_hours: float, cost: float) -> Score:
        """Return the figures."""
        self._end_of_minute()
        return Score(
            requests=self.arrived,
            attainment=self.kept / self.arrived if self.arrived else 1.0,
            violating_minutes=self.violating_minutes,
            gpu_hours=gpu_hours,
            cost=cost,
            changes=self.changes,
            reversals=self.reversals,
            recovery_s=tuple(
                max(self.last_bad_s.get(event, event) - event, 0.0) for event in self.events_s
            ),
            peak_cards=self.peak_cards,
            over_quota_s=self.over_quota_s,
        )
