"""AllocationProblem: validation, copies, equality."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse

from solvers import AllocationProblem, ProblemError, SparseColumns
from tests.solvers.problems import regret_trap, strict_problem


@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "coo_array", "dok_array", "lil_array"])
def test_every_form_of_usage_gives_the_same_problem(form: str) -> None:
    """Dense and scipy sparse usage are equal problems."""
    dense = regret_trap()
    sparse = getattr(scipy.sparse, form)(dense.usage.to_dense())
    assert AllocationProblem(dense.cost, sparse, dense.capacity, dense.group) == dense


def test_duplicates_of_a_coordinate_matrix_are_summed() -> None:
    """A scipy matrix means the sum of its duplicate entries."""
    twice = scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [0, 0])), shape=(1, 1))
    assert SparseColumns.from_any(twice).to_dense().tolist() == [[3.0]]


def test_arrays_are_copied_and_read_only() -> None:
    """Later changes of the caller's arrays do not reach the problem, and it cannot be changed."""
    cost = np.array([1.0, 2.0])
    problem = AllocationProblem(cost, [[1, 1]], [1], [0, 0])
    cost[0] = 99
    assert problem.cost[0] == 1.0
    for array in (problem.cost, problem.capacity, problem.group, problem.usage.values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_all_faults_are_reported_together() -> None:
    """One error lists every fault, with the entries at fault."""
    with pytest.raises(ProblemError) as caught:
        AllocationProblem(
            [1, np.nan, 3], [[1, -2, 3]], [-1], [0, 0, 2], priority=[0, 1, 1], weight=[1, 0, 1],
            parts=[1, 0, 1],
        )  # fmt: skip
    message = str(caught.value)
    for fault in (
        "cost[1] = nan: must be finite",
        "must be finite and >= 0",
        "capacity[0] = -1.0: must be >= 0",
        "no column belongs to group(s) [1]",
        "priority: needs `unserved`",
        "priority[0] = 0: must be >= 1",
        "weight[1] = 0.0: must be finite and > 0",
        "parts[1] = 0: must be >= 1",
    ):
        assert fault in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0]], [[1]], [1], [0]), "cost: must have one dimension"),
        ((["a"], [[1]], [1], [0]), "cost: numbers are wanted"),
        (([1], [1], [1], [0]), "usage: must have two dimensions"),
        (([1], [[1, 2]], [1], [0]), r"usage: shape \(1, 2\)"),
        (([1], [[1]], [1], [0.5]), "group: whole numbers are wanted"),
        (([1], [[1]], [1], [np.inf]), "group: whole numbers are wanted"),
        (([1], [[1]], [1], [np.nan]), "group: whole numbers are wanted"),
        (([1], [[1]], [1], [1e300]), "group: whole numbers are wanted"),
        (([1], [[1]], [1], [7]), "the largest is 7, but 1 columns"),
        (([1], [[1]], [1], [0, 0]), "group: 2 entries for 1 columns"),
        (([1], [[1]], [np.nan], [0]), "capacity"),
    ],
)
def test_each_fault_has_its_message(arguments: tuple[object, ...], message: str) -> None:
    """Wrong shapes, types and ranges are named."""
    with pytest.raises(ProblemError, match=message):
        AllocationProblem(*arguments)  # type: ignore[arg-type]


def test_unserved_is_true_or_false() -> None:
    """A number that is neither 0 nor 1 is no truth value."""
    with pytest.raises(ProblemError, match="unserved: true and false are wanted"):
        AllocationProblem([1], [[1]], [1], [0], unserved=[2])


def test_equality_and_pickling() -> None:
    """Equal arrays are equal problems; a copy by pickle is one; other types are not."""
    problem = strict_problem(parts=True)
    assert pickle.loads(pickle.dumps(problem)) == problem
    assert problem != strict_problem()
    assert problem != "problem"
    with pytest.raises(TypeError, match="unhashable"):
        hash(problem)


def test_repr_is_one_line() -> None:
    """Sizes and features, on one line."""
    text = repr(strict_problem())
    assert text == ("AllocationProblem(8 columns, 4 groups, 1 rows, 4 entries, priority+unserved)")


def test_sparse_columns_take_dot_and_stack() -> None:
    """Column selection, products and stacking agree with dense algebra."""
    random = np.random.default_rng(3)
    dense = random.integers(0, 3, (4, 6)).astype(float)
    matrix = SparseColumns.from_any(dense)
    columns = np.array([5, 0, 0, 3])
    assert (matrix.take(columns).to_dense() == dense[:, columns]).all()
    x = random.uniform(size=6)
    assert matrix.dot(x) == pytest.approx(dense @ x)
    assert (SparseColumns.stack([matrix, matrix]).to_dense() == np.vstack([dense, dense])).all()
    assert (matrix.to_scipy().toarray() == dense).all()
