"""Reading the text of a document: from a file, an open file or the standard input."""

from __future__ import annotations

import codecs
import io
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from optimizer.errors import Fault, SpecError
from optimizer.spec.wording import listed, nearest

__all__ = ["MOST_BYTES", "MOST_VALUES", "SourceText", "read_text", "refuse"]

MOST_BYTES = 64 * 2**20
"""Longest document that is read; 1 000 services take about 0.5 MB."""

MOST_VALUES = 1_000_000
"""Most values in a document, aliases written out; 1 000 services hold about 25 000.

It bounds what a hostile document can ask of the models: about 5 s and 1 GB.
"""

_SUFFIXES = (".yaml", ".yml", ".json")
# Longest marks first: that of UTF-32-LE begins with that of UTF-16-LE.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ARCHIVES = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}


@dataclass(frozen=True, slots=True)
class SourceText:
    """The text of a document, and the name that messages give it."""

    name: str
    text: str


def refuse(source: str, message: str, *, hint: str = "", line: int | None = None) -> NoReturn:
    """Raise the only fault of a document that cannot be read further."""
    raise SpecError([Fault(message=message, hint=hint, source=source, line=line)])


def read_text(source: str | os.PathLike[str] | IO[str] | IO[bytes]) -> SourceText:
    """Read the whole text of a document.

    Parameters
    ----------
    source
        A path, `-` for the standard input, or an open file in text or binary mode.

    Returns
    -------
    SourceText
        The text, without a byte order mark.

    Raises
    ------
    SpecError
        If there is no such file, it cannot be read, is longer than `MOST_BYTES`, or is no text in
        UTF-8 (or UTF-16 or UTF-32 with a byte order mark).
    """
    if isinstance(source, str | os.PathLike):
        if os.fspath(source) == "-":
            # A replaced standard input, as under a test, may have no binary buffer.
            return _read_open("<stdin>", getattr(sys.stdin, "buffer", sys.stdin))
        return _read_path(os.fspath(source))
    name = getattr(source, "name", None)
    return _read_open(name if isinstance(name, str) else "<file>", source)


def _read_path(name: str) -> SourceText:
    if "\n" in name or len(name) > 4096:
        shown = name[:40]
        refuse(f"{shown!r}...", "is no path", hint="for a text instead of a file, call loads()")
    try:
        with open(name, "rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and found.st_size > MOST_BYTES:
                _refuse_length(name, f"{found.st_size / 2**20:.1f} MiB")
            return _read_open(name, file)
    except SpecError:  # which is a ValueError too
        raise
    except FileNotFoundError:
        refuse(name, "there is no such file", hint=_hint_of_folder(Path(name)))
    except IsADirectoryError:
        refuse(name, "is a folder: must be a YAML or JSON file", hint=_hint_of_folder(Path(name)))
    except PermissionError:
        refuse(name, "may not be read", hint="check the file's permissions and owner")
    except OSError as error:
        refuse(name, f"cannot be read: {error.strerror or error}", hint="check the path")
    except ValueError as error:  # a null character in the path
        refuse(repr(name), f"is no path: {error}")


def _hint_of_folder(path: Path) -> str:
    """Name the file that was probably meant, and those that are there."""
    folder = path if path.is_dir() else path.parent
    try:
        present = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return f"there is no folder {str(folder)!r} to read either"
    documents = [name for name in present if name.lower().endswith(_SUFFIXES)]
    near = None if path.is_dir() else nearest(path.name, documents or present)
    start = f"did you mean {str(folder / near)!r}? " if near else ""
    if not documents:
        return f"{start}{str(folder)!r} holds no .yaml or .json file"
    return f"{start}{str(folder)!r} holds: {listed(documents)}"


def _read_open(name: str, file: IO[str] | IO[bytes]) -> SourceText:
    try:
        content = file.read(MOST_BYTES + 1)
    except UnicodeDecodeError as error:
        refuse(name, f"is no text in UTF-8: {error.reason}", hint="save it as UTF-8")
    except io.UnsupportedOperation as error:
        refuse(name, f"cannot be read: {error}", hint="open it for reading")
    if len(content) > MOST_BYTES:
        _refuse_length(name, f"more than {MOST_BYTES // 2**20} MiB")
    if isinstance(content, bytes):
        return SourceText(name, _decode(name, content))
    return SourceText(name, content.removeprefix("\ufeff"))


def _refuse_length(name: str, length: str) -> NoReturn:
    refuse(
        name,
        f"is {length} long: must be at most {MOST_BYTES // 2**20} MiB",
        hint="1 000 services take about 0.5 MB; is it the right file? else split the fleet",
    )


def _decode(name: str, content: bytes) -> str:
    for magic, archive in _ARCHIVES.items():
        if content.startswith(magic):
            refuse(name, f"is compressed with {archive}: must be a text", hint="unpack it first")
    encoding = next((e for mark, e in _BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    if encoding.startswith("utf-8") and (at := content.find(b"\0")) >= 0:
        refuse(
            name,
            f"holds a null byte at position {at}: must be a text, this looks like binary data",
            hint="is it the right file? UTF-16 needs a byte order mark",
            line=content.count(b"\n", 0, at) + 1,
        )
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        wrong = content[error.start]
        refuse(
            name,
            f"holds the byte 0x{wrong:02x} at position {error.start}, which is no text in "
            f"{encoding.removesuffix('-sig').upper()} ({error.reason})",
            hint="save the file as UTF-8",
            line=content.count(b"\n", 0, error.start) + 1,
        )
