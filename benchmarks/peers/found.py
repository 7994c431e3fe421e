"""What a solver found, and the arrays that all are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from solvers import AllocationProblem


@dataclass(frozen=True)
class Found:
    """Value and bound of a minimum, None where there is none; who found it, and what else."""

    value: float | None
    bound: float | None
    version: str
    detail: str = ""


def matrix(problem: AllocationProblem) -> csc_array:
    """The use of each resource by each column, (rows, columns)."""
    from scipy.sparse import csc_array

    usage = problem.usage
    return csc_array((usage.values, usage.rows, usage.indptr), shape=usage.shape)
