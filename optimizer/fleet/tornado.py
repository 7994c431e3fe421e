"""What the cost hangs on: every figure of a fleet made smaller and larger, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from optimizer.errors import PlanError
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.scenarios import solve_each
from optimizer.spec.assignment import Assignment, Operation, assigned, named_entry
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Tornado", "TornadoBar", "tornado"]

# Services whose loads are varied each by itself: those that cost most.
_MOST_SERVICES = 8


@dataclass(frozen=True, slots=True)
class TornadoBar:
    """One figure, less of it and more of it.

    Parameters
    ----------
    figure
        In words.
    less, more
        Plans with less and with more of it.
    """

    figure: str
    less: FleetPlan
    more: FleetPlan

    def swing(self, base: FleetPlan) -> float:
        """Return by how much the cost per hour differs between the two ends and the base."""
        costs = [
            plan.total_cost_per_hour
            for plan in (base, self.less, self.more)
            if plan.total_cost_per_hour is not None
        ]
        return max(costs) - min(costs) if costs else 0.0


@dataclass(frozen=True, slots=True)
class Tornado:
    """Figures by how far they move the cost, the farthest first.

    Parameters
    ----------
    base
        The plan of the fleet as it is.
    share
        By how much each figure was made less and more, relative.
    bars
        Figures that move cost, or who is served.
    without_effect
        The others, in words.
    """

    base: FleetPlan
    share: float
    bars: tuple[TornadoBar, ...]
    without_effect: tuple[str, ...]


def tornado(
    fleet: FleetSpec,
    base: FleetPlan,
    *,
    share: float = 0.2,
    jobs: int | None = None,
    told: Callable[[float], None] | None = None,
) -> Tornado:
    """Solve a fleet with loads, prices, capacities and objectives made less and more.

    Parameters
    ----------
    fleet
        A valid fleet.
    base
        Its plan.
    share
        Relative change, in (0, 1).
    jobs
        Processes, see `solve_each`.
    told
        Called with the share that is done, after each solve.

    Raises
    ------
    solvers.SolverError, queue_models.QueueModelError, PlanError
        As from `optimize`; if the fleet's loads are uncertain.
    """
    if fleet.uncertainty is not None:
        raise PlanError("the loads of this fleet are uncertain: use what_if for its figures")
    figures = dict(_figures(fleet, base))
    fleets = [
        assigned(fleet, [Assignment(path, Operation.MULTIPLY, factor) for path in paths])
        for paths in figures.values()
        for factor in (1.0 - share, 1.0 + share)
    ]

    def one_more(position: int, _plan: object) -> None:
        if told is not None:
            told((position + 1) / len(fleets))

    solved = solve_each(fleets, jobs=jobs, told=one_more)
    plans = [plan for plan in solved if isinstance(plan, FleetPlan)]
    bars = [
        TornadoBar(figure, plans[2 * place], plans[2 * place + 1])
        for place, figure in enumerate(figures)
    ]
    bars.sort(key=lambda bar: -bar.swing(base))
    with_effect = tuple(bar for bar in bars if _matters(bar, base))
    return Tornado(
        base=base,
        share=share,
        bars=with_effect,
        without_effect=tuple(bar.figure for bar in bars if bar not in with_effect),
    )


def _matters(bar: TornadoBar, base: FleetPlan) -> bool:
    served = {plan.services_served for plan in (base, bar.less, bar.more)}
    return len(served) > 1 or bar.swing(base) > 0


def _figures(fleet: FleetSpec, base: FleetPlan) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield figures in words, with the paths of their parts."""
    loaded = [s.name for s in fleet.services if s.load is not None and s.load.arrival_rate_rps]
    rates = {name: f"{named_entry('services', name)}.load.arrival_rate_rps" for name in loaded}
    if rates:
        yield "all loads", tuple(rates.values())
    if len(rates) > 1:
        yield from ((f"load of {name}", (rates[name],)) for name in _dearest(base, rates))
    used = {allocation.accelerator for allocation in base.allocations}
    for one in fleet.accelerators:
        if one.name in used and one.cost_per_hour:
            path = f"{named_entry('accelerators', one.name)}.cost_per_hour"
            yield f"price of {one.name}", (path,)
    for place, capacity in enumerate(fleet.capacities):
        if capacity.cards:
            where = "".join(
                f" {word}" for word in (capacity.pool, capacity.zone, capacity.region) if word
            )
            yield f"{capacity.type}{where} at hand", (f"capacities[{place}].cards",)
    yield from _latencies(fleet)


def _dearest(base: FleetPlan, rates: dict[str, str]) -> list[str]:
    cost = dict.fromkeys(rates, 0.0)
    for allocation in base.allocations:
        if allocation.service in cost:
            cost[allocation.service] += allocation.cost_per_hour
    return sorted(cost, key=lambda name: -cost[name])[:_MOST_SERVICES]


def _latencies(fleet: FleetSpec) -> Iterator[tuple[str, tuple[str, ...]]]:
    for one in fleet.classes:
        paths: dict[str, list[str]] = {}
        for entry, slo in enumerate(one.slos):
            for place, target in enumerate(slo.targets):
                if target.metric.is_latency:
                    path = (
                        f"{named_entry('classes', one.name)}.slos[{entry}].targets[{place}].bound"
                    )
                    words = target.metric.value.removesuffix("_ms").upper()
                    paths.setdefault(words, []).append(path)
        yield from ((f"{words} of {one.name}", tuple(mine)) for words, mine in paths.items())
