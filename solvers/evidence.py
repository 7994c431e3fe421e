"""What is kept of a problem whose answer contradicts itself, so that it can be asked again."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

from solvers.errors import SolverError
from solvers.problem import AllocationProblem, IntArray
from solvers.problem_io import write_problem
from solvers.write_model import write_model

__all__ = ["evidence_kept"]


def evidence_kept(problem: AllocationProblem, x: IntArray) -> str:
    """Write a problem and a solution of it to a new folder of temporary files; return where.

    Parameters
    ----------
    problem
        Written as `problem.json`, exactly, and where that can be said in it as `model.mps`, of the
        cost alone.
    x
        (n,), written as `solution.json`.

    Returns
    -------
    str
        Words for an error message; also where nothing could be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="fleetopt-contradiction-"))
        write_problem(problem, folder / "problem.json")
        (folder / "solution.json").write_text(json.dumps(x.tolist()), encoding="utf-8")
    except OSError as error:
        return f"the problem could not be written for a report: {error}"
    try:
        write_model(dataclasses.replace(problem, priority=None), folder / "model.mps")
    except (OSError, SolverError) as error:
        return f"please report it with the problem in {folder} (without model.mps: {error})"
    return f"please report it with the problem in {folder}"
