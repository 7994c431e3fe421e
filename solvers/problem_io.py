"""Allocation problems as files: JSON to read and compare, `.npz` for large ones."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from solvers.chance import Chance
from solvers.errors import ProblemError
from solvers.links import Links
from solvers.problem import AllocationProblem
from solvers.sparse_columns import SparseColumns
from solvers.split import Split

__all__ = [
    "SCHEMA_VERSION",
    "problem_from_json",
    "problem_to_json",
    "read_problem",
    "write_problem",
]

SCHEMA_VERSION = 1
_KIND = "fleetopt.allocation_problem"
_REQUIRED = ("cost", "capacity", "group")
_OPTIONAL = ("priority", "unserved", "weight", "parts")
_USAGE = ("indptr", "rows", "values")
# Keys of the split part in an archive begin with this.
_SPLIT = "split_"
_SPLIT_REQUIRED = ("groups", "demand", "owner", "edge_item", "edge_column", "edge_rate")
_SPLIT_OPTIONAL = (
    "lower",
    "upper",
    "spares",
    "unserved_cost",
    "most_different",
    "lower_total",
    "upper_total",
    "elsewhere",
)
# Keys of the linked part in an archive begin with this, those of its matrices with their names.
_LINKS = "links_"
_LINK_VECTORS = ("row_lower", "row_upper", "cost", "lower", "upper", "integer")
_LINK_MATRICES = ("of_x", "of_z", "of_rates")
# Keys of the uncertain part in an archive begin with this.
_CHANCE = "chance_"
_CHANCE_PARTS = ("row", "spread")


def problem_to_json(problem: AllocationProblem) -> str:
    """Return the problem as one JSON document; numbers keep every bit, unlimited is "inf"."""
    document: dict[str, Any] = {
        "kind": _KIND,
        "schema_version": SCHEMA_VERSION,
        "cost": problem.cost.tolist(),
        "usage": _matrix_document(problem.usage),
        "capacity": _with_words(problem.capacity),
        "group": problem.group.tolist(),
    }
    for name in _OPTIONAL:
        array = getattr(problem, name)
        if array is not None:
            document[name] = array.tolist()
    if problem.split is not None:
        document["split"] = {
            name: _with_words(array) for name, array in problem.split.arrays() if array is not None
        }
    if problem.links is not None:
        linked: dict[str, Any] = {n: _with_words(array) for n, array in problem.links.vectors()}
        for name, matrix in problem.links.matrices():
            if matrix is not None:
                linked[name] = _matrix_document(matrix)
        document["links"] = linked
    if problem.chance is not None:
        document["chance"] = {
            "row": problem.chance.row.tolist(),
            "spread": _matrix_document(problem.chance.spread),
        }
    return json.dumps(document, allow_nan=False)


def _matrix_document(matrix: SparseColumns) -> dict[str, Any]:
    entries = {name: getattr(matrix, name).tolist() for name in _USAGE}
    return {"shape": list(matrix.shape), **entries}


def problem_from_json(text: str, where: str = "JSON") -> AllocationProblem:
    """Return the problem of a JSON document.

    Parameters
    ----------
    where
        Named in errors, such as the file's name.

    Raises
    ------
    ProblemError
        If the text is not JSON, not such a document, of another version, or not a valid problem.
    """
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProblemError(f"{where}: not a JSON document: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != _KIND:
        raise ProblemError(f'{where}: no allocation problem: "kind": "{_KIND}" is wanted')
    _check_version(where, document.get("schema_version"))
    usage = document.get("usage")
    if not isinstance(usage, dict):
        raise ProblemError(f"{where}: usage: an object with shape, {', '.join(_USAGE)} is wanted")
    capacity = document.get("capacity")
    if isinstance(capacity, list):
        document["capacity"] = _without_words(capacity)
    known = {"kind", "schema_version", "usage", "split", "links", "chance", *_REQUIRED, *_OPTIONAL}
    _refuse_unknown(where, set(document), known)
    split = document.pop("split", None)
    if split is not None:
        if not isinstance(split, dict):
            raise ProblemError(f"{where}: split: an object with {', '.join(_SPLIT_REQUIRED)}, ...")
        split = {name: _without_words(values) for name, values in split.items()}
    links = document.pop("links", None)
    if links is not None:
        if not isinstance(links, dict):
            raise ProblemError(f"{where}: links: an object with {', '.join(_LINK_VECTORS)}, ...")
        links = {name: _without_words(values) for name, values in links.items()}
    chance = document.pop("chance", None)
    if chance is not None and not isinstance(chance, dict):
        raise ProblemError(f"{where}: chance: an object with {', '.join(_CHANCE_PARTS)} is wanted")
    return _assemble(where, document, usage, split, links, chance)


def write_problem(problem: AllocationProblem, path: str | Path) -> None:
    """Write a problem as `.json` or `.npz`, by the name's ending.

    Raises
    ------
    ProblemError
        If the name ends otherwise.
    """
    target = Path(path)
    if _ending(target) == ".json":
        target.write_text(problem_to_json(problem), encoding="utf-8")
        return
    usage = problem.usage
    arrays = {
        "schema_version": np.array(SCHEMA_VERSION),
        "shape": np.array(usage.shape),
        **{name: getattr(usage, name) for name in _USAGE},
        **{name: getattr(problem, name) for name in (*_REQUIRED, *_OPTIONAL)},
    }
    if problem.split is not None:
        arrays |= {_SPLIT + name: array for name, array in problem.split.arrays()}
    if problem.links is not None:
        arrays |= _link_arrays(problem.links)
    if problem.chance is not None:
        arrays |= _matrix_arrays(f"{_CHANCE}spread", problem.chance.spread)
        arrays[f"{_CHANCE}row"] = problem.chance.row
    with target.open("wb") as stream:
        np.savez_compressed(stream, **{k: v for k, v in arrays.items() if v is not None})


def _link_arrays(links: Links) -> dict[str, Any]:
    """Return the arrays of the linked part by their keys in an archive."""
    arrays: dict[str, Any] = {_LINKS + name: array for name, array in links.vectors()}
    for name, matrix in links.matrices():
        if matrix is not None:
            arrays |= _matrix_arrays(_LINKS + name, matrix)
    return arrays


def _matrix_arrays(name: str, matrix: SparseColumns) -> dict[str, Any]:
    entries = {f"{name}_{part}": getattr(matrix, part) for part in _USAGE}
    return {f"{name}_shape": np.array(matrix.shape), **entries}


def read_problem(path: str | Path) -> AllocationProblem:
    """Read a problem from `.json` or `.npz`.

    Raises
    ------
    ProblemError
        If the file cannot be read or does not hold a valid problem; the message names the file.
    """
    source = Path(path)
    ending = _ending(source)
    try:
        if ending == ".json":
            return problem_from_json(source.read_text(encoding="utf-8"), str(source))
        arrays = _read_archive(source)
    except UnicodeDecodeError as error:
        raise ProblemError(f"{source}: not a text file: {error}") from error
    except OSError as error:
        raise ProblemError(f"{source}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, ProblemError):
            raise
        raise ProblemError(f"{source}: not an .npz archive of arrays: {error}") from error
    version = arrays.pop("schema_version", None)
    _check_version(str(source), None if version is None else version.item())
    usage = {name: arrays.pop(name, None) for name in ("shape", *_USAGE)}
    split = {
        name.removeprefix(_SPLIT): arrays.pop(name)
        for name in list(arrays)
        if name.startswith(_SPLIT)
    }
    links = _parts_of_archive(arrays, _LINKS, _LINK_MATRICES)
    chance = _parts_of_archive(arrays, _CHANCE, ("spread",))
    _refuse_unknown(str(source), set(arrays), {*_REQUIRED, *_OPTIONAL})
    return _assemble(str(source), arrays, usage, split or None, links or None, chance or None)


def _parts_of_archive(
    arrays: dict[str, Any], prefix: str, matrices: tuple[str, ...]
) -> dict[str, Any]:
    """Take the linked or the uncertain part, with its matrices, out of an archive's arrays."""
    parts: dict[str, Any] = {}
    for key in [key for key in arrays if key.startswith(prefix)]:
        name, value = key.removeprefix(prefix), arrays.pop(key)
        matrix = next((m for m in matrices if name.startswith(m + "_")), None)
        if matrix is None:
            parts[name] = value
        else:
            parts.setdefault(matrix, {})[name.removeprefix(matrix + "_")] = value
    return parts


def _with_words(array: np.ndarray[Any, Any]) -> list[Any]:
    """Return the entries for JSON, which knows no infinity."""
    words = {math.inf: "inf", -math.inf: "-inf"}
    return [words.get(value, value) for value in array.tolist()]


def _without_words(values: object) -> object:
    if not isinstance(values, list):
        return values
    numbers = {"inf": math.inf, "-inf": -math.inf}
    return [numbers.get(value, value) if isinstance(value, str) else value for value in values]


def _read_archive(source: Path) -> dict[str, Any]:
    # Opened here, so that the file is closed whatever numpy makes of its content.
    with source.open("rb") as stream:
        archive = np.load(stream, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        return {name: archive[name] for name in archive.files}


def _ending(path: Path) -> str:
    if path.suffix not in (".json", ".npz"):
        raise ProblemError(f"{path}: the name must end in .json or .npz")
    return path.suffix


def _no_constant(token: str) -> NoReturn:
    raise ValueError(f'{token} is not JSON; unlimited capacities are written "inf"')


def _check_version(where: str, version: object) -> None:
    if version != SCHEMA_VERSION:
        raise ProblemError(
            f"{where}: schema_version = {version!r}: {SCHEMA_VERSION} is wanted; "
            f"write the file again with this version of fleetopt"
        )


def _refuse_unknown(where: str, given: set[str], known: set[str]) -> None:
    unknown = sorted(given - known)
    if unknown:
        raise ProblemError(f"{where}: unknown keys {', '.join(unknown)}")


def _assemble(
    where: str,
    arrays: dict[str, Any],
    usage: dict[str, Any],
    split: dict[str, Any] | None,
    links: dict[str, Any] | None,
    chance: dict[str, Any] | None,
) -> AllocationProblem:
    missing = [name for name in _REQUIRED if arrays.get(name) is None]
    missing += [f"usage {name}" for name in ("shape", *_USAGE) if usage.get(name) is None]
    if split is not None:
        missing += [f"split {name}" for name in _SPLIT_REQUIRED if split.get(name) is None]
        _refuse_unknown(f"{where}: split", set(split), {*_SPLIT_REQUIRED, *_SPLIT_OPTIONAL})
    if links is not None:
        missing += [f"links {n}" for n in ("row_lower", "row_upper", "of_x") if n not in links]
        _refuse_unknown(f"{where}: links", set(links), {*_LINK_VECTORS, *_LINK_MATRICES})
    if chance is not None:
        missing += [f"chance {name}" for name in _CHANCE_PARTS if name not in chance]
        _refuse_unknown(f"{where}: chance", set(chance), set(_CHANCE_PARTS))
    if missing:
        raise ProblemError(f"{where}: missing {', '.join(missing)}")
    try:
        return AllocationProblem(
            arrays["cost"],
            _matrix("usage", usage),
            arrays["capacity"],
            arrays["group"],
            **{name: arrays.get(name) for name in _OPTIONAL},
            split=None if split is None else Split(**split),
            links=None if links is None else _links(links),
            chance=None
            if chance is None
            else Chance(_matrix("chance spread", chance["spread"]), chance["row"]),
        )
    except ProblemError as error:
        raise ProblemError(f"{where}: {error}") from error


def _links(parts: dict[str, Any]) -> Links:
    matrices: dict[str, Any] = {
        name: _matrix(f"links {name}", parts[name]) for name in _LINK_MATRICES if name in parts
    }
    return Links(**{**parts, **matrices})


def _matrix(name: str, parts: object) -> SparseColumns:
    """Check the compressed columns before anything indexes with them."""
    if not isinstance(parts, dict) or set(parts) != {"shape", *_USAGE}:
        raise ProblemError(f"{name}: shape, {', '.join(_USAGE)} are wanted")
    try:
        m, n = (int(size) for size in parts["shape"])
        indptr, rows = (np.asarray(parts[k], dtype=np.int64) for k in ("indptr", "rows"))
        values = np.asarray(parts["values"], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ProblemError(f"{name}: {error}") from error
    good = (
        m >= 0
        and indptr.shape == (n + 1,)
        and rows.ndim == 1
        and rows.shape == values.shape
        and indptr[0] == 0
        and indptr[-1] == len(rows)
        and bool((np.diff(indptr) >= 0).all())
        and bool(((rows >= 0) & (rows < m)).all())
    )
    if not good:
        raise ProblemError(f"{name}: shape, indptr, rows and values do not fit together")
    columns = np.repeat(np.arange(n), np.diff(indptr))
    if len(np.unique(rows + columns * max(m, 1))) != len(rows):
        raise ProblemError(f"{name}: a column has two entries in one row")
    return SparseColumns.from_triplets((m, n), rows=rows, columns=columns, values=values)
