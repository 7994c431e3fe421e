"""When and how long to look for better choices by lists of partial choices: for dense rows only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from solvers.compiled import can_compile
from solvers.sparse_columns import SparseColumns

if TYPE_CHECKING:
    from solvers.two_list_search import TwoListSearch

__all__ = ["compilable_in", "is_dense", "run_rounds"]

# Entries a column, on average, up to which a problem counts as sparse: reduced costs alone bring
# its choices next to the bound.
_SPARSE = 3
# Usage entries up to which the dense forms of the search stay small.
_MOST_ENTRIES = 4_000_000
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


def run_rounds(
    search: TwoListSearch,
    adopt: Callable[..., bool],
    out_of_time: Callable[[], bool],
    timed: bool,
) -> int:
    """Run rounds until the time is up or nothing more is found; how many there were.

    Parameters
    ----------
    adopt
        Takes a better choice; false if it breaks a limit after all, which ends the search.
    """
    rounds = 0
    while not out_of_time() and not search.stale and (timed or rounds < _UNTIMED_ROUNDS):
        rounds += 1
        choice = search.round()
        if choice is not None and not adopt(choice):
            break
    return rounds
