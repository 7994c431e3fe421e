"""Instance files: which layout a file has, and the problems in it."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

from solvers.errors import ProblemError
from solvers.instances.hiremath_hill import parse_hiremath_hill
from solvers.instances.inst import parse_inst
from solvers.instances.khan import parse_khan
from solvers.problem import AllocationProblem
from solvers.problem_io import read_problem

__all__ = ["InstanceFile", "read_instance_file"]

_OURS = (".json", ".npz")
_GZIP_MAGIC = b"\x1f\x8b"
_LAYOUTS = (
    "`groups rows` (INST*), `groups items rows` (Khan) or `problem groups items rows` "
    "(Hiremath and Hill)"
)


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """What a file holds.

    Parameters
    ----------
    problems
        One, or the problems of a test set in order.
    numbered
        Whether the layout holds many problems, so that each has a number.
    maximise
        Whether the layout speaks of profit, so that values are minus costs.
    """

    problems: tuple[AllocationProblem, ...]
    numbered: bool
    maximise: bool


def read_instance_file(path: str | Path) -> InstanceFile:
    """Read a file in a public layout, packed with gzip or not, or in our own (.json, .npz).

    The layout is told by how many numbers the first line holds: 2 `parse_inst`, 3 `parse_khan`,
    4 `parse_hiremath_hill`.

    Raises
    ------
    ProblemError
        If the file cannot be read or has none of the layouts.
    """
    source = Path(path)
    if source.suffix in _OURS:
        return InstanceFile((read_problem(source),), numbered=False, maximise=False)
    text = _text(source)
    first = next((line for line in text.splitlines() if line.strip()), "")
    match len(first.split()):
        case 2:
            return InstanceFile((parse_inst(text, str(source)),), numbered=False, maximise=True)
        case 3:
            return InstanceFile((parse_khan(text, str(source)),), numbered=False, maximise=True)
        case 4:
            problems = parse_hiremath_hill(text, str(source))
            return InstanceFile(problems, numbered=True, maximise=True)
    shown = first.strip()[:40]
    raise ProblemError(f"{source}: begins with '{shown}': {_LAYOUTS} is wanted in the first line")


def _text(source: Path) -> str:
    try:
        content = source.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemError(f"{source}: not a text file: {error}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ProblemError(f"{source}: not a complete gzip file: {error}") from error
    except OSError as error:
        raise ProblemError(f"{source}: cannot be read: {error.strerror or error}") from error
