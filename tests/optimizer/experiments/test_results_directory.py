"""Raw results on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.experiments import ExperimentError, Protocol, Settings
from optimizer.experiments.results_directory import (
    PROTOCOL_FILE,
    ROWS_FILE,
    append_row,
    read_protocol,
    read_rows,
    write_protocol,
)
from tests.optimizer.experiments.rows import row


def test_rows_come_back_equal_and_in_order(tmp_path: Path) -> None:
    """Every field, unknown ones as None."""
    rows = (
        row("a", "greedy", notes=("one", "two"), progress=((0.1, None, 3.0), (0.2, 4.0, 3.5))),
        row("b", "milp", None, error="out of luck: ä"),
    )
    for one in rows:
        append_row(tmp_path, one)
    assert read_rows(tmp_path) == rows


def test_a_line_that_was_cut_off_is_dropped_and_written_over(tmp_path: Path) -> None:
    """The run of an unfinished line counts as not made; the next row begins a line."""
    append_row(tmp_path, row("a", "greedy"))
    with (tmp_path / ROWS_FILE).open("a") as stream:
        stream.write('{"instance": "b", "fam')
    assert read_rows(tmp_path) == (row("a", "greedy"),)
    append_row(tmp_path, row("c", "greedy"))
    assert read_rows(tmp_path) == (row("a", "greedy"), row("c", "greedy"))


@pytest.mark.parametrize("line", ["not json", "[]", "{}", '{"status": "answered", "hat": 1}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    """File and number of the line."""
    append_row(tmp_path, row("a", "greedy"))
    with (tmp_path / ROWS_FILE).open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(ExperimentError, match=r"runs\.jsonl:2: not a row of results"):
        read_rows(tmp_path)


def test_the_protocol_comes_back_equal(tmp_path: Path) -> None:
    """Settings, solvers, environments."""
    protocol, name = Protocol(settings=Settings(threads=3)).extended(("b", "a", "b"), 2)
    write_protocol(tmp_path / "new" / "folder", protocol)
    assert read_protocol(tmp_path / "new" / "folder") == protocol
    assert protocol.solvers == ("b", "a")
    assert set(protocol.environments) == {name}
    later, same = protocol.extended(("c",), 1)
    assert same == name
    assert (later.solvers, later.jobs) == (("b", "a", "c"), 2)
    assert later.environments == protocol.environments


def test_another_document_is_no_protocol(tmp_path: Path) -> None:
    """A later version is refused too."""
    (tmp_path / PROTOCOL_FILE).write_text('{"kind": "fleetopt.comparison", "schema_version": 9}')
    with pytest.raises(ExperimentError, match="not the protocol of a comparison"):
        read_protocol(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file stands in its place."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(ExperimentError, match=r"taken: cannot be written: .*another folder"):
        write_protocol(tmp_path / "taken", Protocol(settings=Settings()))
