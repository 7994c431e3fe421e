"""When and how long to look for better choices by lists of partial choices: for dense rows only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from solvers.compiled import can_compile
from solvers.grouped_columns import GroupedColumns
from solvers.problem import FloatArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["compilable_in", "has_many_priced_rows", "is_dense", "run_rounds"]

# Entries a column, on average, up to which a problem counts as sparse: reduced costs alone bring
# its choices next to the bound.
_SPARSE = 3
# Usage entries up to which the dense forms of the search stay small.
_MOST_ENTRIES = 4_000_000
_FEW_PRICED_ROWS = 12
# Rounds at most where there is no time limit: 20 s of the public instances.
_UNTIMED_ROUNDS = 150
# Seconds that compiling takes, generously, where that was never done.
_COMPILE_S = 20.0


def is_dense(usage: SparseColumns) -> bool:
    """Whether the rows are dense and the problem small enough for lists of partial choices."""
    entries = len(usage.values)
    return _SPARSE * usage.shape[1] < entries <= _MOST_ENTRIES


def compilable_in(seconds: float | None) -> bool:
    """Whether the search can run within so many seconds, compiling it where need be."""
    if not can_compile():
        return False
    if seconds is None:
        return True
    from solvers.pair_matching import is_ready

    return seconds > _COMPILE_S or is_ready()


def has_many_priced_rows(prices: FloatArray) -> bool:
    """Whether fitting into all the rows is what is hard, rather than leaving little over.

    Then branch and cut finds the better choices, and lists improve them; with fewer rows lists find
    them alone (public instances: INST22-24 and INST26 against all the others, November 2026).
    """
    return int(np.count_nonzero(prices)) > _FEW_PRICED_ROWS


def run_rounds(
    columns: GroupedColumns,
    limit: FloatArray,
    prices: FloatArray,
    dual: float,
    choice: IntArray,
    *,
    seed: int,
    adopt: Callable[[IntArray], bool],
    stops: Callable[[], bool],
    timed: bool,
) -> int:
    """Improve a choice until told to stop or nothing more is found; how many rounds that took.

    Parameters
    ----------
    choice
        See `TwoListSearch` for this and what stands before it.
    adopt
        Takes a better choice; false if it breaks a limit after all, which ends the search.
    timed
        Whether `stops` knows a time limit; without one there is another end to it.
    """
    from solvers.two_list_search import TwoListSearch

    search = TwoListSearch(columns, limit, prices, dual, choice, seed)
    rounds = 0
    while not stops() and not search.stale and (timed or rounds < _UNTIMED_ROUNDS):
        rounds += 1
        better = search.round()
        if better is not None and not adopt(better):
            break
    return rounds
