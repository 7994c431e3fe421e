"""Problems as files: nothing is lost, bad files are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import (
    AllocationProblem,
    ProblemError,
    problem_from_json,
    problem_to_json,
    read_problem,
    write_problem,
)
from tests.solvers.problems import dense_problem, regret_trap, strict_problem


@st.composite
def problems(draw: st.DrawFn) -> AllocationProblem:
    groups = draw(st.integers(0, 4))
    group = sorted(draw(st.lists(st.integers(0, groups - 1), max_size=6)) if groups else [])
    group = [*range(groups), *group]
    n, m = len(group), draw(st.integers(0, 3))
    number = st.floats(allow_nan=False, allow_infinity=False)
    usage = draw(st.lists(st.floats(0, allow_infinity=False), min_size=m * n, max_size=m * n))
    return AllocationProblem(
        draw(st.lists(number, min_size=n, max_size=n)),
        np.reshape(usage, (m, n)),
        draw(st.lists(st.floats(0), min_size=m, max_size=m)),
        group,
        unserved=draw(st.none() | st.lists(st.booleans(), min_size=n, max_size=n)),
        parts=draw(st.none() | st.lists(st.integers(1, 2**53), min_size=n, max_size=n)),
    )


@given(problems())
@settings(deadline=None, max_examples=60, derandomize=True)
def test_json_keeps_every_bit(problem: AllocationProblem) -> None:
    """Any problem, with unlimited rows and extreme numbers, comes back equal from JSON."""
    assert problem_from_json(problem_to_json(problem)) == problem


@pytest.mark.parametrize("ending", ["json", "npz"])
@pytest.mark.parametrize("kind", ["plain", "strict", "unlimited", "empty"])
def test_files_round_trip(tmp_path: Path, ending: str, kind: str) -> None:
    """Both formats give back an equal problem."""
    problem = {
        "plain": regret_trap(),
        "strict": strict_problem(parts=True),
        "unlimited": AllocationProblem([0.1], [[1 / 3]], [np.inf], [0], weight=[0.1]),
        "empty": AllocationProblem([], np.zeros((2, 0)), [1, 2], []),
    }[kind]
    path = tmp_path / f"problem.{ending}"
    write_problem(problem, path)
    assert read_problem(path) == problem


def test_json_is_standard() -> None:
    """Unlimited capacity is written "inf": no token outside the JSON standard."""
    text = problem_to_json(AllocationProblem([1], [[1]], [np.inf], [0]))
    assert json.loads(text)["capacity"] == ["inf"]
    assert "Infinity" not in text


def changed(**changes: object) -> str:
    document = json.loads(problem_to_json(regret_trap()))
    document.update(changes)
    return json.dumps({k: v for k, v in document.items() if v is not None})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON document"),
        ("[1", "not a JSON document"),
        ("[" * 100_000, "not a JSON document"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[]", "no allocation problem"),
        (changed(kind="other"), "no allocation problem"),
        (changed(schema_version=99), "schema_version = 99: 1 is wanted"),
        (changed(cost=None), "missing cost"),
        (changed(usage=None), "usage: an object with shape"),
        (changed(usage={"shape": [2, 6]}), "missing usage indptr, usage rows, usage values"),
        (changed(cots=[1]), "unknown keys cots"),
        (changed(cost=["a"] * 6), "cost: numbers are wanted"),
        (changed(cost=[1, 2]), "usage: shape"),
        (changed(capacity=[-1, 1]), r"capacity\[0\] = -1.0"),
    ],
)
def test_bad_json_is_named(text: str, message: str) -> None:
    """Each fault of a document names the source and what is wanted."""
    with pytest.raises(ProblemError, match=f"(?s)^here: .*{message}"):
        problem_from_json(text, "here")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rows", [0, 0, 0, 0, 9, 0]),
        ("rows", [0]),
        ("indptr", [0, 1, 2, 3, 4, 5, 99]),
        ("indptr", [0, 5, 2, 3, 4, 5, 6]),
        ("indptr", [0, 2, 2, 3, 4, 5, 6]),
        ("shape", [2]),
        ("shape", ["a", "b"]),
        ("values", "abc"),
    ],
)
def test_bad_matrices_are_refused(key: str, value: object) -> None:
    """Compressed columns that do not fit together never reach an index operation."""
    usage = json.loads(problem_to_json(regret_trap()))["usage"]
    usage[key] = value
    if (key, value) == ("indptr", [0, 2, 2, 3, 4, 5, 6]):
        usage["rows"] = [0, 0, *usage["rows"][2:]]  # two entries of one column in one row
    with pytest.raises(ProblemError, match="usage"):
        problem_from_json(changed(usage=usage))


def test_bad_files_are_named(tmp_path: Path) -> None:
    """Missing files, folders, junk and foreign archives each give a ProblemError with the path."""
    junk = tmp_path / "junk.npz"
    junk.write_bytes(b"\x00\x01junk" * 100)
    cut = tmp_path / "cut.npz"
    write_problem(regret_trap(), cut)
    cut.write_bytes(cut.read_bytes()[:200])
    broken = tmp_path / "broken.npz"
    write_problem(dense_problem(20, 10, 5, seed=1), broken)
    content = bytearray(broken.read_bytes())
    content[300:400] = bytes(100)
    broken.write_bytes(content)
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, a=np.ones(3))
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, cost=np.array([{}], dtype=object))
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.json").mkdir()
    single = tmp_path / "single.npz"
    with single.open("wb") as stream:
        np.save(stream, np.ones(3))
    names = (
        "junk.npz cut.npz broken.npz foreign.npz pickled.npz single.npz missing.npz "
        "binary.json folder.json missing.json problem.txt"
    )
    for name in names.split():
        with pytest.raises(ProblemError, match=name):
            read_problem(tmp_path / name)
    with pytest.raises(ProblemError, match="must end in"):
        write_problem(regret_trap(), tmp_path / "problem.yaml")
