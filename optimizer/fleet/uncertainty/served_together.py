"""Replicas decided before the load is known, everyone served together with a probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.uncertainty.loads import ScenarioLoads
from optimizer.fleet.uncertainty.scenario_columns import ScenarioColumns
from optimizer.spec.fleet_spec import FleetSpec
from solvers import AllocationProblem, Links, SolveResult, SparseColumns

__all__ = ["TogetherColumns"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Probabilities are sums of decimal fractions.
_ROUNDING = 1e-9


class TogetherColumns:
    """A column for every candidate at every load of its service: replicas for that load.

    The array problem of scenarios w with probabilities p_w, of which some may be given up:

        sum of x over the columns of s that are sized for the load of w, plus unserved_s >= z_w
        sum of p_w z_w >= the stated probability,   z_w 0 or 1

    Parameters
    ----------
    spec
        The fleet.
    problems
        Of each scenario, see `problems_at`.
    loads
        The scenarios.
    """

    def __init__(
        self, spec: FleetSpec, problems: Sequence[FleetProblem], loads: ScenarioLoads
    ) -> None:
        self.loads = loads
        owners, levels, costs, usages = [], [], [], []
        for place, problem in enumerate(problems):
            arrays = problem.arrays
            assert arrays is not None
            earlier = loads.rates_rps[:place]
            fresh = ~(earlier == loads.rates_rps[place]).any(axis=0)
            columns = np.flatnonzero(~problem.columns.unserved & fresh[arrays.group])
            owners.append(arrays.group[columns])
            levels.append(loads.rates_rps[place, arrays.group[columns]])
            costs.append(arrays.cost[columns])
            usages.append(arrays.usage.take(columns).to_dense())
        base = problems[0].arrays
        assert base is not None
        self.level: FloatArray = np.concatenate(levels)
        self.ways = ScenarioColumns(
            spec,
            base,
            np.concatenate(owners),
            np.concatenate(costs),
            np.hstack(usages),
            base.capacity,
        )

    def problem(self, probability: float) -> AllocationProblem | None:
        """Return the array problem with its links; None where it has no solution."""
        ways, rates = self.ways, self.loads.rates_rps
        scenarios, services = rates.shape
        rows = scenarios * services
        place, column = np.nonzero(rates[:, ways.owner] <= self.level)
        row = ways.owner[column] * scenarios + place
        if ways.may_stay_unserved:
            # Served or given up altogether: a service left unserved is not what a scenario lacks.
            row = np.concatenate([row, np.arange(rows)])
            stays = len(ways.owner) + np.arange(rows) // scenarios
            column = np.concatenate([column, stays])
        every = np.tile(np.arange(scenarios), services)
        links = Links(
            np.append(np.zeros(rows), probability - _ROUNDING),
            np.full(rows + 1, np.inf),
            SparseColumns.from_triplets(
                (rows + 1, ways.size), rows=row, columns=column, values=np.ones(len(row))
            ),
            SparseColumns.from_triplets(
                (rows + 1, scenarios),
                rows=np.concatenate([np.arange(rows), np.full(scenarios, rows)]),
                columns=np.concatenate([every, np.arange(scenarios)]),
                values=np.concatenate([np.full(rows, -1.0), self.loads.probability]),
            ),
            upper=np.ones(scenarios),
            integer=np.ones(scenarios, dtype=np.bool_),
        )
        return ways.problem(links)

    @property
    def cannot(self) -> str:
        """Words for what nothing can serve though it must be."""
        return self.ways.cannot

    def levels_of(self, result: SolveResult) -> FloatArray:
        """Return (services,), the load that each service is sized for; 0 where it is unserved."""
        x = result.x
        assert x is not None
        found = np.zeros(self.loads.rates_rps.shape[1])
        taken = np.flatnonzero(x[: len(self.level)] > 0)
        found[self.ways.owner[taken]] = self.level[taken]
        return found
