"""Columns for arrays that hold several loads: what the problems of single loads have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import CombinationError
from optimizer.fleet.candidates_over_loads import candidates_at_each
from optimizer.fleet.problem import FleetProblem, build_problem, problem_of
from optimizer.fleet.replica_pools import may_share
from optimizer.fleet.uncertainty.loads import with_rates
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import UnservedPolicy
from solvers import AllocationProblem, Links, SparseColumns

__all__ = ["ScenarioColumns", "problems_at"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def problems_at(
    spec: FleetSpec, rates_rps: Iterable[FloatArray], where: str, *, linked: bool = False
) -> list[FleetProblem]:
    """Return the problem of every load, in which any service may stay unserved.

    Parameters
    ----------
    where
        What asks for them, for the message.
    linked
        Whether it knows purchases, which are further columns of each load.

    Raises
    ------
    CombinationError
        If a problem has counts or rates, or further columns that are not known.
    """
    options = spec.optimizer.model_copy(update={"unserved": UnservedPolicy.ALLOWED})
    open_ended = spec.model_copy(update={"optimizer": options})
    if may_share(spec):
        tables = candidates_at_each(open_ended, np.array(list(rates_rps)))
        problems = [problem_of(table) for table in tables]
    else:
        problems = [build_problem(with_rates(open_ended, rates)) for rates in rates_rps]
    for problem in problems:
        _refuse_links(problem, where, linked=linked)
    return problems


def _refuse_links(problem: FleetProblem, where: str, *, linked: bool) -> None:
    arrays = problem.arrays
    assert arrays is not None
    what = ""
    if arrays.split is not None:
        first = problem.table.spec.services[int(np.argmax(arrays.split.groups))]
        what = f"service {first.name!r} splits or comes in length buckets"
    elif arrays.links is not None and arrays.links.columns and not linked:
        what = "the fleet has purchase tiers"
    elif problem.table.spec.optimizer.stages:
        what = "the objective is lexicographic"
    if what:
        raise CombinationError(
            f"{what}, which is not done {where}; replicas that are fixed can be planned for every "
            f"scenario, or with probability_of: service"
        )


@dataclass(frozen=True, eq=False)
class ScenarioColumns:
    """Ways to serve every service, before "unserved" is added.

    Parameters
    ----------
    spec
        The fleet.
    base
        The problem of one load: what "unserved" costs and uses, and the priorities.
    owner
        (n,), service of each way.
    cost
        (n,), what it costs.
    usage
        (rows, n), what it uses of each row; the rows of `base`, once or several times.
    capacity
        (rows,).
    """

    spec: FleetSpec
    base: AllocationProblem
    owner: IntArray
    cost: FloatArray
    usage: FloatArray
    capacity: FloatArray

    @property
    def may_stay_unserved(self) -> bool:
        """Whether services may be left unserved."""
        return self.spec.optimizer.unserved is UnservedPolicy.ALLOWED

    @property
    def size(self) -> int:
        """Number of columns, "unserved" included."""
        return len(self.owner) + (len(self.spec.services) if self.may_stay_unserved else 0)

    @property
    def impossible(self) -> tuple[str, ...]:
        """Services that must be served, and that nothing can serve."""
        if self.may_stay_unserved:
            return ()
        without = np.setdiff1d(np.arange(len(self.spec.services)), self.owner)
        return tuple(self.spec.services[service].name for service in without.tolist())

    @property
    def cannot(self) -> str:
        """Words for the services that are `impossible`."""
        return f"nothing can serve what must be served: {', '.join(self.impossible)}"

    def problem(self, links: Links | None, *, priced: bool = True) -> AllocationProblem | None:
        """Return the array problem: the ways as given, then "unserved" by service.

        None where something that must be served cannot be.

        Parameters
        ----------
        links
            Over all these columns.
        priced
            Whether the ways carry their costs; else the links do.
        """
        if self.impossible:
            return None
        n, staying = len(self.owner), self.size - len(self.owner)
        usage = self.usage
        cost = self.cost if priced else np.zeros(n)
        owner = self.owner
        if staying:
            assert self.base.unserved is not None
            columns = np.flatnonzero(self.base.unserved)
            unserved = self.base.usage.take(columns).to_dense()
            again = len(self.capacity) // max(self.base.rows, 1)
            usage = np.hstack([usage, np.tile(unserved, (again, 1))])
            cost = np.append(cost, self.base.cost[columns])
            owner = np.append(owner, self.base.group[columns])
        rows, entries = np.nonzero(usage)
        return AllocationProblem(
            cost,
            SparseColumns.from_triplets(
                usage.shape, rows=rows, columns=entries, values=usage[rows, entries]
            ),
            self.capacity,
            owner,
            priority=self.base.priority if staying else None,
            unserved=np.arange(self.size) >= n if staying else None,
            links=links,
        )
