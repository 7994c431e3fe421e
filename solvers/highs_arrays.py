"""Sparse arrays straight into HiGHS: linear and binary programmes of one column per group."""

from __future__ import annotations

from typing import Any

import numpy as np

from solvers.base import SolveParams
from solvers.errors import SolverBackendError
from solvers.problem import FloatArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["choice_programme", "new_highs", "run_highs"]


def new_highs(params: SolveParams, time_limit_s: float | None, **options: object) -> Any:
    """Return a silent HiGHS instance with the common parameters and some options set."""
    import highspy

    highs = highspy.Highs()
    settings: dict[str, object] = {
        "output_flag": False,
        "threads": params.threads,
        "random_seed": params.seed,
        **options,
    }
    if time_limit_s is not None:
        settings["time_limit"] = max(time_limit_s, 0.01)
    for name, value in settings.items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise SolverBackendError(f"HiGHS refuses the option {name} = {value!r}")
    return highs


def choice_programme(
    cost: FloatArray, usage: SparseColumns, limit: FloatArray, group: IntArray, *, binary: bool
) -> Any:
    """Return `min cost @ x`, usage within the limits, one column per group, as HiGHS' own arrays.

    Parameters
    ----------
    limit
        (m,), `inf` allowed.
    group
        (n,), without holes.
    binary
        Whether x is 0 or 1; else any number in between.
    """
    import highspy

    m, n = usage.shape
    groups = int(group.max()) + 1 if n else 0
    start = usage.indptr + np.arange(n + 1)
    index = np.empty(int(start[-1]), dtype=np.int32)
    value = np.ones(len(index))
    own = np.ones(len(index), dtype=bool)
    own[start[1:] - 1] = False
    index[own], value[own] = usage.rows, usage.values
    index[start[1:] - 1] = m + group
    programme = highspy.HighsLp()
    programme.num_col_, programme.num_row_ = n, m + groups
    programme.col_cost_ = cost
    programme.col_lower_, programme.col_upper_ = np.zeros(n), np.ones(n)
    programme.row_lower_ = np.concatenate([np.full(m, -np.inf), np.ones(groups)])
    programme.row_upper_ = np.concatenate([limit, np.ones(groups)])
    programme.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    programme.a_matrix_.start_ = start.astype(np.int32)
    programme.a_matrix_.index_ = index
    programme.a_matrix_.value_ = value
    if binary:
        programme.integrality_ = [highspy.HighsVarType.kInteger] * n
    return programme


def run_highs(highs: Any) -> str:
    """Run and return the model status in HiGHS' words.

    Raises
    ------
    SolverBackendError
        If HiGHS fails.
    """
    import highspy

    # HiGHS keeps the scheduler of the calling thread's first run, whoever made that, and refuses
    # another number of threads until it is reset.
    highspy.Highs.resetGlobalScheduler(True)
    if highs.run() == highspy.HighsStatus.kError:
        status = highs.modelStatusToString(highs.getModelStatus())
        raise SolverBackendError(f"HiGHS failed: {status}")
    return str(highs.modelStatusToString(highs.getModelStatus()))
