"""A person's own mistake gets a message and exit code 3, never a traceback, whatever the verb."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import run
from tests.optimizer.spec.test_spec_faults import CASES, changed


@pytest.mark.parametrize("verb", ["solve", "validate", "explain"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_every_fault_exits_3_naming_the_place(
    case: tuple[str, ...], verb: str, tmp_path: Path
) -> None:
    """Each of the faults of the loader's table, through each verb that reads a fleet."""
    path = tmp_path / "fleet.yaml"
    path.write_text(changed((case[1], case[2])), encoding="utf-8")
    status, out, err = run(verb, path)
    assert status == ExitCode.SPEC_INVALID
    assert str(path) in err
    assert case[3] in err
    assert "Traceback" not in err
    assert out == ""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02junk", "binary"),
        (b"\xff\xfe\xfa", ""),
        (b"- a\n- b\n", "mapping"),
        (b"a: &x [*x]\n", ""),
        (b"services: []\nservices: []\n", "services"),
        (b"{" * 3000, ""),
        (b"!!python/object/apply:os.system ['true']", ""),
        (b"\tservices: []", ""),
        (b"---\na: 1\n---\nb: 2\n", ""),
    ],
)
@pytest.mark.parametrize("name", ["fleet.yaml", "fleet.json"])
def test_junk_exits_3(name: str, content: bytes, expected: str, tmp_path: Path) -> None:
    """What is no fleet at all is refused by name, as YAML and as JSON."""
    path = tmp_path / name
    path.write_bytes(content)
    status, out, err = run("solve", path)
    assert status == ExitCode.SPEC_INVALID
    assert str(path) in err
    assert "Traceback" not in err
    if name.endswith("yaml"):
        assert expected in err
    assert out == ""


def test_a_file_of_100_mb_is_refused_unread(tmp_path: Path) -> None:
    """Size and limit are named."""
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 2**20)
    status, _, err = run("solve", path)
    assert status == ExitCode.SPEC_INVALID
    assert "100.0 MiB" in err


@pytest.mark.parametrize("name", ["-" * 300, "a\nb.yaml", "~/none", "/dev/null/x", "."])
def test_odd_file_names_exit_3(name: str) -> None:
    """A name that no file can have is a missing file, not an internal error."""
    status, _, err = run("solve", "--", name)
    assert status == ExitCode.SPEC_INVALID
    assert "Traceback" not in err
    assert "internal" not in err
