"""Plans of units: of a group alone its own, of groups that must agree a plan of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.plan_clusters import Cluster
from solvers.plan_enumeration import CellPlans
from solvers.plan_groups import PlanGroups
from solvers.problem import FloatArray, IntArray

__all__ = ["Plans", "plans_of_units"]


@dataclass(frozen=True, slots=True, eq=False)
class Plans:
    """Plans of units.

    Parameters
    ----------
    unit
        (plans,).
    plan, column, count
        (entries,), counts of each plan that are not 0.
    stay_plan, stay_group, stay_share
        (shares,), shares of the demand of groups that plans leave unserved.
    least
        (units,), a lower bound on the value of any plan of the unit.
    complete
        (units,), every plan of a smaller value than this is listed.
    """

    unit: IntArray
    plan: IntArray
    column: IntArray
    count: IntArray
    stay_plan: IntArray
    stay_group: IntArray
    stay_share: FloatArray
    least: FloatArray
    complete: FloatArray


def plans_of_units(groups: PlanGroups, plans: CellPlans, distance: float, listed: int) -> Plans:
    """Combine the plans of cells.

    Parameters
    ----------
    distance
        From the best of a unit, >= 0: plans beyond are left out.
    listed
        Plans of one unit at most.
    """
    clusters = groups.clusters
    units = clusters.units
    joint = np.zeros(units, dtype=np.bool_)
    joint[list(clusters.ways)] = True
    unit_of_cell = clusters.unit[clusters.cell_group]
    single = np.flatnonzero(~joint[unit_of_cell])
    least, complete = np.full(units, np.inf), np.full(units, np.inf)
    least[unit_of_cell[single]] = plans.least[single]
    complete[unit_of_cell[single]] = plans.complete[single]
    alone = np.flatnonzero(~joint[unit_of_cell[plans.cell]])
    unit, parts = [unit_of_cell[plans.cell[alone]]], [np.stack([np.arange(len(alone)), alone])]
    first = np.searchsorted(plans.cell, np.arange(len(clusters.cell_group) + 1))
    number = len(alone)
    for joint_unit, ways in clusters.ways.items():
        best, known, combined = _combined(plans, first, ways, distance, listed)
        least[joint_unit], complete[joint_unit] = best, known
        for members in combined:
            parts.append(np.stack([np.full(len(members), number), members]))
            number += 1
        unit.append(np.full(len(combined), joint_unit))
    part, member = np.concatenate(parts, axis=1)
    return _gathered(groups, plans, np.concatenate(unit), part, member, least, complete)


def _combined(
    plans: CellPlans, first: IntArray, ways: Cluster, distance: float, listed: int
) -> tuple[float, float, list[IntArray]]:
    """Return the least value, up to where the list is complete, and the plans of each."""
    least = [float(plans.least[way].sum()) for way in ways]
    best = min(least, default=np.inf)
    limit = best + distance + 1e-9
    complete = np.inf
    values: list[FloatArray] = []
    members: list[IntArray] = []
    for way, floor in zip(ways, least, strict=True):
        if not floor <= limit or np.isinf(floor):
            complete = min(complete, floor)
            continue
        complete = min(complete, floor + float((plans.complete[way] - plans.least[way]).min()))
        value, chosen = np.zeros(1), np.zeros((1, 0), dtype=np.int64)
        rest = floor
        for cell in way.tolist():
            mine = np.arange(first[cell], first[cell + 1])
            rest -= float(plans.least[cell])
            value = (value[:, None] + plans.value[mine]).ravel()
            chosen = np.hstack([np.repeat(chosen, len(mine), axis=0),
                                np.tile(mine, len(chosen))[:, None]])  # fmt: skip
            kept = np.flatnonzero(value + rest <= limit)
            if len(kept) > listed:
                order = kept[np.argsort(value[kept], kind="stable")]
                complete = min(complete, float(value[order[listed]]) + rest)
                kept = order[:listed]
            value, chosen = value[kept], chosen[kept]
        values.append(value)
        members.append(chosen)
    complete = min(complete, best + distance)
    if not values:
        return best, complete, []
    total = np.concatenate(values)
    order = np.argsort(total, kind="stable")
    if len(order) > listed:
        complete = min(complete, float(total[order[listed]]))
    stacked = np.concatenate(members)
    return best, complete, list(stacked[order[:listed]])


def _gathered(
    groups: PlanGroups,
    plans: CellPlans,
    unit: IntArray,
    part: IntArray,
    member: IntArray,
    least: FloatArray,
    complete: FloatArray,
) -> Plans:
    """Put the entries of each plan's members together, those they begin with included."""
    order = np.argsort(plans.plan, kind="stable")
    bounds = np.searchsorted(plans.plan[order], np.arange(len(plans.cell) + 1))
    width = bounds[member + 1] - bounds[member]
    place = np.arange(int(width.sum())) - np.repeat(np.cumsum(width) - width, width)
    entry = order[np.repeat(bounds[member], width) + place]
    taken = groups.begin_column[plans.begin[member]]
    begun = np.flatnonzero(taken >= 0)
    left = plans.left[member]
    stays = np.flatnonzero(left > 0)
    return Plans(
        unit=unit,
        plan=np.concatenate([np.repeat(part, width), part[begun]]),
        column=np.concatenate([plans.column[entry], taken[begun]]),
        count=np.concatenate([plans.count[entry], np.ones(len(begun), dtype=np.int64)]),
        stay_plan=part[stays],
        stay_group=groups.clusters.cell_group[plans.cell[member[stays]]],
        stay_share=left[stays],
        least=least,
        complete=complete,
    )
