"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.optimizer.cli.in_process import Run, called
from tests.optimizer.cli.json_documents import check_document


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; return exit status, stdout and stderr."""

    def call(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
        status = called(arguments, stdin)
        captured = capsys.readouterr()
        check_document(arguments, status, captured.out)
        return status, captured.out, captured.err

    return call
