"""What cost is weighed against: a sum over what a fleet's array problem decides."""

from __future__ import annotations

import dataclasses
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import ModelError
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.cost_stage import arrays_of
from optimizer.fleet.linked import Linked
from optimizer.fleet.linked_parts import add_moves, with_limits
from optimizer.fleet.objective import of_both_pools
from optimizer.fleet.power_links import PowerRows
from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.resources import KINDS
from optimizer.fleet.today import Today
from solvers import AllocationProblem, LinearSum

__all__ = ["ParetoMeasure", "with_measure"]

FloatArray = NDArray[np.float64]


class ParetoMeasure(StrEnum):
    """What cost is weighed against; the less, the better."""

    TTFT_MS = "ttft_ms"  # means over all requests of the fleet
    ITL_MS = "itl_ms"
    E2E_MS = "e2e_ms"
    POWER_KW = "power_kw"
    CARBON_KG_PER_HOUR = "carbon_kg_per_hour"
    CARDS = "cards"
    MOVES = "moves"  # services that leave the accelerator they are on

    @property
    def is_latency(self) -> bool:
        """Whether it is a mean over requests."""
        return self.value.endswith("_ms")


def with_measure(problem: FleetProblem, measure: ParetoMeasure) -> tuple[FleetProblem, LinearSum]:
    """Return the problem, with the columns that the measure needs, and the measure in it, >= 0.

    Where services split, power follows their loads and a move is that of any of their replicas,
    which takes further columns.

    Parameters
    ----------
    problem
        A fleet's.

    Raises
    ------
    InfeasibleError
        If something that must be served cannot be.
    ModelError
        If a latency is asked for that the queue model does not know, or of services that split, or
        moves of a fleet of which nothing is deployed.
    """
    arrays, columns = arrays_of(problem), problem.columns
    if measure.is_latency:
        _require_choices(problem, measure)
    if arrays.split is None:
        of_x = columns.spread(_of_candidates(problem.table, measure))
        return problem, LinearSum(of_x, np.zeros(_further(arrays)), np.zeros(0))
    if measure is ParetoMeasure.MOVES:
        _require_deployed(problem.table)
    linked = Linked(columns, arrays.split.edges)
    if problem.linked is not None:
        linked = problem.linked.own_copy()
    of_x, of_rates, of_z = np.zeros(arrays.columns), np.zeros(arrays.split.edges), {}
    if measure is ParetoMeasure.MOVES:
        of_x, of_z = columns.spread(Today.of(problem.table).moved), add_moves(linked)
    else:
        of_x, of_rates, of_z = PowerRows(linked, arrays.split).add_terms(KINDS[measure.value])
    split, links = with_limits(columns, arrays.split, linked.worth), linked.links(problem.measure)
    wider = dataclasses.replace(arrays, split=split, links=links)
    further = np.zeros(_further(wider))
    further[list(of_z)] = list(of_z.values())
    changed = dataclasses.replace(problem, arrays=wider, linked=None if links is None else linked)
    return changed, LinearSum(of_x, further, of_rates)


def _further(arrays: AllocationProblem) -> int:
    return 0 if arrays.links is None else arrays.links.columns


def _require_choices(problem: FleetProblem, measure: ParetoMeasure) -> None:
    """Refuse latencies that depend on shares of the load."""
    counted = np.flatnonzero(problem.columns.counted)
    if counted.size:
        name = problem.table.spec.services[int(counted[0])].name
        raise ModelError(
            f"{measure}: service {name!r} is served by shares of its load, and latency is no sum "
            f"over shares: weigh cost against power_kw, carbon_kg_per_hour, cards or moves, or let "
            f"it choose one accelerator (allocation: choose, without length_buckets)"
        )


def _require_deployed(table: CandidateTable) -> None:
    if not any(service.deployed for service in table.spec.services):
        raise ModelError("moves: no service says what serves it today (services[].current)")


def _of_candidates(table: CandidateTable, measure: ParetoMeasure) -> FloatArray:
    """Return (candidates,), what each adds to the fleet's figure.

    A mean over requests is a sum over services, each with its share of all requests.
    """
    if measure is ParetoMeasure.MOVES:
        _require_deployed(table)
        return np.asarray(Today.of(table).moves, dtype=np.float64)
    if not measure.is_latency:
        return of_both_pools(table, measure.value)
    rates = table.targets.rate_rps
    total = float(rates.sum())
    if total <= 0:
        raise ModelError(f"{measure}: no service has any load, so there is no mean over requests")
    values: FloatArray = getattr(table.metrics, measure.value) * (rates / total)[table.service]
    placed = table.accelerator >= 0
    unknown = placed & ~np.isfinite(values)
    unknown[np.setdiff1d(np.arange(len(table)), table.possible)] = False
    if unknown.any():
        name = table.spec.services[int(table.service[np.flatnonzero(unknown)[0]])].name
        raise ModelError(
            f"{measure}: queue model '{table.queue_model}' gives none for service {name!r}"
        )
    return np.where(placed & np.isfinite(values), values, 0.0)
