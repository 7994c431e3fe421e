"""The plan of a horizon: forecast, array problem, answer, words."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import CombinationError, PlanError
from optimizer.fleet.estimates import with_estimates
from optimizer.fleet.horizon.check_horizon import check_horizon
from optimizer.fleet.horizon.formulation import HorizonProblem, horizon_problem
from optimizer.fleet.horizon.horizon_plan import (
    Commitment,
    HorizonCost,
    HorizonPlan,
    PeriodAllocation,
    PeriodPlan,
)
from optimizer.fleet.horizon.replica_choices import ReplicaChoices
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.horizon import HorizonSpec
from optimizer.spec.overriding import with_options
from solvers import CancelFlag, Progress, Reason, SolveResult, check, solve

__all__ = ["forecast_rates", "plan_horizon"]

# Shares below it are rounding of a linear programme.
_NO_SHARE = 1e-7
# Divisions such as 6.0 / 2.0000000001 must not cost a replica.
_ROUNDING = 1e-6

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def plan_horizon(
    spec: FleetSpec,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancel: CancelFlag | None = None,
    **options: Any,
) -> HorizonPlan:
    """Plan all periods of a fleet's horizon together.

    Parameters
    ----------
    spec
        A validated fleet with `horizon.periods`.
    progress, cancel
        As of `optimize`.
    **options
        Fields of `OptimizerSpec` that replace the fleet's own.

    Raises
    ------
    PlanError
        If there is no horizon; `CombinationError` if the fleet has what a horizon does not know.
    SpecError, solvers.SolverError, queue_models.QueueModelError
        As from `optimize`; `PlanError` also where the plan fails `check_horizon`.
    """
    if options:
        spec = with_options(spec, **options)
    horizon = spec.horizon
    if horizon is None or not horizon.periods:
        raise PlanError(
            "the fleet has no periods: give horizon: {periods: [{factor: 1}, {factor: 1.5}]}, or "
            "a table of loads with --loads"
        )
    if spec.uncertainty is not None:
        raise CombinationError(
            "the fleet has a horizon and uncertain loads, which are not planned together: remove "
            "`horizon`, or `uncertainty` and forecast high loads"
        )
    choices = ReplicaChoices.of(with_estimates(spec), forecast_rates(spec, horizon))
    problem = horizon_problem(choices, horizon)
    if problem.arrays is None:
        names = {spec.services[service].name for service, _ in problem.impossible}
        lacking = f"nothing can serve what must be served: {', '.join(sorted(names))}"
        return _document(problem, horizon, Reason.INFEASIBLE, detail=lacking)
    result = _solve(problem, spec, progress, cancel)
    if result.x is None:
        return _document(
            problem, horizon, result.termination.reason, detail=result.termination.detail,
            limit=result.termination.limit,
        )  # fmt: skip
    plan = _plan(problem, horizon, result)
    check_horizon(spec, plan).require()
    return plan


def forecast_rates(spec: FleetSpec, horizon: HorizonSpec) -> FloatArray:
    """Return (periods, services), arrival rates [requests/s]."""
    return np.array(
        [
            [
                period.rates_rps.get(service.name, service.load.arrival_rate_rps * period.factor)
                for service in spec.services
            ]
            for period in horizon.periods
        ]
    )


def _solve(
    problem: HorizonProblem,
    spec: FleetSpec,
    progress: Callable[[Progress], None] | None,
    cancel: CancelFlag | None,
) -> SolveResult:
    options = spec.optimizer
    assert problem.arrays is not None
    result = solve(
        problem.arrays,
        options.solver,
        time_limit_s=options.time_limit_s,
        relative_gap=options.relative_gap,
        seed=options.seed,
        threads=options.threads,
        progress=progress,
        cancel=cancel,
        **dict(options.solver_options),
    )
    if result.x is not None:
        report = check(problem.arrays, result.x, None, None, result.z)
        if not report.feasible:
            raise PlanError(
                f"the answer of solver '{result.statistics.solver}' fails the independent check: "
                f"{'; '.join(report.violations)}"
            )
    return result


def _plan(problem: HorizonProblem, horizon: HorizonSpec, result: SolveResult) -> HorizonPlan:
    assert result.x is not None
    assert result.z is not None
    choices = problem.choices
    periods = len(problem.serving)
    z = np.rint(result.z).astype(np.int64)
    serving, started = z[problem.serving], z[problem.starting]
    chosen = np.zeros(serving.shape, dtype=np.bool_)
    taken = np.flatnonzero((result.x > 0) & (problem.way >= 0))
    chosen[problem.period[taken], problem.way[taken]] = True
    rates = _split_rates(problem, result.x, result.z)
    chosen |= rates > 0
    delay = horizon.start_delay_periods
    ready = np.zeros_like(serving)
    ready[delay:] = started[: periods - delay] if delay < periods else 0
    first = serving[0].copy()
    if problem.start.known:
        first[:] = 0
        np.add.at(first, problem.start.pair_way, z[problem.kept])
    before = np.vstack([first[None, :], serving[:-1]])
    stopped = before + ready - serving
    # What would be stopped as it gets ready need not be started; where starts are free, it may be.
    idle = np.minimum(ready, stopped)
    stopped -= idle
    started[: max(periods - delay, 0)] -= idle[delay:]
    starting = np.array(
        [started[max(t - delay + 1, 0) : t + 1].sum(axis=0) for t in range(periods)]
    )
    starting = starting if delay else np.zeros_like(starting)
    moved = _moved(problem, chosen)
    lost = _lost(problem)
    committed = z[problem.committed]
    stops = int(stopped.sum()) + sum(a.stopped for a in lost)
    cost = _cost(choices, horizon, serving + starting, started, stops, moved, committed)
    documents = []
    for t, period in enumerate(horizon.periods):
        seen = chosen[t] | (serving[t] + starting[t] + started[t] + stopped[t] > 0)
        loads = choices.rates_rps[t].tolist()
        served = set(choices.service[chosen[t]].tolist())
        whole = problem.served[t]
        served |= set(np.flatnonzero((whole >= 0) & (result.x[whole] > 0)).tolist())
        services = choices.spec.services
        documents.append(
            PeriodPlan(
                name=period.name or f"{t}",
                rates_rps={s.name: rate for s, rate in zip(services, loads, strict=True)},
                allocations=(*(lost if t == 0 else ()), *(
                    _allocation(
                        choices, k, carries=bool(chosen[t, k]),
                        needed=_needed(problem, t, k, rates[t, k]) if chosen[t, k] else 0,
                        rate_rps=float(rates[t, k]) if rates[t, k] else None,
                        serving=int(serving[t, k]), starting=int(starting[t, k]),
                        started=int(started[t, k]), stopped=int(stopped[t, k]),
                    )
                    for k in np.flatnonzero(seen).tolist()
                )),
                unserved=tuple(s.name for i, s in enumerate(services) if i not in served),
                moved=tuple(services[i].name for i in moved[t]),
            )
        )  # fmt: skip
    finite = math.isfinite(result.dual_bound)
    hours = periods * horizon.period_hours
    return _document(
        problem,
        horizon,
        result.termination.reason,
        limit=result.termination.limit,
        total_cost=cost.total,
        total_cost_per_hour=cost.total / hours,
        cost=cost,
        primal_bound=result.primal_bound,
        dual_bound=result.dual_bound if finite else None,
        relative_gap=result.relative_gap if finite else None,
        commitments=tuple(
            Commitment(accelerator=c.accelerator, instances=count, cost_per_hour=c.cost_per_hour)
            for c, count in zip(horizon.commitments, committed.tolist(), strict=True)
        ),
        periods=tuple(documents),
        solver=result.statistics.solver,
    )


def _split_rates(problem: HorizonProblem, x: IntArray, z: FloatArray) -> FloatArray:
    """Return (periods, ways), what goes to each way of services that split [requests/s]."""
    choices, split = problem.choices, problem.split
    shares = np.zeros(problem.serving.shape)
    shares[:, split.way] = np.where(z[split.share] > _NO_SHARE, z[split.share], 0.0)
    for t, owner in zip(*np.nonzero(problem.served >= 0), strict=True):
        mine = choices.service == owner
        is_served = x[problem.served[t, owner]] > 0
        shares[t, mine] *= 1.0 / shares[t, mine].sum() if is_served else 0.0
    rates: FloatArray = shares * choices.rates_rps[:, choices.service]
    return rates


def _needed(problem: HorizonProblem, t: int, way: int, rate_rps: float) -> int:
    """Return the replicas that carry what goes to a way, spares included."""
    choices = problem.choices
    if not rate_rps:
        return int(choices.needed[t, way])
    each = float(choices.table.rate_per_replica_rps[choices.row[way]])
    spares = choices.spec.services[int(choices.service[way])].spares
    return math.ceil(rate_rps / each * (1 - _ROUNDING)) + spares


def _moved(problem: HorizonProblem, chosen: NDArray[np.bool_]) -> list[list[int]]:
    """Return, by period, the services whose load goes elsewhere than in the period before."""
    owner = problem.choices.service
    chosen = chosen & ~problem.choices.splits[owner]
    taken = np.flatnonzero(chosen[0] & problem.start.moved)
    moved: list[list[int]] = [np.unique(owner[taken]).tolist()]
    for before, now in pairwise(chosen):
        served = np.intersect1d(owner[before], owner[now])
        moved.append(np.intersect1d(served, owner[now & ~before]).tolist())
    return moved


def _lost(problem: HorizonProblem) -> list[PeriodAllocation]:
    """Return what runs today and no way goes on with: stopped as the first period begins."""
    start, services = problem.start, problem.choices.spec.services
    return [
        PeriodAllocation(
            service=services[start.service[place]].name,
            accelerator=start.entry[place].accelerator or "",
            max_batch=start.entry[place].max_batch,
            carries=False,
            needed=0,
            serving=0,
            starting=0,
            started=0,
            stopped=start.entry[place].replicas,
            instances=0,
        )
        for place in start.lost.tolist()
    ]


def _cost(
    choices: ReplicaChoices,
    horizon: HorizonSpec,
    paid: IntArray,
    started: IntArray,
    stops: int,
    moved: list[list[int]],
    committed: IntArray,
) -> HorizonCost:
    """Count the money from the counts."""
    machines = len(choices.table.inventory.names)
    used = np.zeros((len(paid), machines))
    for t, counts in enumerate(paid):
        np.add.at(used[t], choices.accelerator, counts * choices.instances)
    names = list(choices.table.inventory.names)
    bought = np.zeros(machines)
    for entry, count in zip(horizon.commitments, committed.tolist(), strict=True):
        bought[names.index(entry.accelerator)] = count
    on_demand = np.maximum(used - bought, 0.0) @ choices.table.inventory.cost_per_hour
    each = np.array([entry.cost_per_hour for entry in horizon.commitments])
    hours = horizon.period_hours
    return HorizonCost(
        running=float(on_demand.sum()) * hours,
        committed=float(committed @ each) * hours * len(paid) if len(each) else 0.0,
        starts=float(started.sum()) * horizon.start_cost,
        stops=stops * horizon.stop_cost,
        moves=sum(map(len, moved)) * horizon.move_cost,
    )


def _allocation(
    choices: ReplicaChoices, way: int, *, carries: bool, needed: int, rate_rps: float | None,
    serving: int, starting: int, started: int, stopped: int,
) -> PeriodAllocation:  # fmt: skip
    table, row = choices.table, int(choices.row[way])
    name = choices.spec.services[int(choices.service[way])].name
    stand_with = table.with_replicas(row)
    lead = choices.spec.services[int(table.service[stand_with])].name
    return PeriodAllocation(
        service=name,
        replicas_of=None if stand_with == row else lead,
        shared_with=table.sharers_of(row),
        accelerator=table.inventory.names[int(choices.accelerator[way])],
        configuration=table.configuration_of(row),
        max_batch=int(table.max_batch[row]) or None,
        carries=carries,
        needed=needed,
        rate_rps=rate_rps,
        serving=serving,
        starting=starting,
        started=started,
        stopped=stopped,
        instances=(serving + starting) * int(choices.instances[way]),
    )


def _document(
    problem: HorizonProblem, horizon: HorizonSpec, reason: Reason, **found: Any
) -> HorizonPlan:
    spec = problem.choices.spec
    return HorizonPlan(
        fleet=spec.name,
        currency=spec.currency,
        termination=reason,
        limit=found.pop("limit", None),
        period_hours=horizon.period_hours,
        queue_model=problem.choices.table.queue_model,
        notes=spec.notes,
        **found,
    )
