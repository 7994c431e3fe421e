"""From the loads that are expected and the replicas that run to the replicas that there should be.

The optimisation is the fleet's own, over a candidate table that is kept between the plans: see
`optimizer.fleet.resizing`. Services stay on the variants that they have, unless moves are allowed
or one of them is not served otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.control.errors import ControlError
from optimizer.control.expected_load import ExpectedLoad, fleet_with
from optimizer.control.proposal import Moves, Proposal
from optimizer.control.quotas import QuotaRow, price_of_one, quotas_of
from optimizer.control.spec import ControlSpec, Variant
from optimizer.control.worthwhile_moves import (
    fits_beside,
    moving_few,
    paying_for_starts,
    with_room_beside,
)
from optimizer.errors import PlanError
from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.problem import FleetProblem, problem_of
from optimizer.fleet.resizing import resized, with_rates
from optimizer.fleet.sizing import build_candidates
from optimizer.fleet.split_services import by_counts
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import PerformanceSpec
from optimizer.spec.options import SaturationPolicy, UnservedPolicy
from optimizer.spec.overriding import with_options
from solvers import AllocationProblem, SolveResult, check, saturate, solve

__all__ = ["Moves", "Planner", "Proposal"]

IntArray = NDArray[np.int64]

# A service without load today is sized at this rate once, for what a replica of it carries [1/s].
_DESIGN_RPS = 0.01
# Moves that are needed are made where they carry so many times as much.
_WORTH_MOVING = 1.05
# A service keeps its place where what runs carries this share of its load.
_KEEPS_PLACE = 0.5
_S_PER_H = 3600.0


class Planner:
    """Optimises one fleet again and again.

    Parameters
    ----------
    fleet
        The fleet; its loads are only where to begin.
    control
        Solver, gap, time limit and margin.

    Raises
    ------
    ControlError
        If the fleet has decode pools, shared replicas, length buckets or KV caches kept in stores:
        replicas of these are not deployed service by service.
    """

    def __init__(self, fleet: FleetSpec, control: ControlSpec) -> None:
        options: dict[str, object] = {
            "relative_gap": max(control.relative_gap, fleet.optimizer.relative_gap),
            "time_limit_s": control.time_limit_s,
            # A live fleet has more load than it can serve at times: it must still be run.
            "unserved": UnservedPolicy.ALLOWED,
        }
        if fleet.optimizer.saturation_policy is SaturationPolicy.NONE:
            options["saturation_policy"] = SaturationPolicy.PRIORITY_EXHAUSTIVE
        if control.tuning.method is not None:
            confidence = max(control.tuning.confidence, fleet.optimizer.performance_confidence)
            options["performance_confidence"] = confidence
        if control.solver is not None:
            options["solver"] = control.solver
        self._capacities = fleet.capacities
        self._margin = control.margin
        self._moves_every_h = control.stabilization.move_every_s / _S_PER_H
        spec = with_options(fleet, **options)
        self._table = resized(_design(spec), spec)
        self._variants = _variants(self._table)
        self._row_of = {v: row for row, v in enumerate(self._variants) if v is not None}
        self._of_service: dict[str, list[Variant]] = {}
        for variant in self._row_of:
            self._of_service.setdefault(variant.service, []).append(variant)
        self._price = price_of_one(self._table)
        self._quotas: tuple[object, tuple[QuotaRow, ...]] | None = None
        self._last: dict[bytes, SolveResult] = {}

    @property
    def fleet(self) -> FleetSpec:
        """The fleet with the loads of the last plan."""
        return self._table.spec

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Every way in which a service of the fleet can be deployed."""
        return tuple(self._row_of)

    def variants_of(self, service: str) -> tuple[Variant, ...]:
        """Every way in which one service can be deployed."""
        return tuple(self._of_service.get(service, ()))

    def rate_rps(self, variant: Variant) -> float:
        """Return what one replica carries within its objectives, less the margin; 0 if unknown."""
        row = self._row_of.get(variant)
        if row is None:
            return 0.0
        return float(self._table.rate_per_replica_rps[row]) * (1.0 - self._margin)

    def cost_per_hour(self, replicas: Mapping[Variant, int]) -> float:
        """Return what replicas cost per hour; those of unknown variants count nothing."""
        rows = ((self._row_of.get(v), count) for v, count in replicas.items())
        return sum(float(self._price[row]) * count for row, count in rows if row is not None)

    def quotas(self) -> tuple[QuotaRow, ...]:
        """Return what must hold at every instant, by the capacities of the last plan."""
        spec = self._table.spec
        if self._quotas is None or self._quotas[0] is not spec.capacities:
            self._quotas = spec.capacities, quotas_of(self._table, self._row_of)
        return self._quotas[1]

    def keep_to(self, variants: Collection[Variant]) -> None:
        """Plan with some variants alone: those that can be deployed."""
        verdict = self._table.verdict.copy()
        for variant, row in self._row_of.items():
            if variant not in variants and verdict[row] in (Verdict.POSSIBLE, Verdict.REPLICAS):
                verdict[row] = Verdict.PINNED
        self._table = dataclasses.replace(self._table, verdict=verdict)

    def retune(self, performance: Sequence[PerformanceSpec]) -> None:
        """Go on with other times in the performance entries, as a tuner learns them."""
        if len(performance) != len(self._table.spec.performance):
            raise ControlError("retune: the fleet has other performance entries; start anew")
        spec = self._table.spec.model_copy(update={"performance": tuple(performance)})
        self._table = resized(self._table, spec)

    def plan(
        self,
        loads: Mapping[str, ExpectedLoad],
        running: Mapping[Variant, int],
        *,
        moves: Moves = Moves.IF_NEEDED,
        cards: Mapping[str, int] | None = None,
        lasting: Mapping[str, ExpectedLoad] | None = None,
    ) -> Proposal:
        """Optimise.

        Parameters
        ----------
        loads
            By service; those that are not there keep what they were sized for last.
        running
            Replicas asked for today.
        moves
            Whether services may change place.
        cards
            Cards that can be used per type, where that is not as the fleet says.
        lasting
            The loads without backlogs that are worked off. Places are chosen for these, since
            backlogs will be gone when a move is done; and nobody gives up what serves such a load
            for a backlog, that of another or its own.

        Raises
        ------
        solvers.SolverError, PlanError
            If the solver fails, finds nothing, or its answer fails the independent check.
        """
        if lasting is None or lasting == loads:
            return self._planned(loads, running, moves, cards)
        placed = self._planned(lasting, running, moves, cards)
        late = {name for name, load in lasting.items() if loads.get(name, load) != load}
        whole = self._planned(loads, placed.replicas, Moves.NEVER, cards)
        short = late.intersection(self._short(placed, whole, lasting))
        if short:
            rest = {**loads, **{name: lasting[name] for name in short}}
            whole = self._planned(rest, placed.replicas, Moves.NEVER, cards)
        behind = {*placed.unserved, *late}
        if behind.issuperset(whole.unserved) and not self._short(placed, whole, lasting):
            chosen, behind = whole, {*whole.unserved, *short}
        else:
            chosen = placed
        names = tuple(s.name for s in self._table.spec.services if s.name in behind)
        return dataclasses.replace(chosen, unserved=names, moves_allowed=placed.moves_allowed)

    def _short(
        self, placed: Proposal, whole: Proposal, lasting: Mapping[str, ExpectedLoad]
    ) -> set[str]:
        """Return who is served whole in the one plan, and in the other not even what lasts.

        A service that splits and cannot be served whole gets nothing, for a backlog of its own too.
        """
        carried = self._carried_by_service(whole.replicas)
        return {
            name
            for name in set(whole.unserved).difference(placed.unserved)
            if name in lasting and carried.get(name, 0.0) < (1.0 - 1e-9) * lasting[name].rate_rps
        }

    def _planned(
        self,
        loads: Mapping[str, ExpectedLoad],
        running: Mapping[Variant, int],
        moves: Moves,
        cards: Mapping[str, int] | None,
    ) -> Proposal:
        spec = self._table.spec
        if cards is not None or spec.capacities is not self._capacities:
            spec = spec.model_copy(update={"capacities": self._capacities})
        self._table = resized(self._table, fleet_with(spec, loads, running, cards))
        table = self._table
        if self._margin:
            rate = table.rate_per_replica_rps * (1.0 - self._margin)
            table = resized(dataclasses.replace(table, rate_per_replica_rps=rate), table.spec)
        table, overloaded = self._within_reach(table)
        proposal = self._chosen(table, running, moves)
        if not overloaded:
            return proposal
        names = {*proposal.unserved, *overloaded}
        unserved = tuple(s.name for s in table.spec.services if s.name in names)
        return dataclasses.replace(proposal, unserved=unserved)

    def _chosen(
        self, table: CandidateTable, running: Mapping[Variant, int], moves: Moves
    ) -> Proposal:
        if moves is Moves.ALLOWED:
            return self._solved(table, moves_allowed=True)
        if moves is Moves.WORTHWHILE:
            beside = with_room_beside(table, self.quotas(), self._row_of, running)
            moved = self._solved(paying_for_starts(beside, self._moves_every_h), moves_allowed=True)
            if not moved.unserved and fits_beside(self.quotas(), moved.replicas, running):
                return moved
        pinned = self._solved(self._pinned(table, running, moves), moves_allowed=False)
        if moves is not Moves.NEVER and pinned.unserved:
            moved = self._solved(moving_few(table), moves_allowed=True)
            fewer = len(moved.unserved) < len(pinned.unserved)
            if fewer or self._carried(moved) > _WORTH_MOVING * self._carried(pinned):
                return moved
        return pinned

    def _within_reach(self, table: CandidateTable) -> tuple[CandidateTable, tuple[str, ...]]:
        """Return the table with no load beyond what all of a type would carry, and whose was.

        A service that asks for more than there is would else count as one that cannot be served
        whole, and get the cheapest part of it instead of the largest.
        """
        most = np.full(len(table), np.inf)
        for quota in self.quotas():
            for variant, each in quota.per_replica.items():
                row = self._row_of[variant]
                most[row] = min(most[row], np.floor(quota.capacity / each + 1e-9))
        ranges = [s.replicas.max for s in table.spec.services]
        largest = np.array([np.inf if n is None else n for n in ranges])[table.service]
        known = np.isin(table.verdict, (Verdict.POSSIBLE, Verdict.REPLICAS))
        rate = table.rate_per_replica_rps
        carried = np.zeros(len(table))
        np.multiply(np.minimum(most, largest), rate, out=carried, where=known & (rate > 0))
        reach = np.zeros(len(table.spec.services))
        split = by_counts(table)
        np.fmax.at(reach, table.service[~split], carried[~split])
        np.add.at(reach, table.service[split], carried[split])
        rates = table.targets.rate_rps
        beyond = (rates > reach) & (reach > 0)
        if not beyond.any():
            return table, ()
        kept = np.where(beyond, reach, [s.load.arrival_rate_rps for s in table.spec.services])
        names = tuple(table.spec.services[i].name for i in np.flatnonzero(beyond).tolist())
        return resized(table, with_rates(table.spec, kept.tolist())), names

    def _carried(self, proposal: Proposal) -> float:
        """Return the load that a proposal carries within all objectives [requests/s]."""
        carried = self._carried_by_service(proposal.replicas)
        return sum(
            min(carried.get(service.name, 0.0), service.load.arrival_rate_rps)
            for service in self._table.spec.services
        )

    def _carried_by_service(self, replicas: Mapping[Variant, int]) -> dict[str, float]:
        """Return what replicas carry of each service that has some [requests/s]."""
        carried: dict[str, float] = {}
        for variant, count in replicas.items():
            if count > 0:
                rate = count * self.rate_rps(variant)
                carried[variant.service] = carried.get(variant.service, 0.0) + rate
        return carried

    def _pinned(
        self, table: CandidateTable, running: Mapping[Variant, int], moves: Moves
    ) -> CandidateTable:
        """Return the table with services that run kept to the variants that they run on.

        Unless they are never to move, those of which most is to be started anew are where it is
        best: little of them would move.
        """
        verdict = table.verdict.copy()
        loads = {s.name: s.load.arrival_rate_rps for s in table.spec.services}
        for service, rate in self._carried_by_service(running).items():
            if moves is not Moves.NEVER and rate < _KEEPS_PLACE * loads.get(service, 0.0):
                continue
            for variant in self._of_service.get(service, ()):
                row = self._row_of[variant]
                if running.get(variant, 0) == 0 and verdict[row] == Verdict.POSSIBLE:
                    verdict[row] = Verdict.PINNED
        return dataclasses.replace(table, verdict=verdict)

    def _solved(self, table: CandidateTable, *, moves_allowed: bool) -> Proposal:
        problem = problem_of(table)
        if problem.arrays is None:
            raise PlanError("nothing can serve what must be served")
        result = self._solve(problem, problem.arrays)
        if result.x is None:
            raise PlanError(
                f"no plan was found: {result.termination.reason}; {result.termination.detail}"
            )
        x, parts = result.x, result.parts
        if parts is None and problem.arrays.parts is not None:
            policy = table.spec.optimizer.saturation_policy
            x, parts = saturate(problem.arrays, x, policy.value)
        counts = _replicas(problem, x, parts)
        names = [service.name for service in table.spec.services]
        needed: dict[str, int] = {}
        whole = set()
        replicas: dict[Variant, int] = {}
        for row, count, wanted in counts:
            name = names[int(table.service[row])]
            needed[name] = needed.get(name, 0) + wanted
            if count >= wanted:
                whole.add(name)
            variant = self._variants[row]
            if variant is not None:
                replicas[variant] = replicas.get(variant, 0) + count
        unserved = tuple(name for name in names if name not in whole)
        return Proposal(replicas, needed, unserved, moves_allowed, result.statistics.solver)

    def _solve(self, problem: FleetProblem, arrays: AllocationProblem) -> SolveResult:
        options = problem.table.spec.optimizer
        columns = problem.columns.candidate.tobytes()
        start = self._last.get(columns)
        own: dict[str, Any] = dict(options.solver_options)
        result = solve(
            arrays,
            options.solver,
            time_limit_s=options.time_limit_s,
            relative_gap=options.relative_gap,
            seed=options.seed,
            threads=options.threads,
            start=None if start is None else start.x,
            **own,
        )
        if result.x is not None:
            report = check(arrays, result.x, result.parts, result.rates, result.z)
            if not report.feasible:
                words = "; ".join(report.violations)
                raise PlanError(f"the solver's answer fails the independent check: {words}")
            self._last = {columns: result}
        return result


def _design(spec: FleetSpec) -> CandidateTable:
    """Size the fleet once, with the batch of every variant chosen for all loads."""
    services = tuple(
        service
        if service.load.arrival_rate_rps > 0
        else service.model_copy(
            update={"load": service.load.model_copy(update={"arrival_rate_rps": _DESIGN_RPS})}
        )
        for service in spec.services
    )
    table = build_candidates(spec.model_copy(update={"services": services}), batches_by_rate=True)
    variants = [variant for variant in _variants(table) if variant is not None]
    pools = bool((table.decode.accelerator >= 0).any() or (table.shared >= 0).any())
    if pools or len(set(variants)) < len(variants):
        raise ControlError(
            "the control loop deploys the replicas of every service by themselves: fleets with "
            "decode pools, shared replicas, length buckets or KV caches in stores are planned by "
            "`fleetopt solve` alone"
        )
    return table


def _replicas(
    problem: FleetProblem, x: IntArray, parts: IntArray | None
) -> list[tuple[int, int, int]]:
    """Return row, replicas and replicas needed of every candidate that is taken."""
    table, columns = problem.table, problem.columns
    taken = (x > 0) if parts is None else (x > 0) | (parts > 0)
    found = []
    for column in np.flatnonzero(taken & ~columns.unserved).tolist():
        row = int(columns.candidate[column])
        if columns.counted[table.service[row]]:
            found.append((row, int(x[column]), int(x[column])))
            continue
        whole = int(table.replicas[row])
        given = whole if parts is None else min(int(parts[column]), whole)
        found.append((row, given, whole))
    return found


def _variants(table: CandidateTable) -> list[Variant | None]:
    """Return the variant that each row stands for; None where it stands on no accelerator."""
    names = [service.name for service in table.spec.services]
    return [
        None
        if place < 0 or table.performance[row] < 0
        else Variant(
            service=names[int(table.service[row])],
            accelerator=table.inventory.names[place],
            configuration=table.configuration_of(row),
            max_batch=int(table.max_batch[row]) or None,
        )
        for row, place in enumerate(table.accelerator.tolist())
    ]
