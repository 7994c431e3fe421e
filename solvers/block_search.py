"""Where many rows tie groups into blocks: plans of whole blocks, prices for what blocks share.

A back end for one stage of a problem with a linked part, such as a horizon, whose blocks are
services over all periods. The relaxation over plans of blocks finds prices of the shared rows
(Dantzig and Wolfe 1960); the best plan of each block at any prices, found by branch and cut on the
block alone, proves a bound that knows all that happens inside blocks. One plan per block is chosen
by branch and cut on the plans known. What prices alone do not see, how plans fit together, is
searched for by neighbourhoods: most blocks keep their plans, the others are priced anew for what
is left of the shared rows, and chosen among again.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from solvers.block_plans import BlockPlans, BlockRows
from solvers.block_pricing import BlockPlan, PricedBlock
from solvers.exact import Backend, BackendAnswer, BackendRequest
from solvers.link_values import solve_rest
from solvers.linked_blocks import Blocks, find_blocks, without_excluded
from solvers.mixed_programme import MixedProgramme
from solvers.problem import BoolArray, FloatArray, IntArray
from solvers.relaxed_master import RelaxedMaster
from solvers.result import Limit
from solvers.small_programme import relaxed_duals
from solvers.split_programme import scaled_objective
from solvers.stage_search import QuietMonitor, StageSearch

__all__ = ["block_search"]

# Shares of the time: of the relaxation that gives the first prices, of all pricing before the first
# choice, of that choice, of one round of prices, of the choice in a neighbourhood; of deciding on
# blocks one after another.
_RELAXED_SHARE, _PRICES_SHARE, _CHOICE_SHARE, _ROUND_SHARE, _NEAR_SHARE = 0.5, 0.4, 0.2, 0.2, 0.05
_DIVE_TIME = 0.1
# Share for branch and cut on everything, where no choice of plans fits together.
_RESCUE_SHARE = 0.5
# Seconds that the first choice of plans may take when the time is up.
_FIRST_CHOICE_S = 0.5
# Prices are good enough at this share of the gap that is asked for, and at least at this.
_PRICE_SHARE, _FINEST = 0.05, 1e-7
_MOST_ROUNDS = 60
# Rounds in which a block may stay without any plan.
_MOST_ATTEMPTS = 3
# Weight of the best duals so far against those of the relaxation, after so many rounds.
_SMOOTHED, _DIRECT_ROUNDS = 0.4, 3
# Units missing in the relaxation that are rounding.
_MISSED = 1e-7
# Plans are searched to this share of the gap that is asked for, within limits; and for so many
# nodes, fewer where each is looked into thoroughly.
_PLAN_SHARE, _PLAN_FINEST, _PLAN_COARSEST = 0.05, 1e-6, 1e-3
_PLAN_NODES, _THOROUGH_NODES = 100, 20
# Plans are chosen to this share of the gap that is asked for.
_CHOICE_GAP = 0.02
# Seconds that the search for a plan may take even when the time is up.
_LEAST_PLAN_S = 0.02
# A plan that may cost this share less is looked for more thoroughly the next time.
_HARD = 5e-3
# With more than this share of such blocks, plans are no good beginning.
_MOST_HARD = 0.25
# The first choice: share of the blocks decided on at a time and at most before it, and of a plan
# that is clear; of others one is decided on.
_DIVE_STEP, _DIVE_SHARE, _CLEAR = 0.06, 0.3, 0.7
# Neighbourhoods: blocks at first, growth when nothing is found so many times, rounds of prices.
_NEAR_BLOCKS, _NEAR_GROWTH, _NEAR_FAILURES, _NEAR_ROUNDS = 24, 1.3, 4, 2
# Noise on prices for each neighbourhood in which nothing was found.
_NOISE = 0.05
# How likely a block is taken: for what its plan costs beyond its best, for being undecided in the
# relaxation, and for nothing.
_BY_LOSS, _BY_SHARES, _BY_CHANCE = 1.0, 0.3, 0.5
# Shares of plans that decide nothing.
_UNDECIDED = (1e-6, 1.0 - 1e-3)


def block_search(
    request: BackendRequest, branch_and_cut: Backend, seed: int
) -> BackendAnswer | None:
    """Answer a stage by plans of blocks; None where there are no blocks.

    Parameters
    ----------
    request
        With its programme and its stage.
    branch_and_cut
        Chooses among plans, and takes over where these do not prove the gap that is asked for.
    seed
        Of HiGHS and of neighbourhoods.
    """
    assert request.programme is not None
    programme = without_excluded(request.programme)
    blocks = find_blocks(programme, request.problem.group)
    if blocks is None:
        return None
    return _BlockSearch(request, programme, blocks, branch_and_cut, seed).run()


class _BlockSearch(StageSearch):
    """One stage: prices, choices of plans, neighbourhoods."""

    def __init__(
        self,
        request: BackendRequest,
        programme: MixedProgramme,
        blocks: Blocks,
        branch_and_cut: Backend,
        seed: int,
    ) -> None:
        super().__init__(request, _FIRST_CHOICE_S)
        objective = scaled_objective(self.weighed, programme.integer)
        self.programme = dataclasses.replace(programme, objective=objective)
        self.blocks = blocks
        self.branch_and_cut, self.seed = branch_and_cut, seed
        self.rng = np.random.default_rng(seed)
        self.rows = BlockRows(programme, blocks, self.weighed)
        self.plans = BlockPlans(blocks, self.rows)
        self.priced = [
            PricedBlock(programme, variables, rows, objective.unit, seed)
            for variables, rows in zip(blocks.variables, blocks.rows, strict=True)
        ]
        self.hard: BoolArray = np.zeros(blocks.count, dtype=np.bool_)
        self.least: FloatArray = np.full(blocks.count, -math.inf)
        self.duals: FloatArray = np.zeros(len(self.rows.lower))
        self.late = False  # whether prices were given up for want of time
        # Of the incumbent: its plan of each block, and all its variables.
        self.chosen: IntArray | None = None
        self.point: FloatArray | None = request.point
        dearest = float(np.abs(self.weighed).max(initial=0.0))
        self.master = RelaxedMaster(
            blocks.count, self.rows, self.rows.largest(), dearest, seed
        )  # fmt: skip
        if request.point is not None:
            self._take(request.point)

    def run(self) -> BackendAnswer:
        """Find prices, choose among plans, then improve on the choice."""
        share = self._share(_RELAXED_SHARE)
        found = relaxed_duals(self.programme, share)
        if found is not None and not len(found):
            return BackendAnswer(infeasible=True, detail="the relaxation is infeasible")
        if found is not None:
            self.duals = self.programme.objective.unit * found[self.blocks.shared]
        if not self._find_prices():
            return BackendAnswer(infeasible=True, detail="a block has no plan")
        self.undecided = self._undecided()
        self._bound_alone()
        if self.stopped() is not Limit.INTERRUPTED:
            if self.hard.mean() > _MOST_HARD:
                # Plans that are found in no time fit together badly: better ones come of the whole.
                self._ask_whole(self._share(_RESCUE_SHARE))
            nothing = np.full(self.blocks.count, -1)
            # Whatever fits together, soon; a better choice afterwards.
            self._choose(nothing, self._share(_CHOICE_SHARE), 1.0)
            if self.hard.mean() <= _MOST_HARD:
                self._dive()
            if self.chosen is None and self._ask_whole(self._share(_RESCUE_SHARE)).infeasible:
                return BackendAnswer(infeasible=True, detail="proven by branch and cut")
        easy = self.hard.mean() <= _MOST_HARD
        if self.late and easy and self.chosen is not None and self.stopped() is None:
            self._find_prices()  # with a solution there is more time
        if self.chosen is not None:
            self._improve()
        if self.closed() or self.stopped() is not None:
            return self.answer("blocks")
        answer = self._ask_whole(self.left())
        bound = max(answer.dual_bound, self.rounded())
        return dataclasses.replace(answer, x=self.x, dual_bound=bound)

    def _share(self, share: float) -> float | None:
        """Return a share of all the time, as far as it is left."""
        limit, left = self.limit(), self.left()
        return None if limit is None or left is None else min(share * limit, left)

    # --- prices ---

    def _find_prices(self) -> bool:
        """Price and add plans until the relaxation and the bound meet; whether plans exist."""
        duals, share = self.duals, self._share(_PRICES_SHARE)
        until = None if share is None else self.elapsed() + share
        everything, direct = np.arange(self.blocks.count), True
        self.master.allow(np.ones(len(self.plans.block), dtype=np.bool_))
        for number in range(_MOST_ROUNDS):
            duals = self.rows.signed(duals)
            found = self._price(self.rows.reduced(duals), everything)
            least = np.array([plan.bound for plan in found])
            if np.isposinf(least).any():
                return False
            bound = math.fsum(least.tolist()) + self.rows.constant(duals)
            if bound > self.bound or number == 0:
                self.duals, self.least = duals, least
                self.prove(bound)
            fresh = self._add(everything, found)
            if self.hard.mean() > _MOST_HARD:
                break
            lacking = np.setdiff1d(everything, self.plans.block)
            if lacking.size:
                # Out of nodes or time without a plan: once more, thoroughly, or no relaxation.
                self.hard[lacking] = True
                self.late = self.stopped() is not None
                if self.late or number >= _MOST_ATTEMPTS:
                    break
                continue
            if not fresh and direct and number:
                break
            direct = not fresh or number < _DIRECT_ROUNDS
            latest = self.master.solve()
            self.late = until is not None and self.elapsed() > until
            if self._met() or self.late or self.stopped() is not None:
                break
            duals = latest if direct else _SMOOTHED * self.duals + (1 - _SMOOTHED) * latest
        return True

    def _met(self) -> bool:
        share = max(_PRICE_SHARE * self.request.relative_gap, _FINEST)
        value = self.master.value
        return self.master.missing <= _MISSED and value - self.bound <= share * abs(value)

    def _price(self, reduced: FloatArray, which: IntArray) -> list[BlockPlan]:
        """Return the best plans of some blocks at reduced costs of the variables."""
        gap = min(max(_PLAN_SHARE * self.request.relative_gap, _PLAN_FINEST), _PLAN_COARSEST)
        found = []
        share = self._share(_ROUND_SHARE)
        until = math.inf if share is None else self.elapsed() + share
        for place, block in enumerate(which.tolist()):
            # What others leave of the time of a round is for the blocks that need it.
            each = (until - self.elapsed()) / (len(which) - place)
            limit = None if share is None else max(each, _LEAST_PLAN_S)
            plan = self.priced[block].price(
                reduced[self.blocks.variables[block]],
                start=None if self.chosen is None else self.plans.values[self.chosen[block]],
                relative_gap=gap,
                nodes=_THOROUGH_NODES if self.hard[block] else _PLAN_NODES,
                thorough=bool(self.hard[block]),
                time_limit_s=limit,
            )
            self.hard[block] = plan.value - plan.bound > _HARD * abs(plan.bound)
            found.append(plan)
        return found

    def _add(self, which: IntArray, found: list[BlockPlan]) -> int:
        """Add plans to the relaxation; return how many are new."""
        numbers = []
        for block, plan in zip(which.tolist(), found, strict=True):
            if plan.values is not None:
                number, new = self.plans.add(block, plan.values)
                if new:
                    numbers.append(number)
        if numbers:
            fresh = np.array(numbers)
            self.master.add(self.plans.block[fresh], self.plans.cost[fresh], self.plans.rows(fresh))
        return len(numbers)

    def _bound_alone(self) -> None:
        """Bound the stage alone, by the prices found, in its own measure."""
        if self.alone:
            return
        rows = BlockRows(self.programme, self.blocks, self.stage.objective)
        duals = rows.signed(self.duals / self.weight)
        found = self._price(rows.reduced(duals), np.arange(self.blocks.count))
        least = math.fsum(plan.bound for plan in found)
        self.own_bound = max(self.own_bound, least + rows.constant(duals), 0.0)

    # --- choices ---

    def _dive(self) -> None:
        """Decide the clearest blocks a few at a time, price the others anew, choose for these."""
        count = self.blocks.count
        held = np.full(count, -1)
        step = max(round(_DIVE_STEP * count), 1)
        share = self._share(_DIVE_TIME)
        until = math.inf if share is None else self.elapsed() + share
        while (held >= 0).sum() < _DIVE_SHARE * count and self.elapsed() < until:
            clearest = self._clearest(held < 0, step)
            if not len(clearest):
                break
            held[self.plans.block[clearest]] = clearest
            priced = self._price_beside(held, 1)
            if not priced or self.master.missing > _MISSED or self.stopped() is not None:
                break
        self._choose(held, self._share(_CHOICE_SHARE))

    def _clearest(self, open_blocks: BoolArray, most: int) -> IntArray:
        """Return the plans of open blocks that the relaxation nearly decides on, a block's one."""
        shares = self.master.plan_shares
        block = self.plans.block[: len(shares)]
        between = (shares > _UNDECIDED[0]) & (shares < _UNDECIDED[1]) & open_blocks[block]
        order = np.flatnonzero(between)
        order = order[np.argsort(-shares[order], kind="stable")]
        _, first = np.unique(block[order], return_index=True)
        order = order[np.sort(first)]
        clear = int((shares[order] >= _CLEAR).sum())
        clearest: IntArray = order[: min(max(clear, 1), most)]
        return clearest

    def _price_beside(self, held: IntArray, rounds: int, noise: float = 0.0) -> bool:
        """Price blocks that hold no plan for what the others leave; whether there was anything.

        Noise, relative, finds plans that are the best at prices nearby.
        """
        which = np.flatnonzero(held < 0)
        anything = False
        for _ in range(rounds):
            allowed = held[self.plans.block] < 0
            allowed[held[held >= 0]] = True
            self.master.allow(allowed)
            duals = self.master.solve()
            if noise:
                duals = duals * np.exp(noise * self.rng.standard_normal(len(duals)))
            duals = self.rows.signed(duals)
            fresh = self._add(which, self._price(self.rows.reduced(duals), which))
            if not fresh or self.stopped() is not None:
                break
            anything = True
        if anything:
            self.master.solve()
        return anything

    def _take(self, point: FloatArray) -> None:
        """Keep a solution that is known, and the plans that it is made of."""
        numbers = []
        for block, variables in enumerate(self.blocks.variables):
            number, new = self.plans.add(block, point[variables])
            if new:
                mine = np.array([number])
                self.master.add(self.plans.block[mine], self.plans.cost[mine],
                                self.plans.rows(mine))  # fmt: skip
            numbers.append(number)
        if self._adopt_point(point):
            self.chosen = np.array(numbers)

    def _completed(self, point: FloatArray) -> FloatArray | None:
        """Return a point with the best of what is not whole, which answers have rounded."""
        integer = self.programme.integer
        return point if integer.all() else solve_rest(self.programme, point, integer)

    def _adopt_point(self, point: FloatArray) -> bool:
        x = np.rint(point).astype(np.int64)
        own = float(self.stage.objective @ point)
        better = self.adopt(x, float(self.weighed @ point), own)
        if better:
            self.point = point
        return better

    def _choose(
        self, held: IntArray, time_limit_s: float | None, gap_share: float = _CHOICE_GAP
    ) -> bool:
        """Choose plans of blocks beside those that others hold (blocks,); whether it is better."""
        plans, rows, blocks = self.plans, self.rows, self.blocks
        open_blocks, keep = held < 0, held[held >= 0]
        core = np.flatnonzero(open_blocks[plans.block])
        kept = plans.rows(keep).dot(np.ones(len(keep)))
        number = np.cumsum(open_blocks) - 1
        units = int(open_blocks.sum())
        taken = plans.rows(core)
        one = np.ones(len(core))
        integer = np.concatenate([one > 0, self.programme.integer[blocks.free]])
        cost = np.concatenate([plans.cost[core], rows.z_cost])
        programme = MixedProgramme(
            objective=scaled_objective(cost, integer),
            lower=np.concatenate([one * 0.0, rows.z_lower]),
            upper=np.concatenate([one, rows.z_upper]),
            integer=integer,
            rows=np.concatenate([number[plans.block[core]], units + taken.rows,
                                 units + rows.of_z.rows]),
            columns=np.concatenate([np.arange(len(core)), taken.columns,
                                    len(core) + rows.of_z.columns]),
            values=np.concatenate([one, taken.values, rows.of_z.values]),
            row_lower=np.concatenate([np.ones(units), rows.lower - kept]),
            row_upper=np.concatenate([np.ones(units), rows.upper - kept]),
        )  # fmt: skip
        answer = self.branch_and_cut(
            dataclasses.replace(
                self.request,
                programme=programme,
                stage=None,
                point=self._known_choice(core, held),
                time_limit_s=time_limit_s,
                relative_gap=gap_share * self.request.relative_gap,
                absolute_gap=gap_share * self.allowed(),
                monitor=QuietMonitor(self.request.monitor),
            )
        )
        self.nodes += answer.nodes
        if answer.x is None:
            return False
        picked = core[np.flatnonzero(answer.x[: len(core)])]
        chosen = held.copy()
        chosen[plans.block[picked]] = picked
        return self._adopt_choice(chosen, answer.x[len(core) :].astype(np.float64))

    def _known_choice(self, core: IntArray, held: IntArray) -> FloatArray | None:
        """Return the incumbent as a point of a choice, where it holds the same."""
        if (
            self.chosen is None
            or self.point is None
            or (held[held >= 0] != self.chosen[held >= 0]).any()
        ):
            return None
        taken = np.isin(core, self.chosen[held < 0])
        return np.concatenate([taken.astype(np.float64), self.point[self.blocks.free]])

    def _adopt_choice(self, chosen: IntArray, z: FloatArray) -> bool:
        point = np.zeros(self.programme.variables)
        point[self.blocks.free] = z
        for plan in chosen.tolist():
            variables = self.blocks.variables[int(self.plans.block[plan])]
            point[variables] = self.plans.values[plan]
        completed = self._completed(point)
        better = completed is not None and self._adopt_point(completed)
        if better:
            self.chosen = chosen
        return better

    # --- neighbourhoods ---

    def _improve(self) -> None:
        """Choose anew for some blocks at a time, for more of them where nothing is found."""
        count = self.blocks.count
        size, failures = float(min(_NEAR_BLOCKS, count)), 0
        while not self.closed() and self.stopped() is None and self._may_improve():
            noise = _NOISE * failures
            if self._improve_near(self._neighbourhood(int(size)), noise):
                failures = 0
                continue
            failures += 1
            if failures >= _NEAR_FAILURES:
                if size >= count:
                    return
                size, failures = min(size * _NEAR_GROWTH, count), 0

    def _may_improve(self) -> bool:
        return self.bound < self.value - self.allowed()

    def _undecided(self) -> BoolArray:
        """Return (blocks,), which take several plans in the relaxation."""
        shares = self.master.plan_shares
        between = (shares > _UNDECIDED[0]) & (shares < _UNDECIDED[1])
        undecided = np.zeros(self.blocks.count, dtype=np.bool_)
        undecided[self.plans.block[: len(shares)][between]] = True
        return undecided

    def _neighbourhood(self, size: int) -> BoolArray:
        """Return (blocks,), which are free to choose."""
        assert self.chosen is not None
        count = self.blocks.count
        reduced = self.rows.reduced(self.duals)
        now = np.array([
            float(reduced[variables] @ self.plans.values[plan])
            for variables, plan in zip(self.blocks.variables, self.chosen.tolist(), strict=True)
        ])  # fmt: skip
        weight = np.full(count, _BY_CHANCE / count)
        with np.errstate(invalid="ignore"):
            loss = np.maximum(np.where(np.isfinite(self.least), now - self.least, 0.0), 0.0)
        for part, factor in ((loss, _BY_LOSS), (self.undecided, _BY_SHARES)):
            if part.sum() > 0:
                weight += factor * part / part.sum()
        taken = self.rng.choice(count, min(size, count), replace=False, p=weight / weight.sum())
        near = np.zeros(count, dtype=np.bool_)
        near[taken] = True
        return near

    def _improve_near(self, near: BoolArray, noise: float) -> bool:
        """Price the blocks of a neighbourhood for what the others leave, and choose."""
        assert self.chosen is not None
        held = np.where(near, -1, self.chosen)
        self._price_beside(held, _NEAR_ROUNDS, noise)
        return self._choose(held, self._share(_NEAR_SHARE))

    # --- without blocks ---

    def _ask_whole(self, time_limit_s: float | None) -> BackendAnswer:
        """Ask branch and cut on the whole programme, and keep what it finds."""
        answer = self.branch_and_cut(
            dataclasses.replace(
                self.request,
                time_limit_s=time_limit_s,
                point=self.point,
                monitor=QuietMonitor(self.request.monitor),
            )
        )
        self.nodes += answer.nodes
        if self.alone:
            self.prove(answer.dual_bound)
        if answer.x is not None:
            point = self._completed(answer.x.astype(np.float64))
            if point is not None:
                self._take(point)
        return answer
