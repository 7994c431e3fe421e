"""From what a person writes to instances: paths, globs, and specs of generated ones."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from solvers.errors import ProblemError
from solvers.instances.families import (
    DRAWS_VERSION,
    FAMILIES,
    family_parameters,
    generate,
    maximises,
)
from solvers.instances.files import read_instance_file
from solvers.instances.instance import Instance
from solvers.problem import AllocationProblem

__all__ = ["instances", "load_instance"]

_SPEC = re.compile(r"(?P<family>[A-Za-z][\w-]*):(?P<rest>.+)")
_NUMBERED = re.compile(r"(?P<path>.+)#(?P<number>\d+)")
_ENDINGS = (".gz", ".txt", ".dat", ".json", ".npz")
_FINGERPRINT_DIGITS = 16


def instances(spec: str) -> tuple[Instance, ...]:
    """Return the instances that a spec names, in the order of their seeds or names.

    Parameters
    ----------
    spec
        A path in a layout of `read_instance_file`; `path#3`, the third problem of a test set; a
        glob such as `data/I*`; or `family:groups[:parameter=value]...`, such as
        `fleet:1000:seed=3`, `fleet:1000:seed=0-9` or `classical:50:items=5:seed=1,4`.

    Raises
    ------
    ProblemError
        If nothing is found, a file has none of the layouts, or a parameter is out of range.
    """
    if Path(spec).is_file():
        return _in_file(Path(spec))
    numbered = _NUMBERED.fullmatch(spec)
    if numbered and Path(numbered["path"]).is_file():
        return (_one_of(Path(numbered["path"]), int(numbered["number"]), spec),)
    written = _SPEC.fullmatch(spec)
    if written and (written["family"] in FAMILIES or "/" not in spec):
        return _generated(written["family"], written["rest"], spec)
    if Path(spec).is_dir():
        raise ProblemError(f"{spec}: a folder; name its files, such as '{Path(spec) / '*'}'")
    found = [Path(path) for path in sorted(glob.glob(spec, recursive=True))]
    files = [path for path in found if path.is_file()]
    if not files:
        raise ProblemError(
            f"{spec}: no such file, and no family of generated instances; "
            f"these are written like fleet:1000:seed=3, of {', '.join(FAMILIES)}"
        )
    return tuple(instance for path in files for instance in _in_file(path))


def load_instance(instance: Instance) -> AllocationProblem:
    """Read or generate the arrays of an instance.

    Raises
    ------
    ProblemError
        If its file has gone or changed its layout.
    """
    source = instance.source
    if Path(source).is_file():
        return read_instance_file(source).problems[0]
    numbered = _NUMBERED.fullmatch(source)
    if numbered and Path(numbered["path"]).is_file():
        problems = read_instance_file(numbered["path"]).problems
        return problems[int(numbered["number"]) - 1]
    written = _SPEC.fullmatch(source)
    if written is None:
        raise ProblemError(f"{source}: cannot be read: it was there when the instances were listed")
    family, (groups, parameters) = written["family"], _arguments(written["family"], written["rest"])
    (seed,) = _seeds(str(parameters.pop("seed", 0)), source)
    return generate(family, groups, seed=seed, **parameters)


def _in_file(path: Path) -> tuple[Instance, ...]:
    content = read_instance_file(path)
    if content.numbered:
        return tuple(_numbered(path, k) for k in range(1, len(content.problems) + 1))
    return (
        Instance(
            name=_stem(path),
            family=_safe(path.resolve().parent.name) or "files",
            source=str(path),
            maximise=content.maximise,
            fingerprint=_digest(path.read_bytes()),
        ),
    )


def _one_of(path: Path, number: int, spec: str) -> Instance:
    content = read_instance_file(path)
    if not content.numbered or not 1 <= number <= len(content.problems):
        raise ProblemError(f"{spec}: {path} holds {len(content.problems)} problem(s)")
    return _numbered(path, number)


def _numbered(path: Path, number: int) -> Instance:
    return Instance(
        name=f"{_stem(path)}-{number:02d}",
        family=_stem(path),
        source=f"{path}#{number}",
        maximise=True,
        fingerprint=f"{_digest(path.read_bytes())}-{number}",
    )


def _generated(family: str, rest: str, spec: str) -> tuple[Instance, ...]:
    defaults = family_parameters(family)
    groups, parameters = _arguments(family, rest)
    seeds = _seeds(str(parameters.pop("seed", 0)), spec)
    generate(
        family, 1, seed=seeds[0], **parameters
    )  # refuses what the family does not know, before any run
    own = {name: value for name, value in parameters.items() if value != defaults[name]}
    size = "-".join([family, str(groups), *(f"{name}{value}" for name, value in own.items())])
    full = {**defaults, **parameters}
    return tuple(
        Instance(
            name=f"{size}-seed{seed}",
            family=size,
            source=":".join([family, str(groups), *_pairs(own), f"seed={seed}"]),
            maximise=maximises(family),
            fingerprint=_digest(
                ":".join(
                    [family, str(groups), *_pairs(full), f"seed={seed}", f"draws={DRAWS_VERSION}"]
                ).encode()
            ),
        )
        for seed in seeds
    )


def _arguments(family: str, rest: str) -> tuple[int, dict[str, int | str]]:
    first, *others = rest.split(":")
    if not first.isdecimal() or int(first) < 1:
        raise ProblemError(f"{family}:{rest}: a number of groups >= 1 is wanted after '{family}:'")
    defaults = family_parameters(family)
    parameters: dict[str, int | str] = {}
    for pair in others:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ProblemError(f"{family}:{rest}: '{pair}': name=value is wanted")
        whole = isinstance(defaults.get(name), int)
        if whole and not value.isdecimal():
            raise ProblemError(f"{family}:{rest}: {name}={value}: a whole number is wanted")
        parameters[name] = int(value) if whole else value
    return int(first), parameters


def _seeds(text: str, spec: str) -> list[int]:
    """Return the seeds of `3`, `0-9` or `0,2,5-7`, in that order."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (not dash or last.isdecimal())):
            raise ProblemError(f"{spec}: seed={text}: seeds such as 3, 0-9 or 0,2,5 are wanted")
        chosen = range(int(first), int(last if dash else first) + 1)
        if not chosen:
            raise ProblemError(f"{spec}: seed={text}: the range {part} is empty")
        seeds += chosen
    return seeds


def _pairs(parameters: dict[str, int | str]) -> Sequence[str]:
    return [f"{name}={parameters[name]}" for name in sorted(parameters)]


def _stem(path: Path) -> str:
    name = path.name
    while Path(name).suffix in _ENDINGS:
        name = Path(name).stem
    return _safe(name)


def _safe(name: str) -> str:
    """Keep what needs no quoting in shells and file names."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_FINGERPRINT_DIGITS]
