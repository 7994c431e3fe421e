"""Which layout a file has."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from solvers import ProblemError, write_problem
from solvers.instances import read_instance_file
from tests.solvers.instances.layouts import HIREMATH_HILL, INST, KHAN, by_hand


@pytest.mark.parametrize(
    ("text", "problems", "numbered"), [(INST, 1, False), (KHAN, 1, False), (HIREMATH_HILL, 2, True)]
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_first_line_tells_the_layout(
    tmp_path: Path, text: str, problems: int, numbered: bool, packed: bool
) -> None:
    """2, 3 or 4 numbers; packed with gzip or not, whatever the name."""
    path = tmp_path / "instance"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    content = read_instance_file(path)
    assert len(content.problems) == problems
    assert content.numbered == numbered
    assert content.maximise


def test_our_own_layout_is_told_by_the_name(tmp_path: Path) -> None:
    """.json and .npz minimise."""
    write_problem(by_hand(), tmp_path / "ours.npz")
    content = read_instance_file(tmp_path / "ours.npz")
    assert content.problems == (by_hand(),)
    assert not content.maximise


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"begins with '': `groups rows`"),
        (b"# a comment of five words\n", r"begins with '# a comment of five words'"),
        (b"\xff\xfe\x00", "not a text file"),
        (gzip.compress(INST.encode(), mtime=0)[:-9], "not a complete gzip file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """The message names the file and what is wanted."""
    path = tmp_path / "odd"
    path.write_bytes(content)
    with pytest.raises(ProblemError, match=rf"odd: {message}"):
        read_instance_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """No traceback of the operating system's error."""
    with pytest.raises(ProblemError, match="gone: cannot be read: No such file"):
        read_instance_file(tmp_path / "gone")
