"""An allocation problem as a file that any solver of mixed-integer programmes reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from solvers.errors import MissingExtraError, ProblemError
from solvers.frozen_stages import with_stages_frozen
from solvers.highs_arrays import choice_programme
from solvers.integer_scaling import ScaledObjective
from solvers.mixed_programme import highs_programme
from solvers.model_names import ModelNames, escaped
from solvers.problem import AllocationProblem
from solvers.split_items import SplitItems
from solvers.split_programme import SplitProgramme

__all__ = ["write_model"]

_SUFFIXES = (".mps", ".lp")


def write_model(
    problem: AllocationProblem,
    path: str | Path,
    reached: Mapping[int, float] | None = None,
    names: ModelNames | None = None,
) -> None:
    """Write the binary programme as free-format MPS or as LP, by the path's suffix.

    Parameters
    ----------
    problem
        Numbers are the caller's, to 15 digits; with a split or a linked part rows may be scaled,
        and there are further variables and rows, see `solvers.split_programme`.
    path
        Ends in ".mps" or ".lp"; an existing file is replaced.
    reached
        With strict priorities: by priority, the unserved weight that may not be passed, as in
        `StageResult.value`. The model is then that of the cost.
    names
        What to call columns, rows and groups, as far as the formats allow; by default columns are
        C0, C1, ..., capacity rows R0, R1, ..., groups G0, G1, ..., further columns Z0, Z1, ... and
        rows of links L0, L1, .... Other variables and rows are V and R with their number.

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
    programme = _named_programme(problem, reached or {}, names or ModelNames())
    programme.model_name_ = "allocation"
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.passModel(programme)
    # HiGHS reports a file that it cannot write in words only, where nobody reads them.
    target.touch()
    if highs.writeModel(str(target)) == highspy.HighsStatus.kError:
        raise OSError(f"{target}: HiGHS could not write the model")


def _named_programme(
    problem: AllocationProblem, reached: Mapping[int, float], names: ModelNames
) -> Any:
    stages = [f"unserved of priority {level}" for level in reached]
    links = 0 if problem.links is None else problem.links.rows
    further = 0 if problem.links is None else problem.links.columns
    rows = [*_given(names.rows, "R", problem.rows)]
    linked = [*_given(names.links, "L", links)]
    (rows if problem.split is None else linked).extend(stages)
    columns = escaped(_given(names.columns, "C", problem.columns))
    groups = _given(names.groups, "G", problem.groups)
    problem = with_stages_frozen(problem, reached)
    if problem.split is None and problem.links is None:
        programme: Any = choice_programme(
            problem.cost, problem.usage, problem.capacity, problem.group, binary=True
        )
        programme.col_names_ = columns
        programme.row_names_ = escaped([*rows, *groups])
        return programme
    builder = SplitProgramme(problem, SplitItems(problem))
    objective = builder.cost_objective()
    mixed = dataclasses.replace(
        builder.programme(objective, [], []),
        objective=ScaledObjective(objective, 1.0, 0.0, exact=False),
    )
    programme = highs_programme(mixed)
    of_variable = [*columns, *(f"V{i}" for i in range(len(columns), mixed.variables))]
    for place, name in zip(builder.z.tolist(), _given(names.further, "Z", further), strict=True):
        of_variable[place] = name
    of_row = [f"R{row}" for row in range(len(mixed.row_lower))]
    for row, name in zip(builder.capacity_row.tolist(), rows, strict=True):
        if row >= 0:
            of_row[row] = name
    for place, name in enumerate(linked):
        of_row[builder.first_link + place] = name
    programme.col_names_ = escaped(of_variable)
    programme.row_names_ = escaped(of_row)
    return programme


def _given(names: Sequence[str], letter: str, count: int) -> Sequence[str]:
    """Return the names, or letters with numbers."""
    return names or [f"{letter}{number}" for number in range(count)]
