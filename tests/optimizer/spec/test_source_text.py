"""Texts are read from files, open files and the standard input, or refused at once."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from optimizer.spec import load
from optimizer.spec.source_text import MOST_BYTES

from .documents import VALID, VALID_PATH, only_fault_of


def test_a_fleet_loads_from_path_text_file_binary_file_and_stdin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each way of giving the same document gives the same fleet."""
    fleet = load(VALID_PATH)
    assert load(str(VALID_PATH)) == fleet
    with VALID_PATH.open() as file:
        assert load(file) == fleet
    assert load(io.BytesIO(VALID.encode())) == fleet
    monkeypatch.setattr(sys, "stdin", io.StringIO(VALID))
    assert load("-") == fleet


def test_faults_of_the_standard_input_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in what `-` reads is at `<stdin>`."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("---\n'"))
    assert str(only_fault_of(Path("-"))).startswith("<stdin>:")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_understood(encoding: str) -> None:
    """What Windows programs write as Unicode loads like UTF-8."""
    assert load(io.BytesIO(VALID.encode(encoding))) == load(VALID_PATH)


def test_a_file_of_100_megabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    """A huge file is refused before it is read, with its size, the limit and what to try."""
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    fault = only_fault_of(path)
    assert str(fault).startswith(f"{path}: is 95.4 MiB long: must be at most 64 MiB: ")
    assert "split the fleet" in fault.hint


def test_a_stream_without_end_is_refused() -> None:
    """Of a source without a known size, no more than the limit is read."""

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert 0 <= size <= MOST_BYTES + 1
            return b" " * size

    assert "is more than 64 MiB long" in only_fault_of(Endless()).message


@pytest.mark.parametrize(
    ("content", "says", "line"),
    [
        (b"", "is empty: must describe a fleet", None),
        (b" \n\n", "is empty", None),
        (b"# nothing but a remark\n", "is empty", None),
        (b"null\n", "is empty", None),
        (b"\x7fELF\x02\x01\x01\x00\x00", "a null byte at position 7: must be a text", 1),
        (b"name: x\n\x00\x01\xff\xfe", "holds a null byte at position 8", 2),
        (
            b"name: caf\xe9 au lait",
            "holds the byte 0xe9 at position 9, which is no text in UTF-8",
            1,
        ),
        ("name: fleet".encode("utf-16-le"), "UTF-16 needs a byte order mark", 1),
        (b"\xff\xfen\x00a", "no text in UTF-16", 1),
        (b"\x1f\x8b\x08\x00\x00", "is compressed with gzip: must be a text: unpack it first", None),
        (b"PK\x03\x04....", "is compressed with zip", None),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, says: str, line: int | None) -> None:
    """Empty and binary files are refused with the position that shows it."""
    fault = only_fault_of(io.BytesIO(content))
    assert says in str(fault)
    assert fault.line == line


def test_a_text_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """An open text file that cannot be decoded is a fault of the file."""
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: caf\xe9")
    with path.open(encoding="utf-8") as file:
        assert "is no text in UTF-8" in str(only_fault_of(file))


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    """The message offers the file that was probably meant."""
    (tmp_path / "fleet.yaml").write_text(VALID)
    fault = only_fault_of(tmp_path / "flet.yaml")
    assert fault.message == "there is no such file"
    assert fault.hint.startswith(f"did you mean '{tmp_path / 'fleet.yaml'}'?")


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """A path into a folder that does not exist says so."""
    fault = only_fault_of(tmp_path / "none" / "fleet.yaml")
    assert "there is no folder" in fault.hint


def test_a_folder_names_the_documents_in_it(tmp_path: Path) -> None:
    """A folder is refused; its documents are listed."""
    (tmp_path / "fleet.json").write_text("{}")
    fault = only_fault_of(tmp_path)
    assert fault.message == "is a folder: must be a YAML or JSON file"
    assert fault.hint.endswith("holds: fleet.json")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a\0b.yaml", "is no path: embedded null byte"),
        ("x" * 300, "cannot be read: File name too long"),
        (f"{__file__}/fleet.yaml", "cannot be read: Not a directory"),
        ("name: test\nmodels: []\n", "is no path: for a text instead of a file, call loads()"),
    ],
    ids=["null", "long", "below a file", "text"],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the messages are those of Linux")
def test_odd_paths_are_refused(name: str, says: str) -> None:
    """What cannot be a path, or is a text given for one, is a fault."""
    assert says in str(only_fault_of(Path(name)))


def test_a_file_that_may_not_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing permission is a fault that says so."""

    def forbidden(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    assert only_fault_of(VALID_PATH).message == "may not be read"


def test_a_file_that_is_open_for_writing_is_told(tmp_path: Path) -> None:
    """An open file that cannot be read from is a fault."""
    with (tmp_path / "fleet.yaml").open("w") as file:
        assert only_fault_of(file).hint == "open it for reading"
