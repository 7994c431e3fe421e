"""Improving a placement: one group moves, or two at once, always to something better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.placement import NOTHING, Placement
from solvers.problem import BoolArray, FloatArray, IntArray

__all__ = ["ExchangeSearch"]

# Pairs are looked for in a dense copy of the usage up to this many entries (40 MB).
_DENSE_ENTRIES = 5_000_000
# Entries of that copy that one search may look at: about a second; a count, not a clock, so that
# the same problem gives the same answer everywhere.
_DEFAULT_BUDGET = 60_000_000
# Savings below this, relative to the costs moved, are rounding.
_LEAST_SAVING = 1e-12


@dataclass(frozen=True, slots=True)
class _PairMove:
    """`group` takes `column`, and `other_column` replaces what its group had."""

    group: int
    column: int
    other: int
    other_column: int
    kicks_out: bool
    saving: float


class ExchangeSearch:
    """Moves on one placement, whose columns are looked at in dense form.

    Parameters
    ----------
    placement
        Changed in place. Groups that hold part of a column stay as they are.
    levels
        (G,), priority of each group: a group may be put out only for a more important one, or for
        one of the same priority and more weight, and only if it can be left unserved at no usage.
    budget
        Usage entries that the search may look at.
    """

    def __init__(
        self,
        placement: Placement,
        levels: IntArray,
        weights: FloatArray,
        budget: int = _DEFAULT_BUDGET,
    ) -> None:
        problem = placement.problem
        self.placement = placement
        self.levels = levels
        self.weights = weights
        self.budget = budget
        self._can_leave = np.zeros(problem.groups, dtype=bool)
        if problem.unserved is not None:
            free = problem.unserved & (np.diff(problem.usage.indptr) == 0)
            self._can_leave[problem.group[free]] = True
        self._pairs = problem.rows * problem.columns <= _DENSE_ENTRIES and problem.rows > 0
        if self._pairs:
            self._usage = problem.usage.to_dense()
            self._table = _padded(placement.candidates)
            self._held = np.zeros((problem.rows, problem.groups))
            self._column = np.full(problem.groups, NOTHING)
        self.reload()

    def reload(self) -> None:
        """Take note of changes that others made to the placement."""
        if self._pairs:
            self._column[:] = self.placement.choice
            # Parts are never moved, so what their group holds is not offered to anyone.
            whole = self._column != NOTHING
            whole[list(self.placement.taken)] = False
            self._held[:] = 0.0
            self._held[:, whole] = self._usage[:, self._column[whole]]

    def insert(self, waiting: Iterable[int]) -> list[int]:
        """Place waiting groups, moving or putting out another where needed; return who is left.

        A group that is put out joins the end of the waiting line.
        """
        queue, left = list(waiting), []
        for group in queue:  # grows while it is walked
            fitting = next(
                (c for c in self.placement.candidates[group] if self.placement.fits(c)), None
            )
            if fitting is not None:
                self._place(group, fitting)
                continue
            moves = (self._best_pair(group, c) for c in self.placement.candidates[group])
            best = min(
                (move for move in moves if move is not None),
                key=lambda move: (move.kicks_out, -move.saving),
                default=None,
            )
            if best is None:
                left.append(group)
            else:
                self._apply(best)
                if best.kicks_out:
                    queue.append(best.other)
        return left

    def lower_cost(self, groups: Iterable[int] | None = None) -> None:
        """Move to cheaper columns, singly or with another group's help, until nothing helps."""
        everyone = range(self.placement.problem.groups) if groups is None else list(groups)
        improved = True
        while improved and self.budget > 0:
            improved = False
            for group in everyone:
                while self._lower_one(group):
                    improved = True

    def _lower_one(self, group: int) -> bool:
        placement = self.placement
        kept = placement.choice[group]
        if kept == NOTHING or group in placement.taken:
            return False
        cheaper = []
        for column in placement.candidates[group]:
            if placement.cost[column] >= placement.cost[kept]:
                break
            if placement.fits_instead(group, column):
                self._place(group, column)
                return True
            cheaper.append(column)
        for column in cheaper:
            move = self._best_pair(group, column)
            scale = abs(placement.cost[kept]) + abs(placement.cost[column])
            if move is not None and move.saving > _LEAST_SAVING * scale:
                self._apply(move)
                return True
        return False

    def _best_pair(self, group: int, column: int) -> _PairMove | None:
        """Return the best move of one other group that lets `group` have `column`.

        For a group that has nothing, the other may be put out; else the other keeps a column.
        """
        if not self._pairs or self.budget <= 0:
            return None
        free = np.array(self.placement.free) + self._held[:, group] - self._usage[:, column]
        short = np.flatnonzero(free < 0)
        helpers: BoolArray = np.all(self._held[short] >= -free[short, None], axis=0)
        helpers[group] = False
        for other in self.placement.taken:
            helpers[other] = False
        others = np.flatnonzero(helpers)
        self.budget -= self._held[short].size
        if not others.size:
            return None
        waiting = self.placement.choice[group] == NOTHING
        move = self._best_swap(group, column, others, free, waiting)
        if move is None and waiting:
            return self._best_kick(group, column, others)
        return move

    def _best_swap(
        self, group: int, column: int, others: IntArray, free: FloatArray, waiting: bool
    ) -> _PairMove | None:
        choice, cost = self.placement.choice, self.placement.problem.cost
        held = self._column[others]
        targets = self._table[others]
        owner = np.broadcast_to(np.arange(len(others))[:, None], targets.shape)[targets >= 0]
        targets = targets[targets >= 0]
        extra = cost[targets] - cost[held[owner]]
        kept = choice[group]
        allowed = np.inf if waiting else float(cost[kept] - cost[column])
        near = extra < allowed
        owner, targets, extra = owner[near], targets[near], extra[near]
        self.budget -= self._usage.shape[0] * len(targets)
        room = free[:, None] + self._held[:, others[owner]] - self._usage[:, targets]
        fitting = np.flatnonzero((room >= 0).all(axis=0))
        if not fitting.size:
            return None
        best = fitting[np.lexsort((targets[fitting], extra[fitting]))[0]]
        gain = -float(extra[best]) if waiting else allowed - float(extra[best])
        if waiting:
            gain -= float(cost[column])
        return _PairMove(group, column, int(others[owner[best]]), int(targets[best]), False, gain)

    def _best_kick(self, group: int, column: int, others: IntArray) -> _PairMove | None:
        """Put out the least important group that makes room, if less important than this one."""
        level, weight = self.levels[group], self.weights[group]
        less = (self.levels[others] > level) | (
            (self.levels[others] == level) & (self.weights[others] < weight)
        )
        others = others[less & self._can_leave[others]]
        if not others.size:
            return None
        order = np.lexsort((others, self.weights[others], -self.levels[others]))
        other = int(others[order[0]])
        return _PairMove(group, column, other, NOTHING, True, -self.placement.cost[column])

    def _apply(self, move: _PairMove) -> None:
        self.placement.remove(move.group)
        self.placement.remove(move.other)
        if move.other_column != NOTHING:
            self.placement.place(move.other, move.other_column)
        self.placement.place(move.group, move.column)
        self._refresh(move.group)
        self._refresh(move.other)

    def _place(self, group: int, column: int) -> None:
        self.placement.place(group, column)
        self._refresh(group)

    def _refresh(self, group: int) -> None:
        if self._pairs:
            column = self.placement.choice[group]
            self._column[group] = column
            whole = column != NOTHING and group not in self.placement.taken
            self._held[:, group] = self._usage[:, column] if whole else 0.0


def _padded(candidates: list[list[int]]) -> NDArray[np.int64]:
    """Return the candidates as a table (G, largest number), padded with -1."""
    table = np.full((len(candidates), max(map(len, candidates), default=0)), NOTHING)
    for group, columns in enumerate(candidates):
        table[group, : len(columns)] = columns
    return table
