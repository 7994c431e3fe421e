"""The part of the checker of horizons for time: starts, delays, minimum up times, moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.fleet.horizon.horizon_plan import HorizonPlan, PeriodAllocation
from optimizer.fleet.split_services import splits
from optimizer.fleet.violation import Violation
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.horizon import HorizonSpec, HorizonStart

__all__ = ["Key", "check_time", "key_of"]

# What runs apart: a service, with whom it shares, on an accelerator, with a configuration and a
# maximum batch.
Key = tuple[str, str, str, int | None, tuple[str, ...]]


def check_time(spec: FleetSpec, horizon: HorizonSpec, plan: HorizonPlan) -> Iterator[Violation]:
    """Find replicas that come from nowhere, are not ready yet, or stop too early; and moves."""
    yield from _Time(spec, horizon, plan).run()


def key_of(a: PeriodAllocation) -> Key:
    """Return what it counts replicas of."""
    return a.service, a.accelerator, a.configuration, a.max_batch, a.shared_with


@dataclass(frozen=True, slots=True)
class _Row:
    """Counts of one key in one period."""

    serving: int = 0
    starting: int = 0
    started: int = 0
    stopped: int = 0


class _Time:
    """One plan, its counts by key and period."""

    def __init__(self, spec: FleetSpec, horizon: HorizonSpec, plan: HorizonPlan) -> None:
        self.spec, self.horizon, self.plan = spec, horizon, plan
        self.services = {service.name: service for service in spec.services}
        keys = dict.fromkeys(key_of(a) for p in plan.periods for a in p.allocations)
        rows = [{key_of(a): _row(a) for a in p.allocations} for p in plan.periods]
        self.rows = {key: [here.get(key, _Row()) for here in rows] for key in keys}

    def run(self) -> Iterator[Violation]:
        """Find replicas that come from nowhere, are not ready yet, or stop too early."""
        delay, up = self.horizon.start_delay_periods, self.horizon.min_up_periods
        for key, rows in self.rows.items():
            for t, row in enumerate(rows):
                name, period = key[0], self.plan.periods[t]
                if min(row.serving, row.starting, row.started, row.stopped) < 0:
                    yield Violation("plan", name, f"a negative number in {period.name}")
                ready = rows[t - delay].started if t >= delay else 0
                before = rows[t - 1].serving if t else _before(rows, delay)
                if row.serving != before + ready - row.stopped:
                    yield Violation(
                        "plan", name,
                        f"{row.serving} replicas serve in {period.name}: {before} before, {ready} "
                        f"ready, {row.stopped} stopped",
                    )  # fmt: skip
                coming = sum(rows[u].started for u in range(max(t - delay + 1, 0), t + 1))
                if delay and row.starting != coming:
                    yield Violation(
                        "plan",
                        name,
                        f"{row.starting} replicas start in {period.name}, not {coming}",
                    )
                recent = range(max(t - delay - up + 1, 0), t - delay + 1)
                lately = sum(rows[u].started for u in recent)
                if row.serving < lately:
                    yield Violation(
                        "plan", name,
                        f"{row.serving} replicas serve in {period.name}, {lately} were started "
                        f"that stay for {up} periods",
                    )  # fmt: skip
        yield from self._moves()
        yield from self._first()

    def _first(self) -> Iterator[Violation]:
        """Find replicas of the first period that did not run before, and others left out."""
        delay = self.horizon.start_delay_periods
        if self.horizon.starts_from is not HorizonStart.CURRENT:
            for key, rows in self.rows.items():
                if not delay and rows[0].started:
                    yield Violation("plan", key[0], "starts what may be there at first")
            return
        there: dict[tuple[str, str], dict[int | None, int]] = {}
        for service in self.spec.services:
            for entry in service.deployed:
                of_batch = there.setdefault((service.name, entry.accelerator or ""), {})
                of_batch[entry.max_batch] = of_batch.get(entry.max_batch, 0) + entry.replicas
        said: dict[tuple[str, str], dict[int | None, int]] = {}
        for (name, where, _, batch, _), rows in self.rows.items():
            of_batch = said.setdefault((name, where), {})
            of_batch[batch] = of_batch.get(batch, 0) + _before(rows, delay)
        for name, where in {**there, **said}:
            ran, goes_on = there.get((name, where), {}), said.get((name, where), {})
            any_batch = ran.get(None, 0)
            more = sum(
                max(count - (0 if batch is None else ran.get(batch, 0)), 0)
                for batch, count in goes_on.items()
            )
            if sum(goes_on.values()) != sum(ran.values()) or more > any_batch:
                yield Violation(
                    "plan", name,
                    f"{sum(goes_on.values())} replicas on {where} before the first period, where "
                    f"{sum(ran.values())} run today",
                )  # fmt: skip

    def _moves(self) -> Iterator[Violation]:
        before: dict[str, Key] = {}
        first = self._first_moves()
        for t, period in enumerate(self.plan.periods):
            # Services that split use several configurations at once: they start and stop.
            now = {
                a.service: key_of(a)
                for a in period.allocations
                if a.carries and not splits(self.spec, self.services[a.service])
            }
            moved = {name for name, key in now.items() if before.get(name, key) != key}
            moved = moved if t else first
            if moved != set(period.moved):
                for name in moved ^ set(period.moved):
                    what = "moves, which is not said" if name in moved else "does not move"
                    yield Violation("plan", name, f"{what} in {period.name}")
            before = now

    def _first_moves(self) -> set[str]:
        """Return the services that run today, and not so in the first period."""
        moved: set[str] = set()
        if self.horizon.starts_from is not HorizonStart.CURRENT:
            return moved
        for a in self.plan.periods[0].allocations:
            runs = [entry for entry in self.services[a.service].deployed if entry.replicas]
            goes_on = any(
                entry.accelerator == a.accelerator and entry.max_batch in (None, a.max_batch)
                for entry in runs
            )
            chooses = not splits(self.spec, self.services[a.service])
            if a.carries and runs and not goes_on and chooses:
                moved.add(a.service)
        return moved


def _row(a: PeriodAllocation) -> _Row:
    return _Row(a.serving, a.starting, a.started, a.stopped)


def _before(rows: list[_Row], delay: int) -> int:
    """Return the replicas there were before the first period, by what serves in it."""
    return rows[0].serving + rows[0].stopped - (0 if delay else rows[0].started)
