"""An allocation problem as a file that any solver of mixed-integer programmes reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from solvers.errors import MissingExtraError, ProblemError
from solvers.frozen_stages import with_stages_frozen
from solvers.highs_arrays import choice_programme
from solvers.integer_scaling import ScaledObjective
from solvers.mixed_programme import highs_programme
from solvers.problem import AllocationProblem
from solvers.split_items import SplitItems
from solvers.split_programme import SplitProgramme

__all__ = ["write_model"]

_SUFFIXES = (".mps", ".lp")


def write_model(
    problem: AllocationProblem, path: str | Path, reached: Mapping[int, float] | None = None
) -> None:
    """Write the binary programme as free-format MPS or as LP, by the path's suffix.

    Parameters
    ----------
    problem
        Columns are named C0, C1, ..., capacity rows R0, R1, ... and groups
        G0, G1, ...; numbers are the caller's, to 15 digits. With a split or a linked
        part, the variables after the columns are V0, V1, ... and rows R0, R1, ..., see
        `solvers.split_programme`; rows may be scaled.
    path
        Ends in ".mps" or ".lp"; an existing file is replaced.
    reached
        With strict priorities: by priority, the unserved weight that may not be passed, as in
        `StageResult.value`. The model is then that of the cost.

    Raises
    ------
    ProblemError
        If the problem has strict priorities and nothing is said to be reached, or uncertain rows,
        which the formats cannot express, or the suffix is another one.
    MissingExtraError
        If HiGHS, which writes the file, is not installed.
    OSError
        If the file cannot be written.
    """
    target = Path(path)
    if target.suffix not in _SUFFIXES:
        raise ProblemError(f"{target}: the name must end in {' or '.join(_SUFFIXES)}")
    if problem.priority is not None and reached is None:
        raise ProblemError(
            f"{target.suffix} files know one objective, not strict priorities; say what each "
            f"priority `reached`, write the problem without `priority`, or use write_problem"
        )
    if problem.chance is not None:
        raise ProblemError(
            f"{target.suffix} files of linear programmes have no rows that are kept with a "
            f"probability; use write_problem, or write the problem without `chance`"
        )
    try:
        import highspy
    except ImportError as error:
        raise MissingExtraError(
            "writing models needs HiGHS; try: pip install 'highspy<1.15'"
        ) from error
    programme = _named_programme(problem, reached or {})
    programme.model_name_ = "allocation"
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.passModel(programme)
    # HiGHS reports a file that it cannot write in words only, where nobody reads them.
    target.touch()
    if highs.writeModel(str(target)) == highspy.HighsStatus.kError:
        raise OSError(f"{target}: HiGHS could not write the model")


def _named_programme(problem: AllocationProblem, reached: Mapping[int, float]) -> Any:
    problem = with_stages_frozen(problem, reached)
    columns = [f"C{column}" for column in range(problem.columns)]
    if problem.split is None and problem.links is None:
        programme: Any = choice_programme(
            problem.cost, problem.usage, problem.capacity, problem.group, binary=True
        )
        programme.col_names_ = columns
        programme.row_names_ = [f"R{row}" for row in range(problem.rows)] + [
            f"G{group}" for group in range(problem.groups)
        ]
        return programme
    builder = SplitProgramme(problem, SplitItems(problem))
    objective = builder.cost_objective()
    mixed = dataclasses.replace(
        builder.programme(objective, [], []),
        objective=ScaledObjective(objective, 1.0, 0.0, exact=False),
    )
    programme = highs_programme(mixed)
    programme.col_names_ = columns + [f"V{i}" for i in range(mixed.variables - len(columns))]
    programme.row_names_ = [f"R{row}" for row in range(len(mixed.row_lower))]
    return programme
