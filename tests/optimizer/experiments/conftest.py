"""Guests for the comparisons."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.optimizer.experiments.guests import write_guests


@pytest.fixture(scope="session")
def guest_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed distribution."""
    folder = tmp_path_factory.mktemp("guests")
    write_guests(folder)
    return folder


@pytest.fixture
def guests(guest_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guests can be had by name, here and in the processes of the runs."""
    monkeypatch.syspath_prepend(str(guest_folder))
