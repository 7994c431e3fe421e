"""What counts leave open, as a small programme that HiGHS solves closely; verified by who asks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.errors import SolverBackendError
from solvers.mixed_programme import MixedProgramme, highs_programme

__all__ = ["FEASIBILITY", "relaxed_duals", "solve_closely"]

FloatArray = NDArray[np.float64]

# Rows are kept to this; solutions are verified afterwards.
FEASIBILITY = 1e-9


def solve_closely(programme: MixedProgramme) -> tuple[FloatArray, FloatArray] | None:
    """Return the optimal variables and, of a linear programme, row duals; None when infeasible.

    Raises
    ------
    SolverBackendError
        If HiGHS ends otherwise.
    """
    import highspy

    highs: Any = highspy.Highs()
    whole = bool(programme.integer.any())
    options: dict[str, bool | int | float | str] = {
        "output_flag": False,
        "threads": 1,
        "primal_feasibility_tolerance": FEASIBILITY,
    }
    if whole:
        # Presolve may be wrong, see `solvers.highs_search`.
        options |= {"mip_feasibility_tolerance": FEASIBILITY, "mip_rel_gap": 0.0,
                    "presolve": "off"}  # fmt: skip
    else:
        options["solver"] = "simplex"
    for name, value in options.items():
        highs.setOptionValue(name, value)
    highs.passModel(highs_programme(programme))
    highspy.Highs.resetGlobalScheduler(True)
    highs.run()
    status = highs.getModelStatus()
    if status == highspy.HighsModelStatus.kInfeasible:
        return None
    if status != highspy.HighsModelStatus.kOptimal:
        raise SolverBackendError(f"HiGHS: given counts: {highs.modelStatusToString(status)}")
    solution = highs.getSolution()
    return np.array(solution.col_value), np.array(solution.row_dual)


def relaxed_duals(programme: MixedProgramme, time_limit_s: float | None) -> FloatArray | None:
    """Return row duals of the linear relaxation: none (0 rows) when infeasible, None out of time.

    Raises
    ------
    SolverBackendError
        If HiGHS fails.
    """
    import highspy

    highs: Any = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    if time_limit_s is not None:
        highs.setOptionValue("time_limit", time_limit_s)
    relaxed = dataclasses.replace(programme, integer=np.zeros_like(programme.integer))
    highs.passModel(highs_programme(relaxed))
    highspy.Highs.resetGlobalScheduler(True)
    highs.run()
    status = highs.getModelStatus()
    if status == highspy.HighsModelStatus.kInfeasible:
        return np.zeros(0)
    if status == highspy.HighsModelStatus.kOptimal:
        return np.array(highs.getSolution().row_dual)
    if status == highspy.HighsModelStatus.kTimeLimit:
        return None
    raise SolverBackendError(f"HiGHS: relaxation: {highs.modelStatusToString(status)}")
