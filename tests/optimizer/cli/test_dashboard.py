"""`fleetopt dashboard`: what it says to wrong input, before it listens."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from optimizer.cli import dashboard
from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY
from tests.optimizer.cli.in_process import called

FLEET = REPOSITORY / "examples" / "control" / "fleet.yaml"
needs_extra = pytest.mark.skipif(
    any(find_spec(name) is None for name in dashboard._NEEDED),
    reason="the extra `dashboard` is not installed",
)


@needs_extra
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("absent.yaml",), ExitCode.SPEC_INVALID, "absent.yaml"),
        (("empty.yaml",), ExitCode.SPEC_INVALID, "empty.yaml"),
        ((FLEET, "--port", "99999"), ExitCode.USAGE, "--port = 99999: must be from 0 to 65535"),
        ((FLEET, "--port", "-1"), ExitCode.USAGE, "--port = -1"),
        ((FLEET, "--time-limit", "nan"), ExitCode.USAGE, "--time-limit = nan"),
        ((FLEET, "--time-limit", "0"), ExitCode.USAGE, "--time-limit = 0.0: must be from 0.1"),
        ((FLEET, "--lab", "absent.yaml"), ExitCode.SPEC_INVALID, "absent.yaml"),
        ((FLEET, "--lab", FLEET), ExitCode.SPEC_INVALID, "duration_s"),
        ((FLEET, "--host", "192.0.2.1"), ExitCode.USAGE, "cannot listen at 192.0.2.1 port 8765"),
        ((FLEET, "--prot", "1"), ExitCode.USAGE, "--port"),
    ],
)
def test_wrong_input_is_refused_in_a_line(
    arguments: tuple[str | Path, ...],
    status: ExitCode,
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where, what and what is wanted; no traceback, no server."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.yaml").touch()
    assert called(("dashboard", *arguments, "--no-browser")) == status
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


def test_without_its_extra_it_says_how_to_add_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 6, every package that is missing, and the command."""
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None if name == "uvicorn" else name)
    assert called(("dashboard",)) == ExitCode.PLUGIN
    err = capsys.readouterr().err
    assert "uvicorn" in err
    assert "pip install 'fleetopt[dashboard]'" in err
