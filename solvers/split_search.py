"""From a back end's answer to a proven result where groups split or columns are linked.

The back end proposes counts. Their rates and further columns are found and verified apart, within
1e-7; counts whose loads have no rates are cut off by a row that shows why, and the back end is
asked again. Strict priorities are stages over the weight left unserved, of groups that choose and
of items alike.
"""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.base import SolveParams, Start
from solvers.component_search import solve_components
from solvers.components import components
from solvers.errors import SolverBackendError, SolverOptionError
from solvers.evidence import evidence_kept
from solvers.exact import (
    Backend,
    BackendAnswer,
    BackendRequest,
    ProgrammeStage,
    tightened_bound,
)
from solvers.lexicographic import group_weights, priority_levels
from solvers.link_values import LinkValues
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, IntArray
from solvers.progress import ProgressSeries
from solvers.result import (
    GAP_TOLERANCE,
    Limit,
    Reason,
    SolveResult,
    SolveStatistics,
    StageResult,
    Termination,
    relative_gap,
)
from solvers.split_items import SplitItems
from solvers.split_programme import LoadCut, SplitProgramme
from solvers.split_rates import RateAssignment, Rates

__all__ = ["solve_split"]

FloatArray = NDArray[np.float64]

# Counts that a back end keeps misjudging are given up after so many cuts.
_MOST_CUTS = 50
# Back ends resolve sums and shares to about this, relative to the magnitudes summed.
_NOISE = 1e-6
# Share of the gap that back ends are asked for: sums that are rounded otherwise still keep it.
_ASKED = 0.99
# Share of the time that the attempt to serve everything may take: its failure proves nothing.
_OPTIMISTIC_SHARE = 0.5
# With less than this share of the time left, what was proven until then is the answer.
_LATE_SHARE = 0.05


def solve_split(
    problem: AllocationProblem, params: SolveParams, start: Start | None, backend: Backend
) -> SolveResult:
    """Solve a problem with a split or a linked part by a back end for mixed-integer programmes.

    Raises
    ------
    SolverBackendError
        If the back end's claims contradict one another or the arithmetic.
    """

    def solve_part(
        part: AllocationProblem, part_params: SolveParams, part_start: Start | None
    ) -> SolveResult:
        return _SplitSearch(part, part_params, part_start, backend).run()

    parts = components(problem)
    if len(parts) > 1:
        return solve_components(problem, parts, params, start, solve_part)
    return solve_part(problem, params, start)


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    """What keeps everything: counts, rates, z; unserved weights by level, then the cost."""

    x: IntArray
    rates: Rates
    z: FloatArray
    value: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    """One programme: what it minimises, under which limits, and what is told of it."""

    objective: FloatArray
    frozen: list[tuple[FloatArray, float]]
    rank: int  # position in the lexicographic value
    series: ProgressSeries
    time_limit_s: float | None
    solved_limit_s: float | None  # once it has a solution
    relative_gap: float


@dataclass(slots=True, eq=False)
class _Proof:
    """What asking about one stage has shown."""

    bound: float = -math.inf
    infeasible: bool = False
    limit: Limit | None = None
    detail: str = ""


class _Watch:
    """Carries bounds out of a running back end, and cancelling into it."""

    def __init__(self, search: _SplitSearch, stage: _Stage) -> None:
        self.latest: IntArray | None = None
        self._search = search
        self._stage = stage

    @property
    def can_cancel(self) -> bool:
        return self._search.params.cancel is not None

    def cancelled(self) -> bool:
        return self._search.params.cancelled

    def incumbent(self, x: IntArray) -> None:
        """Keep the counts; look at them at once where that takes no other programme."""
        self.latest = np.asarray(x[: self._search.problem.columns], dtype=np.int64)
        if self._search.assignment.is_direct and self._search.link_values is None:
            self._search.consider(self.latest)
            self._search.report(self._stage)

    def bound(self, bound: float) -> None:
        self._search.report(self._stage, bound)


class _SplitSearch:
    """The state of one solve: incumbent, cuts, proven stages."""

    def __init__(
        self,
        problem: AllocationProblem,
        params: SolveParams,
        start: Start | None,
        backend: Backend,
    ) -> None:
        self.began = time.perf_counter()
        self.problem = problem
        self.params = params
        self.backend = backend
        self.items = SplitItems(problem)
        self.programme = SplitProgramme(problem, self.items)
        stages = [self.programme.stage_objective(level) for level in priority_levels(problem)]
        self.objectives = [*stages, self.programme.cost_objective()]
        self.link_values = (
            None if problem.links is None else LinkValues(problem, self.items, self.programme)
        )
        self.assignment = RateAssignment(problem, self.items)
        self.levels = priority_levels(problem)
        self.incumbent: _Solution | None = None
        self.cuts: list[LoadCut] = []
        self.stages: list[StageResult] = []
        self.notes: list[str] = []
        self.answers: list[BackendAnswer] = []
        self.series: dict[int | None, ProgressSeries] = {}
        if start is not None and start.x is not None:
            self._take_start(start.x)

    def run(self) -> SolveResult:
        """Solve stage by stage."""
        lost = self.items.unservable()
        if lost is not None:
            return self._failure(
                _Proof(infeasible=True, detail=f"item {lost}: no column can serve it")
            )
        if self.levels and self._serves_all():
            return self._finished(self.proof)
        frozen: list[tuple[FloatArray, float]] = []
        for rank, level in enumerate(self.levels):
            objective = self.objectives[rank]
            known = self.incumbent
            if known is not None and known.value[rank] <= 0.0:
                proof = _Proof(bound=0.0)
            else:
                share = 1.0 / (len(self.levels) - rank + 1)
                proof = self._ask(self._stage(objective, frozen, rank, share=share, gap=0.0))
            if self.incumbent is None:
                return self._failure(proof)
            value = self.incumbent.value[rank]
            self._prove_stage(level, value, proof.bound)
            frozen.append((objective, value * (1.0 + GAP_TOLERANCE) + GAP_TOLERANCE))
        last = self._stage(self.objectives[-1], frozen, len(self.levels))
        proof = self._ask(last)
        if self.incumbent is None:
            return self._failure(proof)
        if self.levels and not self.proof.infeasible and not max(self.incumbent.value[:-1]):
            proof.bound = max(proof.bound, self.proof.bound)  # of the same, proven before
        return self._finished(proof)

    def _serves_all(self) -> bool:
        """Try to leave nothing unserved at any priority: success proves all stages at once."""
        frozen = [(objective, 0.0) for objective in self.objectives[:-1] if objective.any()]
        rank = len(self.levels)
        stage = self._stage(self.objectives[-1], frozen, rank, share=_OPTIMISTIC_SHARE)
        silent = dataclasses.replace(stage, series=ProgressSeries(None))
        self.proof = self._ask(silent)
        found = self.incumbent
        if found is None or max(found.value[:-1]) > 0.0:
            return False
        if self.proof.limit is Limit.TIME and self._time_left() > _LATE_SHARE:
            return False
        for level in self.levels:
            self._prove_stage(level, 0.0, 0.0)
        stage.series.update(incumbent=found.value[-1], bound=self.proof.bound)
        return True

    def _stage(
        self,
        objective: FloatArray,
        frozen: list[tuple[FloatArray, float]],
        rank: int,
        *,
        share: float = 1.0,
        gap: float | None = None,
    ) -> _Stage:
        left = solved = None
        if self.params.time_limit_s is not None:
            solved = self.params.time_limit_s - self._elapsed()
            left = solved * share
        return _Stage(
            objective=objective,
            frozen=frozen,
            rank=rank,
            series=self._series(self.levels[rank] if rank < len(self.levels) else None),
            time_limit_s=left,
            solved_limit_s=solved if rank == len(self.levels) else left,
            relative_gap=self.params.relative_gap if gap is None else gap,
        )

    def _series(self, priority: int | None) -> ProgressSeries:
        """Return the reports about one stage; None: about the cost."""
        if priority not in self.series:
            self.series[priority] = ProgressSeries(
                self.params.progress, priority=priority, began=self.began
            )
        return self.series[priority]

    def _prove_stage(self, level: int, value: float, bound: float) -> None:
        if bound >= value - _NOISE * max(1.0, value):
            bound = value
        self._series(level).update(incumbent=value, bound=bound)
        self.stages.append(StageResult(priority=level, value=value, dual_bound=bound))

    # --- asking ---

    def _ask(self, stage: _Stage) -> _Proof:
        """Ask until the counts have rates, or nothing more comes."""
        began, proof = time.perf_counter(), _Proof()
        for _ in range(_MOST_CUTS):
            left = None
            if stage.time_limit_s is not None:
                left = stage.time_limit_s - (time.perf_counter() - began)
            if self.params.cancelled or (left is not None and left <= 0):
                proof.limit = Limit.INTERRUPTED if self.params.cancelled else Limit.TIME
                return proof
            answer, latest = self._call(stage, left, proof.bound)
            proof.bound = max(proof.bound, answer.dual_bound)
            proof.limit, proof.detail = answer.limit, answer.detail
            proof.infeasible = answer.infeasible
            counts = latest if answer.x is None else answer.x[: self.problem.columns]
            cut = None if counts is None else self.consider(counts)
            self.report(stage, proof.bound)
            if cut is None:
                return proof
            self.cuts.append(cut)
        proof.limit = Limit.ITERATIONS
        proof.detail = f"{_MOST_CUTS} cuts were not enough: the back end's tolerance is too wide"
        return proof

    def _call(
        self, stage: _Stage, time_limit_s: float | None, bound: float
    ) -> tuple[BackendAnswer, IntArray | None]:
        watch = _Watch(self, stage)
        point = None
        known = self.incumbent
        if known is not None and self._keeps(known, stage):
            point = self.programme.point(known.x, known.rates.rates, known.rates.unserved, known.z)
        answer = self.backend(
            BackendRequest(
                problem=self.problem,
                programme=self.programme.programme(stage.objective, stage.frozen, self.cuts),
                stage=ProgrammeStage(
                    self.programme, stage.objective, stage.frozen, self.objectives[stage.rank + 1 :]
                ),
                time_limit_s=time_limit_s,
                solved_limit_s=stage.solved_limit_s,
                relative_gap=_ASKED * stage.relative_gap,
                absolute_gap=_ASKED * stage.relative_gap * max(bound, 0.0),
                start=None,
                point=point,
                monitor=watch,
            )
        )
        self.answers.append(answer)
        return answer, watch.latest

    def _keeps(self, known: _Solution, stage: _Stage) -> bool:
        """Whether a solution keeps the stage's frozen rows."""
        limits = [limit for _, limit in stage.frozen]
        return all(v <= limit for v, limit in zip(known.value, limits, strict=False))

    # --- solutions ---

    def consider(self, counts: IntArray) -> LoadCut | None:
        """Keep counts that are better than the incumbent; return a cut where they have no rates."""
        problem, items = self.problem, self.items
        chosen = np.bincount(problem.group, weights=counts, minlength=problem.groups)
        bounded = (counts >= items.lower) & (counts <= items.upper)
        if not (chosen[~items.split.groups] == 1).all() or not bounded.all():
            raise SolverBackendError("the back end's counts break a group or a bound")
        used = problem.usage.dot(counts.astype(np.float64))
        if (used > problem.capacity * (1.0 + CAPACITY_TOLERANCE)).any():
            self.notes.append("counts were dropped that exceed a row by the back end's tolerance")
            return None
        answer = self.assignment.best(counts)
        if isinstance(answer, LoadCut):
            return answer
        z = np.zeros(0)
        if self.link_values is not None:
            linked = self.link_values.best(counts, answer)
            if linked is None:
                self.notes.append(
                    "counts were dropped that break a link by the back end's tolerance"
                )
                return None
            answer, z = linked
        found = _Solution(counts, answer, z, self._value(counts, answer, z))
        if self.incumbent is None or _precedes(found.value, self.incumbent.value):
            self.incumbent = found
        return None

    def _value(self, counts: IntArray, rates: Rates, z: FloatArray) -> tuple[float, ...]:
        problem, items, split = self.problem, self.items, self.items.split
        cost = [*(problem.cost * counts), *(items.unserved_cost * split.demand * rates.unserved)]
        cost += (np.zeros(0) if problem.links is None else problem.links.cost * z).tolist()
        weights = []
        for level in self.levels:
            assert problem.priority is not None
            mine = problem.priority[split.owner] == level
            terms = (items.stage_weight * rates.unserved)[mine].tolist()
            if problem.unserved is not None:
                left = problem.unserved & (counts > 0)
                left &= problem.priority[problem.group] == level
                terms += group_weights(problem)[problem.group[left]].tolist()
            weights.append(math.fsum(terms))
        return (*weights, math.fsum(cost))

    def _take_start(self, x: IntArray) -> None:
        if x.shape != (self.problem.columns,):
            raise SolverOptionError(f"start: shape {x.shape}, ({self.problem.columns},) is wanted")
        # Units beyond what the whole demand takes are no variables of the programme.
        counts = np.minimum(np.asarray(x, dtype=np.int64), self.items.upper).astype(np.int64)
        if self.items.allows(self.problem, counts):
            self.consider(counts)
        if self.incumbent is None:
            self.notes.append("the start is not feasible and was not used")

    def report(self, stage: _Stage, bound: float = -math.inf) -> None:
        """Tell the caller what is known about a stage."""
        known = self.incumbent
        if known is not None and self._keeps(known, stage):
            stage.series.update(incumbent=known.value[stage.rank], bound=bound)
        else:
            stage.series.update(bound=bound)

    # --- results ---

    def _statistics(self) -> SolveStatistics:
        answers = self.answers
        notes = (f"{len(self.cuts)} load cuts added",) if self.cuts else ()
        own = tuple(dict.fromkeys([*self.notes, *(n for a in answers for n in a.notes), *notes]))
        return SolveStatistics(
            build_s=math.fsum(a.build_s for a in answers),
            solve_s=math.fsum(a.solve_s for a in answers),
            total_s=self._elapsed(),
            nodes=sum(a.nodes for a in answers),
            notes=own,
            log_tail=answers[-1].log_tail if answers else "",
        )

    def _failure(self, proof: _Proof) -> SolveResult:
        if proof.infeasible:
            return SolveResult(
                termination=Termination(Reason.INFEASIBLE, detail=proof.detail),
                dual_bound=math.inf,
                statistics=self._statistics(),
            )
        return SolveResult(
            termination=Termination(
                Reason.NO_SOLUTION_FOUND, proof.limit or Limit.ITERATIONS, proof.detail
            ),
            dual_bound=-math.inf if self.levels else proof.bound,
            tolerance=self.params.relative_gap,
            statistics=self._statistics(),
        )

    def _finished(self, proof: _Proof) -> SolveResult:
        found, problem = self.incumbent, self.problem
        assert found is not None
        if proof.infeasible:
            raise SolverBackendError("the back end calls a problem infeasible that has a solution")
        value = found.value[-1]
        scale = math.fsum(np.abs(problem.cost * found.x))
        linked = problem.links
        if linked is not None:
            scale += math.fsum(np.abs(linked.cost * found.z))
        if proof.bound > value + _NOISE * max(scale, abs(value), 1e-300):
            raise SolverBackendError(
                f"the back end's bound {proof.bound:.12g} passes the value {value:.12g} of a "
                f"verified solution; {evidence_kept(problem, found.x)}"
            )
        bound = proof.bound
        if not self.items.unserved_cost.any() and (linked is None or not linked.cost.any()):
            bound = tightened_bound(problem, bound, value, scale)
        if bound >= value - GAP_TOLERANCE * max(scale, abs(value)):
            bound = value
        closed = relative_gap(value, bound) <= max(self.params.relative_gap, GAP_TOLERANCE)
        stages = tuple(
            dataclasses.replace(stage, value=v, dual_bound=min(stage.dual_bound, v))
            for stage, v in zip(self.stages, found.value, strict=False)
        )
        proven = closed and all(stage.optimal for stage in stages)
        self._series(None).update(incumbent=value, bound=bound)
        return SolveResult(
            termination=Termination(Reason.OPTIMAL, detail=proof.detail)
            if proven
            else Termination(Reason.FEASIBLE, proof.limit or Limit.GAP, proof.detail),
            primal_bound=value,
            dual_bound=bound,
            x=found.x,
            rates=None if problem.split is None else found.rates.rates,
            z=None if linked is None else found.z,
            stages=stages,
            tolerance=self.params.relative_gap,
            statistics=self._statistics(),
        )

    def _time_left(self) -> float:
        """Return the share of the time that is left."""
        limit = self.params.time_limit_s
        return math.inf if limit is None else 1.0 - self._elapsed() / limit

    def _elapsed(self) -> float:
        return time.perf_counter() - self.began


def _precedes(value: tuple[float, ...], than: tuple[float, ...]) -> bool:
    """Whether a lexicographic value is better; unserved weights within noise are equal."""
    for mine, other in zip(value[:-1], than[:-1], strict=True):
        if abs(mine - other) > _NOISE * max(1.0, abs(other)):
            return mine < other
    return value[-1] < than[-1]
