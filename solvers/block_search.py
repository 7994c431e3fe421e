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

from solvers.block_prices import MISSED, BlockPrices
from solvers.exact import Backend, BackendAnswer, BackendRequest
from solvers.link_values import solve_rest
from solvers.linked_blocks import Blocks, find_blocks, without_excluded
from solvers.mixed_programme import MixedProgramme
from solvers.problem import BoolArray, FloatArray, IntArray
from solvers.result import Limit
from solvers.rounded_rows import with_rounded_rows
from solvers.split_programme import scaled_objective
from solvers.stage_search import QuietMonitor

__all__ = ["block_search"]

# Share of the time for each relaxation whose rows are rounded.
_ROUNDING_SHARE = 0.1
# Shares of the time: of the first choice, of the choice in a neighbourhood, of deciding on blocks
# one after another.
_CHOICE_SHARE, _NEAR_SHARE, _DIVE_TIME = 0.2, 0.05, 0.1
# Share for branch and cut on everything, where no choice of plans fits together.
_RESCUE_SHARE = 0.5
# Plans are chosen to this share of the gap that is asked for.
_CHOICE_GAP = 0.02
# The first choice: share of the blocks decided on at a time, and at most before it.
_DIVE_STEP, _DIVE_SHARE = 0.06, 0.3
# Neighbourhoods: blocks at first, growth when nothing is found so many times, rounds of prices.
_NEAR_BLOCKS, _NEAR_GROWTH, _NEAR_FAILURES, _NEAR_ROUNDS = 24, 1.3, 4, 2
# Noise on prices for each neighbourhood in which nothing was found.
_NOISE = 0.05
# How likely a block is taken: for what its plan costs beyond its best, for being undecided in the
# relaxation, and for nothing.
_BY_LOSS, _BY_SHARES, _BY_CHANCE = 1.0, 0.3, 0.5


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
    plain = without_excluded(request.programme)
    if find_blocks(plain, request.problem.group) is None:
        return None
    limit = request.time_limit_s
    programme = with_rounded_rows(plain, None if limit is None else _ROUNDING_SHARE * limit)
    blocks = find_blocks(programme, request.problem.group)
    if blocks is None:
        return None
    return _BlockSearch(request, programme, blocks, branch_and_cut, seed).run()


class _BlockSearch(BlockPrices):
    """One stage: choices of plans, neighbourhoods."""

    def __init__(
        self,
        request: BackendRequest,
        programme: MixedProgramme,
        blocks: Blocks,
        branch_and_cut: Backend,
        seed: int,
    ) -> None:
        super().__init__(request, programme, blocks, seed)
        self.branch_and_cut = branch_and_cut
        if request.point is not None:
            self._take(request.point)

    def run(self) -> BackendAnswer:
        """Find prices, choose among plans, then improve on the choice."""
        if not self.begin():
            return BackendAnswer(infeasible=True, detail="the relaxation is infeasible")
        if not self.find_prices():
            return BackendAnswer(infeasible=True, detail="a block has no plan")
        self.undecided = self.undecided_blocks()
        self.bound_alone()
        if self.stopped() is not Limit.INTERRUPTED:
            if self.mostly_hard:
                # Plans that are found in no time fit together badly: better ones come of the whole.
                self._ask_whole(self.share(_RESCUE_SHARE))
            nothing = np.full(self.blocks.count, -1)
            # Whatever fits together, soon; a better choice afterwards.
            self._choose(nothing, self.share(_CHOICE_SHARE), 1.0)
            if not self.mostly_hard:
                self._dive()
            if self.chosen is None and self._ask_whole(self.share(_RESCUE_SHARE)).infeasible:
                return BackendAnswer(infeasible=True, detail="proven by branch and cut")
        more = self.late and not self.mostly_hard
        if more and self.chosen is not None and self.stopped() is None:
            self.find_prices()  # with a solution there is more time
        if self.chosen is not None:
            self._improve()
        if self.closed() or self.stopped() is not None:
            return self.answer("blocks")
        answer = self._ask_whole(self.left())
        bound = max(answer.dual_bound, self.rounded())
        return dataclasses.replace(answer, x=self.x, dual_bound=bound)

    # --- choices ---

    def _dive(self) -> None:
        """Decide the clearest blocks a few at a time, price the others anew, choose for these."""
        count = self.blocks.count
        held = np.full(count, -1)
        step = max(round(_DIVE_STEP * count), 1)
        share = self.share(_DIVE_TIME)
        until = math.inf if share is None else self.elapsed() + share
        while (held >= 0).sum() < _DIVE_SHARE * count and self.elapsed() < until:
            clearest = self.clearest(held < 0, step)
            if not len(clearest):
                break
            held[self.plans.block[clearest]] = clearest
            priced = self.price_beside(held, 1)
            if not priced or self.master.missing > MISSED or self.stopped() is not None:
                break
        self._choose(held, self.share(_CHOICE_SHARE))

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
        self.price_beside(held, _NEAR_ROUNDS, noise)
        return self._choose(held, self.share(_NEAR_SHARE))

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
