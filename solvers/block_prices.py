"""Prices of what blocks share: the relaxation over their plans, and the bound that it proves."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from solvers.block_plans import BlockPlans, BlockRows
from solvers.block_pricing import BlockPlan, PricedBlock
from solvers.exact import BackendRequest
from solvers.linked_blocks import Blocks
from solvers.mixed_programme import MixedProgramme
from solvers.problem import BoolArray, FloatArray, IntArray
from solvers.relaxed_master import RelaxedMaster
from solvers.small_programme import relaxed_duals
from solvers.split_programme import scaled_objective
from solvers.stage_search import StageSearch

__all__ = ["MISSED", "BlockPrices"]

# Shares of the time: of the relaxation that gives the first prices, of all pricing before the first
# choice, of one round of prices.
_RELAXED_SHARE, _PRICES_SHARE, _ROUND_SHARE = 0.5, 0.4, 0.2
# Prices are good enough at this share of the gap that is asked for, and at least at this.
_PRICE_SHARE, _FINEST = 0.05, 1e-7
_MOST_ROUNDS = 60
# Rounds in which a block may stay without any plan.
_MOST_ATTEMPTS = 3
# Weight of the best duals so far against those of the relaxation, after so many rounds.
_SMOOTHED, _DIRECT_ROUNDS = 0.4, 3
# Units missing in the relaxation that are rounding.
MISSED = 1e-7
# Plans are searched to this share of the gap that is asked for, within limits; and for so many
# nodes, fewer where each is looked into thoroughly.
_PLAN_SHARE, _PLAN_FINEST, _PLAN_COARSEST = 0.05, 1e-6, 1e-3
_PLAN_NODES, _THOROUGH_NODES = 100, 20
# Seconds that the search for a plan may take even when the time is up.
_LEAST_PLAN_S = 0.02
# A plan that may cost this share less is looked for more thoroughly the next time.
_HARD = 5e-3
# With more than this share of such blocks, plans are no good beginning.
_MOST_HARD = 0.25
# Shares of plans that decide nothing.
_UNDECIDED = (1e-6, 1.0 - 1e-3)
# Share from which a plan is clear; of others one is decided on at a time.
_CLEAR = 0.7
# Seconds that the first choice of plans may take when the time is up.
_FIRST_CHOICE_S = 0.5


class BlockPrices(StageSearch):
    """A stage taken apart into blocks: plans known, prices, bound.

    Attributes
    ----------
    plans
        All plans known.
    hard
        (blocks,), whose best plan was not found to the gap that was asked for.
    duals, least
        The prices of the best bound, and (blocks,) the bounds of plans at them.
    late
        Whether prices were given up for want of time.
    chosen, point
        Of the incumbent: its plan of each block, and all its variables; None: none yet.
    """

    def __init__(
        self,
        request: BackendRequest,
        programme: MixedProgramme,
        blocks: Blocks,
        seed: int,
    ) -> None:
        super().__init__(request, _FIRST_CHOICE_S)
        objective = scaled_objective(self.weighed, programme.integer)
        self.programme = dataclasses.replace(programme, objective=objective)
        self.blocks = blocks
        self.seed = seed
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

    def begin(self) -> bool:
        """Take the first prices from the plain relaxation; whether that has a solution."""
        share = self.share(_RELAXED_SHARE)
        found = relaxed_duals(self.programme, share)
        if found is None:
            return True
        if not len(found):
            return False
        self.duals = self.programme.objective.unit * found[self.blocks.shared]
        return True

    @property
    def mostly_hard(self) -> bool:
        """Whether plans of blocks take too long to be a good beginning."""
        return bool(self.hard.mean() > _MOST_HARD)

    def share(self, share: float) -> float | None:
        """Return a share of all the time, as far as it is left."""
        limit, left = self.limit(), self.left()
        return None if limit is None or left is None else min(share * limit, left)

    def find_prices(self) -> bool:
        """Price and add plans until the relaxation and the bound meet; whether plans exist."""
        duals, share = self.duals, self.share(_PRICES_SHARE)
        until = None if share is None else self.elapsed() + share
        everything, direct = np.arange(self.blocks.count), True
        self.master.allow(np.ones(len(self.plans.block), dtype=np.bool_))
        for number in range(_MOST_ROUNDS):
            duals = self.rows.signed(duals)
            found = self.price(self.rows.reduced(duals), everything)
            least = np.array([plan.bound for plan in found])
            if np.isposinf(least).any():
                return False
            bound = math.fsum(least.tolist()) + self.rows.constant(duals)
            if bound > self.bound or number == 0:
                self.duals, self.least = duals, least
                self.prove(bound)
            fresh = self.keep(everything, found)
            if self.mostly_hard:
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
        return self.master.missing <= MISSED and value - self.bound <= share * abs(value)

    def price(self, reduced: FloatArray, which: IntArray) -> list[BlockPlan]:
        """Return the best plans of some blocks at reduced costs of the variables."""
        gap = min(max(_PLAN_SHARE * self.request.relative_gap, _PLAN_FINEST), _PLAN_COARSEST)
        found = []
        share = self.share(_ROUND_SHARE)
        until = math.inf if share is None else self.elapsed() + share
        for place, block in enumerate(which.tolist()):
            # What others leave of the time of a round is for the blocks that need it.
            each = (until - self.elapsed()) / (len(which) - place)
            limit = None if share is None else max(each, _LEAST_PLAN_S)
            plan = self.priced[block].price(
                reduced[self.blocks.variables[block]],
                start=self._start(block),
                relative_gap=gap,
                nodes=_THOROUGH_NODES if self.hard[block] else _PLAN_NODES,
                thorough=bool(self.hard[block]),
                time_limit_s=limit,
            )
            self.hard[block] = plan.value - plan.bound > _HARD * abs(plan.bound)
            found.append(plan)
        return found

    def _start(self, block: int) -> FloatArray | None:
        """Return where the search for a hard block's plan begins; easy ones find other plans."""
        if self.chosen is None or not self.hard[block]:
            return None
        return self.plans.values[int(self.chosen[block])]

    def keep(self, which: IntArray, found: list[BlockPlan]) -> int:
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

    def bound_alone(self) -> None:
        """Bound the stage alone, by the prices found, in its own measure."""
        if self.alone:
            return
        rows = BlockRows(self.programme, self.blocks, self.stage.objective)
        duals = rows.signed(self.duals / self.weight)
        found = self.price(rows.reduced(duals), np.arange(self.blocks.count))
        least = math.fsum(plan.bound for plan in found)
        self.own_bound = max(self.own_bound, least + rows.constant(duals), 0.0)

    def price_beside(self, held: IntArray, rounds: int, noise: float = 0.0) -> bool:
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
            fresh = self.keep(which, self.price(self.rows.reduced(duals), which))
            if not fresh or self.stopped() is not None:
                break
            anything = True
        if anything:
            self.master.solve()
        return anything

    def undecided_blocks(self) -> BoolArray:
        """Return (blocks,), which take several plans in the relaxation."""
        shares = self.master.plan_shares
        between = (shares > _UNDECIDED[0]) & (shares < _UNDECIDED[1])
        undecided = np.zeros(self.blocks.count, dtype=np.bool_)
        undecided[self.plans.block[: len(shares)][between]] = True
        return undecided

    def clearest(self, open_blocks: BoolArray, most: int) -> IntArray:
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
