"""Which moves are worth it: as few as serve everyone, or those that pay and disturb nobody.

A move is a rise and a fall: what replaces a replica starts up beside it. Where its cards are to
come from others who move, nobody can begin without leaving load unserved: such moves are made
only where somebody is not served otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from optimizer.control.quotas import QuotaRow
from optimizer.control.spec import Variant
from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.split_services import by_counts
from optimizer.spec.objective import TransitionSpec
from optimizer.spec.options import PriorityMode

__all__ = ["fits_beside", "moving_few", "paying_for_starts", "with_room_beside"]

# Share of the penalty of leaving a service unserved that a move counts for at most.
_OF_PENALTY = 0.5
# Sums of what replicas hold are held to capacities up to this.
_ROUNDING = 1e-9


def moving_few(table: CandidateTable) -> CandidateTable:
    """Return the table with moves so dear that as few services move as serve everyone.

    Each counts as much as the dearest service does; less than leaving anyone unserved, where that
    is weighed against money.
    """
    options = table.spec.optimizer
    cheapest = np.full(len(table.spec.services), np.inf)
    rows = table.possible
    np.minimum.at(cheapest, table.service[rows], table.cost_per_hour[rows])
    dearest = float(cheapest[np.isfinite(cheapest)].max(initial=0.0))
    if options.priorities is PriorityMode.WEIGHTED:
        penalties = [c.unserved_penalty_per_hour for c in table.spec.classes]
        known = [options.unserved_penalty_per_hour if p is None else p for p in penalties]
        dearest = min([dearest, *(_OF_PENALTY * p for p in known if p)])
    price = max(dearest * options.transition.horizon_h, options.transition.cost_per_move)
    return _with_transition(table, options.transition.model_copy(update={"cost_per_move": price}))


def paying_for_starts(table: CandidateTable, every_h: float) -> CandidateTable:
    """Return the table with a price on what is started: it is paid while it starts up.

    What the fleet itself says that changes cost counts instead.

    Parameters
    ----------
    table
        The candidates.
    every_h
        Time until services may move again, in which it has to pay [h].
    """
    said = table.spec.optimizer.transition
    if said != TransitionSpec(start_up_s=said.start_up_s):
        return table
    return _with_transition(table, said.model_copy(update={"horizon_h": every_h}))


def with_room_beside(
    table: CandidateTable,
    quotas: Sequence[QuotaRow],
    row_of: Mapping[Variant, int],
    running: Mapping[Variant, int],
) -> CandidateTable:
    """Return the table without moves of one service for which there is no room beside what runs."""
    free = _free(quotas, running)
    there = {variant.service for variant, count in running.items() if count > 0}
    split = by_counts(table)
    verdict = table.verdict.copy()
    for quota in quotas:
        for variant, each in quota.per_replica.items():
            row = row_of[variant]
            if running.get(variant, 0) > 0 or variant.service not in there or split[row]:
                continue
            if verdict[row] == Verdict.POSSIBLE:
                beyond = each * int(table.replicas[row]) > free[quota.name] + _ROUNDING
                verdict[row] = Verdict.PINNED if beyond else verdict[row]
    return dataclasses.replace(table, verdict=verdict)


def fits_beside(
    quotas: Sequence[QuotaRow], replicas: Mapping[Variant, int], running: Mapping[Variant, int]
) -> bool:
    """Whether all that is started of services that move fits beside all that runs."""
    free = _free(quotas, running)
    stays = {v.service for v, n in running.items() if n > 0 and replicas.get(v, 0) > 0}
    there = {v.service for v, n in running.items() if n > 0}
    started = {
        v: n - running.get(v, 0)
        for v, n in replicas.items()
        if v.service in there - stays and n > running.get(v, 0)
    }
    return all(
        sum(n * quota.per_replica.get(v, 0.0) for v, n in started.items())
        <= free[quota.name] + _ROUNDING
        for quota in quotas
    )


def _free(quotas: Sequence[QuotaRow], running: Mapping[Variant, int]) -> dict[str, float]:
    """Return what is left of every resource beside what runs."""
    return {
        quota.name: quota.capacity
        - sum(n * quota.per_replica.get(v, 0.0) for v, n in running.items())
        for quota in quotas
    }


def _with_transition(table: CandidateTable, transition: TransitionSpec) -> CandidateTable:
    options = table.spec.optimizer.model_copy(update={"transition": transition})
    return dataclasses.replace(table, spec=table.spec.model_copy(update={"optimizer": options}))
