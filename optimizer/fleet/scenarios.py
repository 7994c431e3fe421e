"""Many fleets solved one by one or side by side: the answers keep the order of the questions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from optimizer.fleet.optimize import optimize
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.uncertainty import UncertainPlan, optimize_uncertain
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["solve_each"]

# Below this many fleets the start of other processes costs more than it saves.
_FEWEST_FOR_PROCESSES = 4


def solve_each(
    fleets: Sequence[FleetSpec],
    *,
    jobs: int | None = None,
    told: Callable[[int, FleetPlan | UncertainPlan], None] | None = None,
) -> list[FleetPlan | UncertainPlan]:
    """Solve every fleet as if it were the only one.

    Parameters
    ----------
    fleets
        Validated fleets.
    jobs
        Processes; by default one per processor, or this process alone for a few fleets.
    told
        Called with position and plan whenever one is there, in order.

    Returns
    -------
    list of FleetPlan or UncertainPlan
        In order, of uncertain loads where the fleet has `uncertainty`; without the candidates that
        `explain` needs.

    Raises
    ------
    solvers.SolverError, queue_models.QueueModelError, PlanError
        As from `optimize` and `optimize_uncertain`.
    """
    plans = []
    for position, plan in enumerate(_plans(fleets, _processes(jobs, len(fleets)))):
        if told is not None:
            told(position, plan)
        plans.append(plan)
    return plans


def _processes(jobs: int | None, fleets: int) -> int:
    if jobs is None:
        jobs = 1 if fleets < _FEWEST_FOR_PROCESSES else os.cpu_count() or 1
    return max(min(jobs, fleets), 1)


def _plans(fleets: Sequence[FleetSpec], processes: int) -> Iterator[FleetPlan | UncertainPlan]:
    if processes == 1:
        yield from map(_words_of_plan, fleets)
        return
    from joblib import Parallel, delayed

    work = Parallel(n_jobs=processes, return_as="generator")
    yield from work(delayed(_words_of_plan)(fleet) for fleet in fleets)


def _words_of_plan(fleet: FleetSpec) -> FleetPlan | UncertainPlan:
    """Solve, and keep what the document of the plan holds: tables of candidates are large."""
    if fleet.uncertainty is not None:
        return UncertainPlan.model_validate(optimize_uncertain(fleet).model_dump())
    return FleetPlan.model_validate(optimize(fleet).model_dump())
