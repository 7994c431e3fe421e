"""Replicas decided before the load is known, shares after: everyone served with a probability.

Where services split, rate shares are the recourse: counts n_k serve a load if the replicas that
carry load are enough for it together, whatever the shares.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import CombinationError
from optimizer.fleet.linked import Linked
from optimizer.fleet.linked_parts import with_limits
from optimizer.fleet.problem import build_problem
from optimizer.fleet.uncertainty.loads import ScenarioLoads, with_rates
from optimizer.spec.fleet_spec import FleetSpec
from solvers import AllocationProblem, SolveResult, Split

__all__ = ["SharesTogether"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Probabilities are sums of decimal fractions.
_ROUNDING = 1e-9


class SharesTogether:
    """The array problem of scenarios w with probabilities p_w, of which some may be given up.

        sum over k of s of R_k (n_k - spares_k [n_k > 0]) + load_sw unserved_s >= load_sw z_w
        sum of p_w z_w >= the stated probability,   z_w 0 or 1

    beside that of the least loads, which every scenario has.

    Parameters
    ----------
    spec
        The fleet; every service whose load varies splits.
    loads
        The scenarios.

    Raises
    ------
    CombinationError
        If a service whose load varies chooses or comes in length buckets, load may be shed, power
        that follows the load is counted, or the objective is lexicographic.
    """

    def __init__(self, spec: FleetSpec, loads: ScenarioLoads) -> None:
        self._loads = loads
        self._served: list[int] = []
        self._varies = np.ptp(loads.rates_rps, axis=0) > 0
        # Sized for the largest loads: these say how many replicas are ever worth having.
        self._problem = build_problem(with_rates(spec, loads.rates_rps.max(axis=0)))
        self._refuse()

    @property
    def cannot(self) -> str:
        """Words for what nothing can serve though it must be."""
        names = [self._problem.table.spec.services[s].name for s in self._problem.impossible]
        return f"nothing can serve what must be served: {', '.join(names)}"

    def _refuse(self) -> None:
        problem = self._problem
        spec = problem.table.spec
        split = None if problem.arrays is None else problem.arrays.split
        what = ""
        for index in np.flatnonzero(self._varies).tolist():
            service = spec.services[index]
            if service.length_buckets is not None:
                what = f"service {service.name!r} comes in length buckets"
            elif not problem.columns.counted[index] and index not in problem.impossible:
                what = f"service {service.name!r} chooses one accelerator beside others that split"
        if spec.optimizer.stages:
            what = "the objective is lexicographic"
        elif problem.linked is not None and problem.linked.by_load is not None:
            what = "power or carbon is counted, which follow the load of services that split"
        elif split is not None and split.unserved_cost is not None:
            what = "a part of a load may be shed (partial_service)"
        if what:
            raise CombinationError(
                f"{what}, which is not done with serve_probability below 1 of the whole fleet; "
                f"replicas that are fixed can be planned for every scenario, or with "
                f"probability_of: service"
            )

    def problem(self, probability: float) -> AllocationProblem | None:
        """Return the array problem; None where something that must be served cannot be."""
        problem, loads = self._problem, self._loads
        arrays = problem.arrays
        if arrays is None:
            return None
        split = arrays.split
        assert split is not None
        linked = Linked(problem.columns, split.edges)
        if problem.linked is not None:
            linked = problem.linked.own_copy()
        served = [linked.add_column(f"scenario {name}: served", upper=1.0) for name in loads.names]
        carried, idle = self._carried(linked, split)
        columns = problem.columns
        for service in np.flatnonzero(self._varies).tolist():
            mine = np.where(columns.owner == service, carried, 0.0)
            stays = (columns.owner == service) & columns.unserved
            least = float(loads.rates_rps[:, service].min())
            for place, rate in enumerate(loads.rates_rps[:, service].tolist()):
                if rate > least:
                    of_z = {served[place]: -rate, **idle.get(service, {})}
                    linked.add_row(
                        f"{problem.table.spec.services[service].name}: {loads.names[place]}",
                        mine + np.where(stays, rate, 0.0),
                        of_z,
                        lower=0.0,
                    )
        linked.add_row(
            "serve_probability",
            np.zeros(arrays.columns),
            dict(zip(served, loads.probability.tolist(), strict=True)),
            lower=probability - _ROUNDING,
        )
        self._served = served
        least_demand = loads.rates_rps.min(axis=0)[split.owner]
        arrays_of = {**dict(split.arrays()), "demand": least_demand}
        return dataclasses.replace(
            arrays,
            split=with_limits(columns, Split(**arrays_of)),
            links=linked.links(problem.measure),
        )

    def _carried(
        self, linked: Linked, split: Split
    ) -> tuple[FloatArray, dict[int, dict[int, float]]]:
        """Return what one replica of each column carries; and, by service, what spares do not.

        Whether a column has any replica is a further column where it has spares.
        """
        columns, table = self._problem.columns, self._problem.table
        carried = np.zeros(len(columns.candidate))
        carried[split.edge_column] = split.edge_rate
        idle: dict[int, dict[int, float]] = {}
        for column in np.flatnonzero(carried).tolist():
            owner = int(columns.owner[column])
            spares = table.spec.services[owner].spares
            if not spares or not self._varies[owner]:
                continue
            name = f"{table.spec.services[owner].name}: any of {column}"
            any_ = linked.add_column(name, upper=1.0)
            one = np.zeros(len(carried))
            one[column] = 1.0
            most = float(max(table.replicas[columns.candidate[column]], 1))
            linked.add_row(name, one, {any_: -most}, upper=0.0)
            idle.setdefault(owner, {})[any_] = -spares * float(carried[column])
        return carried, idle

    def levels_of(self, result: SolveResult) -> FloatArray:
        """Return (services,), the load that each service is sized for."""
        assert result.z is not None
        kept = np.round(result.z[self._served]) > 0
        levels: FloatArray = self._loads.rates_rps[kept].max(axis=0)
        return levels
