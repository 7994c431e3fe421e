"""The plain model, straight into HiGHS."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from benchmarks.peers.found import Found, matrix
from solvers import AllocationProblem


def find(problem: AllocationProblem, limit_s: float, gap: float) -> Found:
    """Solve by `scipy`-free arrays: rows of groups are equalities, those of resources at most."""
    import highspy
    from scipy.sparse import coo_array, vstack

    columns = problem.columns
    choice = coo_array(
        (np.ones(columns), (np.asarray(problem.group), np.arange(columns))),
        shape=(problem.groups, columns),
    )
    rows = vstack([choice, matrix(problem)]).tocsc()
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = columns, rows.shape[0]
    model.col_cost_ = np.asarray(problem.cost, float)
    model.col_lower_, model.col_upper_ = np.zeros(columns), np.ones(columns)
    least = np.concatenate([np.ones(problem.groups), np.full(problem.rows, -highspy.kHighsInf)])
    model.row_lower_ = least
    model.row_upper_ = np.concatenate([np.ones(problem.groups), problem.capacity])
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = rows.indptr, rows.indices
    model.a_matrix_.value_ = rows.data
    model.integrality_ = [highspy.HighsVarType.kInteger] * columns
    solver = highspy.Highs()
    for name, value in (
        ("output_flag", False), ("threads", 1), ("time_limit", limit_s), ("mip_rel_gap", gap),
    ):  # fmt: skip
        solver.setOptionValue(name, value)
    solver.passModel(model)
    solver.run()
    info = solver.getInfo()
    found = info.primal_solution_status == 2
    return Found(
        info.objective_function_value if found else None,
        info.mip_dual_bound,
        f"HiGHS {version('highspy')}",
    )
