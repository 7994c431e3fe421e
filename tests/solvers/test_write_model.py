"""MPS and LP files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solvers import AllocationProblem, Links, ModelNames, ProblemError, solve, write_model
from solvers.highs import HighsSolver
from tests.solvers.problems import dense_problem, regret_trap, strict_problem


def read(path: Path) -> Any:
    import highspy

    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    assert highs.readModel(str(path)) == highspy.HighsStatus.kOk
    return highs


@pytest.mark.parametrize("suffix", [".mps", ".lp"])
@pytest.mark.parametrize(
    "problem",
    [
        regret_trap(),
        dense_problem(20, 6, 4, seed=1),
        AllocationProblem(
            [-0.1, 9, 1e9, 9.125, 0.3, 0], [[0.1, 0] * 3, [1, 2] * 3], [0.3, np.inf],
            [0, 0, 1, 1, 2, 2],
        ),
    ],
    ids=["regret trap", "dense", "signs, sizes and an unlimited row"],
)  # fmt: skip
def test_the_file_read_back_has_the_same_optimum(
    problem: AllocationProblem, suffix: str, tmp_path: Path
) -> None:
    """Another program gets the same columns, rows by name, and the same optimal value."""
    path = tmp_path / f"model{suffix}"
    write_model(problem, path)
    highs = read(path)
    assert highs.getNumCol() == problem.columns
    names = [highs.getColName(column)[1] for column in range(problem.columns)]
    assert set(names) == {f"C{column}" for column in range(problem.columns)}
    rows = {highs.getRowName(row)[1] for row in range(highs.getNumRow())}
    limited = {f"R{row}" for row in np.flatnonzero(np.isfinite(problem.capacity))}
    assert rows >= limited | {f"G{group}" for group in range(problem.groups)}
    highs.run()
    best = solve(problem, HighsSolver()).primal_bound
    assert highs.getInfo().objective_function_value == pytest.approx(best, rel=1e-9)


def test_names_are_kept_as_far_as_the_formats_allow(tmp_path: Path) -> None:
    """Spaces, operators, numbers, words of LP files, names given twice; in both formats."""
    problem = AllocationProblem(
        [5, 1, 5, 1], [[0, 1, 0, 1]], [1], [0, 0, 1, 1],
        links=Links([0], [0], [[1, 0, -1, 0]], [[0]], cost=[1.0]),
    )  # fmt: skip
    names = ModelNames(
        columns=("chat on A+B", "chat.unserved", "1e5", "chat on A+B"),
        rows=("H100@us-east",),
        groups=("free", "x"),
        further=("bought: 1",),
        links=("bought",),
    )
    for suffix in (".mps", ".lp"):
        path = tmp_path / f"model{suffix}"
        write_model(problem, path, names=names)
        highs = read(path)
        found = {highs.getColName(column)[1] for column in range(highs.getNumCol())}
        assert found == {"chat_on_A_B", "chat.unserved", "_1e5", "chat_on_A_B#2", "bought__1"}
        rows = {highs.getRowName(row)[1] for row in range(highs.getNumRow())}
        assert {"H100@us_east", "bought"} <= rows
        highs.run()
        assert highs.getInfo().objective_function_value == pytest.approx(10.0)
    plain = dataclasses.replace(problem, links=None)
    write_model(plain, tmp_path / "plain.lp", names=names)
    text = (tmp_path / "plain.lp").read_text()
    assert "_free:" in text


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Other suffixes; priorities, which the formats cannot express; a folder that is not there."""
    with pytest.raises(ProblemError, match=r"must end in \.mps or \.lp"):
        write_model(regret_trap(), tmp_path / "model.txt")
    with pytest.raises(ProblemError, match="not strict priorities"):
        write_model(strict_problem(), tmp_path / "model.mps")
    with pytest.raises(OSError, match="nowhere"):
        write_model(regret_trap(), tmp_path / "nowhere" / "model.mps")
    assert list(tmp_path.iterdir()) == []
