"""The layout of INST01-INST30: read, written, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import AllocationProblem, ProblemError, solve
from solvers.instances import inst_text, parse_inst, profits, read_instance_file, write_inst
from tests.solvers.instances.layouts import INST, by_hand


def test_a_file_written_by_hand_reads_as_its_arrays() -> None:
    """Profits become negative costs, groups keep their own numbers of items, 0 stays 0."""
    problem = parse_inst(INST)
    assert problem == by_hand()
    assert profits(problem).tolist() == [4.5, 10.0, 6.0, 0.0, 8.0]
    assert not np.signbit(problem.cost[3])


def test_the_optimum_is_the_one_found_by_hand() -> None:
    """The value of the best solution is minus the best profit."""
    assert solve(parse_inst(INST), "milp").primal_bound == -16.0


def test_the_writer_writes_the_layout_to_the_letter() -> None:
    """Whole numbers without a point, others with their shortest digits."""
    assert inst_text(by_hand()) == INST


@settings(deadline=None, max_examples=50, derandomize=True)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.floats(-1e9, 1e9, allow_nan=False),
                st.floats(0, 1e9, allow_nan=False, allow_subnormal=False),
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    ),
    st.floats(0, 1e9, allow_nan=False),
)
def test_every_number_comes_back_exactly(
    items: list[list[tuple[float, float]]], capacity: float
) -> None:
    """What is written reads back as an equal problem, to the last bit."""
    flat = [item for group in items for item in group]
    problem = AllocationProblem(
        [cost for cost, _ in flat],
        [[use for _, use in flat]],
        [capacity],
        np.repeat(np.arange(len(items)), [len(group) for group in items]),
    )
    assert parse_inst(inst_text(problem)) == problem


def test_unsorted_groups_are_written_group_by_group(tmp_path: Path) -> None:
    """Columns are sorted by group and keep their order within one."""
    problem = AllocationProblem([1.0, 2.0, 3.0], [[4, 5, 6]], [9], [1, 0, 1])
    write_inst(problem, tmp_path / "shuffled")
    back = read_instance_file(tmp_path / "shuffled").problems[0]
    assert back == AllocationProblem([2.0, 1.0, 3.0], [[5, 4, 6]], [9], [0, 1, 1])


def test_a_problem_without_groups_comes_back() -> None:
    """Nothing to choose is a problem too."""
    empty = AllocationProblem([], np.zeros((2, 0)), [1, 2], [])
    assert parse_inst(inst_text(empty)) == empty


def test_what_the_layout_cannot_say_is_refused() -> None:
    """Priorities and unlimited rows are named, and where they can be kept."""
    problem = AllocationProblem(
        [1.0, 0.0], [[1, 0]], [np.inf], [0, 0], priority=[1], unserved=[False, True]
    )
    with pytest.raises(ProblemError, match=r"priority, unserved, unlimited rows.*write_problem"):
        inst_text(problem)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "2 2\n5 7\n2\n4.5 1 0\n10 x 2\n",
            r"text:5: 'x': a finite number is wanted \(profits and cons",
        ),
        ("2 2\n5 7\n0\n", r"text:3: '0': a whole number of at least 1 .*items of group 1"),
        ("2.5 2\n", r"text:1: '2.5': a whole number of at least 0 is wanted \(number of groups"),
        ("2 2\n5 7\n2\n4.5 1 0\n", r"text: ends after 3 of 6 number\(s\): profits"),
        (INST + "1\n", "text: goes on after the last of its 2 groups"),
        ("1 1\n5\n1\n3 -1\n", r"text: (.|\n)*usage\[0\] = -1"),
        ("1 1\n5\n1\nnan 1\n", r"text:4: 'nan': a finite number is wanted"),
    ],
)
def test_a_faulty_text_is_refused_with_its_place(text: str, message: str) -> None:
    """The message says where, what came and what is wanted."""
    with pytest.raises(ProblemError, match=message):
        parse_inst(text)
