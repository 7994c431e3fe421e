"""What is written down survives a kill at any moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optimizer.control.errors import JournalError
from optimizer.control.journal import FileJournal


def test_a_state_comes_back(tmp_path: Path) -> None:
    """The last state written is read; none is None."""
    journal = FileJournal(tmp_path / "state.json")
    assert journal.read() is None
    journal.write({"cycle": 1})
    journal.write({"cycle": 2})
    assert journal.read() == {"schema_version": 2, "cycle": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_a_kill_while_writing_leaves_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new state takes the old one's place as a whole or not at all."""
    journal = FileJournal(tmp_path / "state.json")
    journal.write({"cycle": 1})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        journal.write({"cycle": 2})
    monkeypatch.undo()
    assert journal.read() == {"schema_version": 2, "cycle": 1}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 9}', '{"cycle": 1}'])
def test_a_damaged_state_is_refused(tmp_path: Path, text: str) -> None:
    """It is never taken for an empty one, which would begin anew in the middle of a plan."""
    path = tmp_path / "state.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(JournalError, match="move it away to begin anew"):
        FileJournal(path).read()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Without the state nothing is changed, and the message says why."""
    with pytest.raises(JournalError, match="nothing is changed without it"):
        FileJournal(tmp_path / "absent" / "state.json").write({})
