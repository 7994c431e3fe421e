"""Where groups can be taken apart: prices for what they share, plans of each, a choice of plans.

A back end for one stage of a problem with a split or a linked part. The relaxation over plans
finds prices of the shared rows; the best plans at any prices give a bound, which knows that counts
are whole group by group. Plans near to the best are listed, and one per group is chosen: a problem
of choice like any other, for `LagrangianSearch` where the shared rows are rows of usage alone,
else for branch and cut. What was not listed costs at least the bound plus the distance up to which
lists are complete.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from solvers.base import SolveParams, Start
from solvers.block_search import block_search
from solvers.exact import Backend, BackendAnswer, BackendRequest
from solvers.lagrangian_search import LagrangianSearch
from solvers.mixed_programme import MixedProgramme
from solvers.plan_enumeration import enumerate_plans
from solvers.plan_groups import PlanGroups, suits_plans
from solvers.plan_master import PlanPool, SharedRows
from solvers.plan_units import Plans, plans_of_units
from solvers.problem import AllocationProblem, FloatArray, IntArray
from solvers.relaxed_master import RelaxedMaster
from solvers.result import Limit, Reason
from solvers.sparse_columns import SparseColumns
from solvers.split_programme import scaled_objective
from solvers.stage_search import QuietMonitor, StageSearch

__all__ = ["plan_backend"]

# Rows of links that units share, for each group, from which plans tell little of what is linked.
_LINKED_SHARE = 0.25
# Plans begun of one group at a time, in the search for prices and in lists.
_FEW, _MANY = 300, 3_000
# Plans of a group added to the relaxation at a time.
_NEW = 3
# Lists: how many plans of a group at first, how far from its best in usual costs of a group, and
# how many lists, each several times longer and wider.
_FIRST_LISTED, _FIRST_WIDTH, _MOST_LISTS, _LIST_GROWTH = 20, 0.05, 6, 3
# Prices are good enough at this share of the gap that is asked for, and at least at this.
_PRICE_SHARE, _FINEST = 0.05, 1e-7
_MOST_ROUNDS = 200
# Units missing in the relaxation that are rounding; and how often to raise their price before
# nothing is said of whether there is a solution.
_MISSED, _MOST_PRESSES = 1e-7, 6
# Seconds that the first choice of plans may take when the time is up.
_FIRST_CHOICE_S = 0.5
# Weight of the best duals so far against those of the relaxation.
_SMOOTHED = 0.4
# How cores grow, and what one that is not the last may take of the time.
_CORE_GROWTH = 4
_CORE_SHARE = 0.4


def plan_backend(branch_and_cut: Backend, seed: int, first_core: int) -> Backend:
    """Return a back end that works by plans, and asks another one for what they leave open.

    Parameters
    ----------
    branch_and_cut
        Takes over where plans do not prove the gap that is asked for.
    first_core
        See `LagrangianSearch`.
    """

    def ask(request: BackendRequest) -> BackendAnswer:
        assert request.stage is not None
        items = request.stage.builder.items
        if suits_plans(request.problem, items):
            groups = PlanGroups(request.problem, items)
            if groups.shared_links() <= _LINKED_SHARE * request.problem.groups:
                return _PlanSearch(request, groups, branch_and_cut, seed, first_core).run()
        in_blocks = block_search(request, branch_and_cut, seed)
        if in_blocks is not None:
            return in_blocks
        answer = branch_and_cut(request)
        note = "branch and cut alone: the groups cannot be taken apart into plans"
        return dataclasses.replace(answer, notes=(*answer.notes, note))

    return ask


class _PlanSearch(StageSearch):
    """One stage: prices, choices of plans."""

    def __init__(
        self,
        request: BackendRequest,
        groups: PlanGroups,
        branch_and_cut: Backend,
        seed: int,
        first_core: int,
    ) -> None:
        super().__init__(request, _FIRST_CHOICE_S)
        self.branch_and_cut, self.seed, self.first_core = branch_and_cut, seed, first_core
        self.groups = groups
        self.own_rows = self._shared_rows(self.stage.objective)
        self.shared = self.own_rows if self.alone else self._shared_rows(self.weighed)
        self.pool = PlanPool(self.groups, self.shared)
        if request.point is not None:
            self.adopt(
                request.point[: request.problem.columns].astype(np.int64),
                float(self.weighed @ request.point),
                float(self.stage.objective @ request.point),
            )

    def _shared_rows(self, objective: FloatArray) -> SharedRows:
        builder, n = self.stage.builder, self.request.problem.columns
        groups = np.flatnonzero(self.groups.stay_item >= 0)
        variable = builder.unserved[self.groups.stay_item[groups]]

        def of_stay(vector: FloatArray, default: float) -> FloatArray:
            values = np.full(self.request.problem.groups, default)
            values[groups] = vector[variable]
            return values

        frozen = [(v[:n], of_stay(v, 0.0), limit) for v, limit in self.stage.frozen if v.any()]
        return SharedRows(
            self.groups, (objective[:n], of_stay(objective, math.inf), objective[builder.z]), frozen
        )

    def run(self) -> BackendAnswer:
        """Find prices, then choose among more and more plans."""
        shared = self.shared
        self.dearest = shared.dearest(self.groups)
        master = RelaxedMaster(
            self.groups.clusters.units, shared, shared.largest(), shared.dearest_unit(), self.seed
        )
        if not self._find_prices(master):
            return BackendAnswer(infeasible=True, detail="a group has no plan")
        if self.bound > self.dearest:
            return BackendAnswer(infeasible=True, detail="prices pass the cost of every plan")
        self._bound_alone()
        self._choose()
        if self.closed() or self.stopped() is not None:
            return self.answer("plans")
        if self.stage.later and self.request.time_limit_s is not None:
            return self.answer("plans")  # the rest of the time is better spent on the next stages
        return self._without_plans()

    def _bound_alone(self) -> None:
        """Bound the stage alone, by the prices found, in its own measure."""
        if self.alone:
            return
        duals = self.own_rows.signed(self.duals / self.weight)
        _, bound = self._price(self.own_rows, duals, 0.0, _FEW, _NEW)
        self.own_bound = max(self.own_bound, bound, 0.0)

    # --- prices ---

    def _find_prices(self, master: RelaxedMaster) -> bool:
        """Price and add plans until the relaxation and the bound meet; whether plans exist."""
        duals = self.duals = np.zeros(len(self.shared.lower))
        direct, presses = True, _MOST_PRESSES
        for number in range(_MOST_ROUNDS):
            duals = self.shared.signed(duals)
            plans, bound = self._price(self.shared, duals, 0.0, _FEW, _NEW)
            if math.isinf(bound) and bound > 0:
                return False
            if bound > self.bound or number == 0:
                self.least, self.duals = plans.least, duals
                self.prove(bound)
            if self.bound > self.dearest:
                break
            block = self.pool.add(plans)
            master.add(block.unit, block.cost, block.rows)
            if not len(block.unit) and direct and number:
                if master.missing <= _MISSED or not presses:
                    break
                presses -= 1
                master.press()
            direct = not len(block.unit) or number < 3
            found = master.solve()
            if self._met(master) or self.stopped() is not None:
                break
            duals = found if direct else _SMOOTHED * self.duals + (1 - _SMOOTHED) * found
        return True

    def _typical(self) -> float:
        """Return about what a plan of a group costs, shared rows included."""
        return max(float(np.median(np.abs(self.least))), 1e-9)

    def _met(self, master: RelaxedMaster) -> bool:
        share = max(_PRICE_SHARE * self.request.relative_gap, _FINEST)
        return master.missing <= 1e-9 and master.value - self.bound <= share * abs(master.value)

    def _price(
        self, shared: SharedRows, duals: FloatArray, distance: float, most: int, listed: int
    ) -> tuple[Plans, float]:
        """Return the best plans at some duals, and the bound that these prove."""
        reduced, stay = shared.reduced(duals)
        cells = enumerate_plans(
            self.groups, reduced, shared.extras, shared.begin_extras, stay, distance, most, listed
        )
        plans = plans_of_units(self.groups, cells, distance, listed)
        bound = math.fsum(plans.least.tolist()) + shared.constant(duals)
        return plans, bound

    # --- choices ---

    def _choose(self) -> None:
        """List plans within growing distances of the best, and choose among them."""
        dual, listed, width = self.bound, _FIRST_LISTED, self._typical() * _FIRST_WIDTH
        for number in range(_MOST_LISTS):
            # Prices without any choice are worth little: one is made even after the time is up.
            late = self.stopped() is Limit.TIME and (number > 0 or self.x is not None)
            if self.closed() or late or self.request.monitor.cancelled():
                return
            if number and self.stage.later and self.request.time_limit_s is not None:
                return
            open_gap = max(self.value - dual, 0.0) * (1 + 1e-9) + 1e-12 * abs(dual)
            distance = min(open_gap, width)
            plans, bound = self._price(self.shared, self.duals, distance, _MANY, listed)
            self.pool.add(plans)
            complete = float((plans.complete - plans.least).min())
            found = self._choose_listed()
            # What is not listed costs at least the distance more than the bound.
            self.prove(min(found, bound + complete, self.value))
            if self.bound >= self.value - self.allowed():
                return
            listed, width = listed * _LIST_GROWTH, width * _LIST_GROWTH

    def _choose_listed(self) -> float:
        """Choose among the plans known; return a bound on what choosing among them can reach."""
        if len(self.shared.lower) > self.shared.usage_rows:
            return self._choose_by_programme()
        rows = self.pool.rows()
        problem = AllocationProblem(self.pool.cost, rows, self.shared.upper, self.pool.unit)
        params = SolveParams(
            time_limit_s=self.left(),
            relative_gap=self.allowed() / max(abs(self.bound), 1e-9),
            seed=self.seed,
        )
        prices = np.maximum(-self.duals, 0.0)
        search = LagrangianSearch(problem, params, self.first_core)
        result = search.run(Start(None, prices))
        self.nodes += result.statistics.nodes or 0
        if result.x is not None:
            self._adopt_plans(np.flatnonzero(result.x), np.zeros(0))
        if result.termination.reason is Reason.INFEASIBLE:
            return math.inf
        return result.dual_bound

    def _choose_by_programme(self) -> float:
        """Choose by branch and cut on the plans nearest to the best, more and more of them."""
        rows = self.pool.rows()
        near = self.pool.cost - rows.weighed(self.duals)
        least = np.full(self.groups.clusters.units, np.inf)
        np.minimum.at(least, self.pool.unit, near)
        near -= least[self.pool.unit]
        order = np.argsort(near, kind="stable")
        size = len(least) + self.first_core
        bound = -math.inf
        while True:
            core = np.sort(order[:size])
            whole = size >= len(order)
            answer = self._ask_core(core, rows, whole)
            bound = answer.dual_bound
            outside = math.inf if whole else self.bound + float(near[order[size]])
            bound = min(bound, outside)
            if answer.infeasible:
                bound = outside
            done = math.isfinite(self.value) and bound >= self.value - self.allowed()
            if whole or done or self.closed() or self.stopped() is not None:
                return bound
            size *= _CORE_GROWTH

    def _ask_core(self, core: IntArray, rows: SparseColumns, whole: bool) -> BackendAnswer:
        shared, pool = self.shared, self.pool
        kept = rows.take(core)
        columns = len(core)
        unit = pool.unit[core]
        units = self.groups.clusters.units
        integer = np.ones(columns + len(shared.z), dtype=np.bool_)
        if len(shared.z):
            links = self.request.problem.links
            assert links is not None
            integer[columns:] = links.integer[shared.z]
        programme = MixedProgramme(
            objective=scaled_objective(np.concatenate([pool.cost[core], shared.z_cost]), integer),
            lower=np.concatenate([np.zeros(columns), shared.z_lower]),
            upper=np.concatenate([np.ones(columns), shared.z_upper]),
            integer=integer,
            rows=np.concatenate([unit, units + kept.rows, units + shared.of_z.rows]),
            columns=np.concatenate([np.arange(columns), kept.columns,
                                    columns + shared.of_z.columns]),
            values=np.concatenate([np.ones(columns), kept.values, shared.of_z.values]),
            row_lower=np.concatenate([np.ones(units), shared.lower]),
            row_upper=np.concatenate([np.ones(units), shared.upper]),
        )  # fmt: skip
        left = self.left()
        answer = self.branch_and_cut(
            dataclasses.replace(
                self.request,
                programme=programme,
                stage=None,
                point=None,
                time_limit_s=None if left is None else left * (1.0 if whole else _CORE_SHARE),
                relative_gap=self.request.relative_gap / 2,
                absolute_gap=self.allowed() / 2,
                monitor=QuietMonitor(self.request.monitor),
            )
        )
        self.nodes += answer.nodes
        if answer.x is not None:
            plans = core[np.flatnonzero(answer.x[:columns])]
            self._adopt_plans(plans, answer.x[columns:].astype(np.float64))
        return answer

    def _adopt_plans(self, plans: IntArray, z: FloatArray) -> None:
        """Keep a choice of plans, with the z that they share."""
        x = self.pool.x().take(plans)
        counts = np.rint(np.bincount(x.rows, weights=x.values, minlength=x.shape[0]))
        shares = self.pool.left().take(plans)
        left = np.bincount(shares.rows, weights=shares.values, minlength=shares.shape[0])
        value = math.fsum(self.pool.cost[plans].tolist()) + float(self.shared.z_cost @ z)
        own = value
        if not self.alone:
            stay = np.where(left > 0, self.own_rows.stay, 0.0)
            own = float(self.own_rows.cost @ counts) + float(stay @ left)
        self.adopt(counts.astype(np.int64), value, own)

    # --- ends ---

    def _without_plans(self) -> BackendAnswer:
        """Ask branch and cut on the whole programme, in the time left."""
        left = self.left()
        if self.stopped() is not None:
            return self.answer("plans")
        quiet = QuietMonitor(self.request.monitor)
        answer = self.branch_and_cut(
            dataclasses.replace(self.request, time_limit_s=left, monitor=quiet)
        )
        x, value = self.x, self.own_value
        if answer.x is not None:
            theirs = float(self.stage.objective @ answer.x)
            if x is None or theirs < value:
                x = answer.x
        return dataclasses.replace(answer, x=x, dual_bound=max(answer.dual_bound, self.rounded()))
