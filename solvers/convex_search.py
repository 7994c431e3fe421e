"""The course of a `convex` solve: relaxation, price bound, rounding, proof of infeasibility."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np

from solvers.base import SolveParams, Start
from solvers.construction import construct
from solvers.exact import (
    Backend,
    BackendAnswer,
    BackendRequest,
    Relaxation,
    start_vector,
    tightened_bound,
)
from solvers.grouped_columns import GroupedColumns
from solvers.price_bound import price_bound, valid_prices
from solvers.priced_columns import PricedColumns
from solvers.priced_rounding import round_at_prices
from solvers.problem import AllocationProblem, FloatArray, IntArray
from solvers.progress import ProgressSeries
from solvers.reduced_cost_core import nearest_columns, solve_core
from solvers.result import (
    GAP_TOLERANCE,
    Limit,
    PriceMeaning,
    Reason,
    RowPrices,
    SolveResult,
    SolveStatistics,
    Termination,
    relative_gap,
)
from solvers.row_limits import attainable_limits
from solvers.search_monitor import SearchMonitor
from solvers.verification import exact_cost, is_feasible

__all__ = ["ConvexSearch"]

# The neighbourhood of the rounding that branch and cut looks through: columns beyond one per group,
# and nodes. With ten rows it takes about as long as the relaxation of 1 000 groups.
_CORE_COLUMNS, _CORE_NODES = 500, 100
# Prices are called duals of the relaxation when they and its fractions prove each other to this,
# relative: HiGHS reaches 1e-13 of the cost, Clarabel 1e-8, SCS by default not always 1e-6.
_DUAL_TOLERANCE = 1e-6
# Shares of the time that is left: what comes after takes a solution from whatever there is.
_RELAXATION_SHARE, _CORE_SHARE = 0.75, 0.5


class ConvexSearch:
    """One solve of a plain problem.

    Parameters
    ----------
    problem
        `priority`, `unserved`, `weight` and `parts` are not looked at.
    relax, relax_overload
        Back ends that solve the continuous relaxation, for the least cost and for the least
        overload; see `solvers.cvxpy_relaxation`.
    """

    def __init__(
        self,
        problem: AllocationProblem,
        params: SolveParams,
        relax: Backend,
        relax_overload: Backend,
    ) -> None:
        self.began = time.perf_counter()
        self.problem, self.params = problem, params
        self.relax, self.relax_overload = relax, relax_overload
        self.columns, self.order = GroupedColumns.of(problem)
        self.limit = attainable_limits(self.columns.usage, problem.capacity)
        self.choice: IntArray | None = None
        self.value = math.inf
        self.bound = -math.inf
        self.prices: RowPrices | None = None
        self.limit_reached = Limit.COMPLETED
        self.detail = ""
        self.build_s = 0.0
        self.notes: list[str] = []
        self.series = ProgressSeries(params.progress, began=self.began)

    def run(self, start: Start | None) -> SolveResult:
        """Solve."""
        self._take_start(start)
        none = np.zeros(self.problem.rows)
        at_zero = self.columns.minimum(none)
        if math.isinf(at_zero.total):
            lost = int(np.isin(at_zero.choice, self.columns.barred).argmax())
            return self._infeasible(f"group {lost}: every column exceeds a row by itself")
        if self._adopt(at_zero.choice):
            self._raise_bound(self.value)  # the cheapest columns of all
            self.prices = RowPrices(none, PriceMeaning.RELAXATION_DUAL)
            return self._result()
        known = none if start is None or start.prices is None else start.prices
        prices = max((none, self._valid(known)), key=self._bound_at)
        self._raise_bound(self._bound_at(prices))
        answer = self._ask(self.relax, self._time_left(_RELAXATION_SHARE))
        if answer.infeasible and self.choice is None:
            answer = self._ask(self.relax_overload, self._time_left())
            if answer.relaxation is not None and self._proves_infeasible(answer.relaxation.prices):
                return self._infeasible("the relaxation has no solution: prices prove it")
            self.detail = "the relaxation seems to have no solution, without a proof that holds"
        elif answer.relaxation is not None:
            prices = self._valid(answer.relaxation.prices)
            optimal = self._are_optimal(prices, answer.relaxation.x)
            meaning = PriceMeaning.RELAXATION_DUAL if optimal else PriceMeaning.MULTIPLIER
            self.prices = RowPrices(prices, meaning)
        self._round(prices, answer.relaxation)
        return self._result()

    def _ask(self, backend: Backend, time_limit_s: float | None) -> BackendAnswer:
        """Solve a relaxation; an answer that says nothing when there is no time for it."""
        if self._out_of_time():
            return self._noted(BackendAnswer(limit=self._stopped_by()))
        columns, usable = self.columns, self._usable
        relaxed = AllocationProblem(
            columns.cost[usable],
            columns.usage.take(usable),
            self.limit,
            columns.group_of(usable),
        )
        silent = dataclasses.replace(self.params, progress=None)
        request = BackendRequest(
            problem=relaxed,
            time_limit_s=time_limit_s,
            relative_gap=0.0,
            absolute_gap=0.0,
            start=None,
            monitor=SearchMonitor(relaxed, silent, bound=-math.inf, began=self.began),
        )
        return self._noted(backend(request))

    def _noted(self, answer: BackendAnswer) -> BackendAnswer:
        """Remember what is to be said about an answer."""
        self.limit_reached = answer.limit or Limit.COMPLETED
        self.build_s += answer.build_s
        if answer.detail:
            self.notes.append(answer.detail)
        return answer

    @property
    def _usable(self) -> IntArray:
        """Positions of the columns that fit alone."""
        return np.setdiff1d(np.arange(self.columns.size), self.columns.barred)

    def _proves_infeasible(self, claimed: FloatArray) -> bool:
        """Whether at these prices even the least usage of every group costs more than there is.

        The price bound of the problem without costs: above 0, no solution exists (Farkas' lemma).
        """
        free = dataclasses.replace(self.columns, cost=np.zeros(self.columns.size))
        prices = self._valid(claimed)
        return price_bound(free, self.limit, free.minimum(prices), prices) > 0.0

    def _are_optimal(self, prices: FloatArray, fractions: FloatArray) -> bool:
        """Whether fractions that keep the rows cost what the prices prove, to a tolerance."""
        usable = self._usable
        cost, usage = self.columns.cost[usable], self.columns.usage.take(usable)
        in_group = np.bincount(self.columns.group_of(usable), weights=fractions)
        scale = float(np.abs(cost) @ np.abs(fractions))
        return bool(
            (fractions >= -_DUAL_TOLERANCE).all()
            and (np.abs(in_group - 1.0) <= _DUAL_TOLERANCE).all()
            and (usage.dot(fractions) <= self.limit * (1.0 + _DUAL_TOLERANCE)).all()
            and abs(float(cost @ fractions) - self._bound_at(prices)) <= _DUAL_TOLERANCE * scale
        )

    def _valid(self, claimed: FloatArray) -> FloatArray:
        return valid_prices(claimed, self.limit)

    def _bound_at(self, prices: FloatArray) -> float:
        return price_bound(self.columns, self.limit, self.columns.minimum(prices), prices)

    def _round(self, prices: FloatArray, relaxation: Relaxation | None) -> None:
        """Round the relaxation, or else what the prices suggest, and improve on that."""
        least = self.columns.minimum(prices)
        self._raise_bound(price_bound(self.columns, self.limit, least, prices))
        choices = [least.choice] if prices.any() else []
        if relaxation is not None:
            choices.insert(0, self._largest_fractions(relaxation.x))
        for choice in choices:
            if not self._closed():
                self._round_choice(prices, choice)
        if choices and not self._closed():
            self._search_nearby(prices)
        if self.choice is None and not self._out_of_time():
            self._construct()

    def _construct(self) -> None:
        """Take a solution from the regret heuristic, for want of a better one."""
        deadline = self.params.deadline(self.began)
        # What it has begun takes about as long as what went before.
        half = (time.perf_counter() + deadline) / 2
        built = construct(
            self.problem,
            stop=lambda: self.params.cancelled or time.perf_counter() >= half,
            deadline=deadline,
        ).x
        if built is not None:
            self._adopt(self._positions(built))

    def _round_choice(self, prices: FloatArray, choice: IntArray) -> None:
        round_at_prices(
            PricedColumns(self.columns, prices),
            self.problem.capacity,
            self.limit,
            choice,
            adopt=lambda found: self._adopt(found) and self._closed(),
            allowed_gap=self._allowed_gap,
            out_of_time=self._out_of_time,
        )

    def _largest_fractions(self, fractions: FloatArray) -> IntArray:
        """Return each group's column of the largest fraction, of equal ones the first, (G,)."""
        x = np.full(self.columns.size, -np.inf)
        x[self._usable] = fractions
        starts = self.columns.starts[:-1]
        most = np.maximum.reduceat(x, starts)
        attained = np.flatnonzero(x == np.repeat(most, np.diff(self.columns.starts)))
        return attained[np.searchsorted(attained, starts)]

    def _search_nearby(self, prices: FloatArray) -> None:
        """Look among the columns of least reduced cost for something better, by branch and cut.

        Only for a solution: the bound stays that of the prices.
        """
        if self._out_of_time():
            return
        answer = solve_core(
            self.columns,
            self.problem.capacity,
            nearest_columns(PricedColumns(self.columns, prices), _CORE_COLUMNS, math.inf),
            self.choice,
            self.bound,
            0.0 if self.choice is None else self._allowed_gap() / 2,
            dataclasses.replace(
                self.params, time_limit_s=self._time_left(_CORE_SHARE), options={}, progress=None
            ),
            _CORE_NODES,
        )
        if answer.choice is not None:
            self._adopt(answer.choice)

    def _take_start(self, start: Start | None) -> None:
        given = start_vector(self.problem, start)
        if given is not None:
            self._adopt(self._positions(given))
        elif start is not None and start.x is not None:
            self.notes.append("the start is not feasible and was not used")

    def _positions(self, x: IntArray) -> IntArray:
        """Return the positions (G,) that a solution chooses."""
        return np.flatnonzero(x if self.order is None else x[self.order])

    def _vector(self, choice: IntArray) -> IntArray:
        """Return a choice (G,) as a solution (n,)."""
        x = np.zeros(self.problem.columns, dtype=np.int64)
        x[choice if self.order is None else self.order[choice]] = 1
        return x

    def _adopt(self, choice: IntArray) -> bool:
        """Keep a choice if it is feasible and better; whether it is feasible."""
        x = self._vector(choice)
        if not is_feasible(self.problem, x):
            return False
        value = exact_cost(self.problem, x)
        if value < self.value:
            self.choice, self.value = choice, value
            self._round_bound()
            self.series.update(incumbent=value, bound=self.bound)
        return True

    def _raise_bound(self, bound: float) -> None:
        self.bound = max(self.bound, min(bound, self.value))
        self._round_bound()
        self.series.update(incumbent=self.value, bound=self.bound)

    def _round_bound(self) -> None:
        """Round the bound up to the next cost that exists."""
        if self.choice is not None:
            scale = float(np.abs(self.columns.cost[self.choice]).sum())
            self.bound = tightened_bound(self.problem, self.bound, self.value, scale)

    def _allowed_gap(self) -> float:
        return max(self.params.relative_gap, GAP_TOLERANCE) * abs(self.value)

    def _closed(self) -> bool:
        allowed = max(self.params.relative_gap, GAP_TOLERANCE)
        return relative_gap(self.value, self.bound) <= allowed

    def _time_left(self, share: float = 1.0) -> float | None:
        left = self.params.deadline(self.began) - time.perf_counter()
        return None if math.isinf(left) else max(left * share, 0.01)

    def _out_of_time(self) -> bool:
        return self.params.cancelled or time.perf_counter() >= self.params.deadline(self.began)

    def _stopped_by(self) -> Limit:
        return Limit.INTERRUPTED if self.params.cancelled else Limit.TIME

    def _statistics(self) -> SolveStatistics:
        elapsed = time.perf_counter() - self.began
        return SolveStatistics(
            build_s=self.build_s,
            solve_s=elapsed - self.build_s,
            total_s=elapsed,
            notes=tuple(self.notes),
        )

    def _infeasible(self, detail: str) -> SolveResult:
        return SolveResult(
            termination=Termination(Reason.INFEASIBLE, detail=detail),
            dual_bound=math.inf,
            statistics=self._statistics(),
        )

    def _result(self) -> SolveResult:
        return SolveResult(
            termination=self._termination(),
            primal_bound=self.value,
            dual_bound=min(self.bound, self.value),
            x=None if self.choice is None else self._vector(self.choice),
            prices=self.prices,
            tolerance=self.params.relative_gap,
            statistics=self._statistics(),
        )

    def _termination(self) -> Termination:
        if self._closed():
            return Termination(Reason.OPTIMAL)
        limit = self._stopped_by() if self._out_of_time() else self.limit_reached
        if self.choice is not None:
            return Termination(Reason.FEASIBLE, limit)
        detail = self.detail or "nothing in whole columns was found; an exact solver may"
        return Termination(Reason.NO_SOLUTION_FOUND, limit, detail)
