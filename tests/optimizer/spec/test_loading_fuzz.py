"""Whatever comes, the loader gives a valid fleet or a `SpecError`, and nothing else."""

from __future__ import annotations

import copy
import io
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.errors import SpecError
from optimizer.spec import FleetSpec, dump, from_data, load, loads
from optimizer.spec.yaml_document import read_yaml

from .documents import VALID

modest = settings(deadline=None, max_examples=150, derandomize=True)

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["name", "chat", "llama-8b", "-1", "p95", 10**400, -1, 0])
)
_VALUES = st.recursive(
    _SCALARS,
    lambda members: (
        st.lists(members, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.just("name"), members, max_size=3)
    ),
    max_leaves=8,
)
# Pieces that mean something to a parser.
_PIECES = (
    "\t", "-", ": ", "\n", "  ", "[", "]", "{", "}", '"', "'", "|", ">", "&a ", "*a", "!!", "!",
    "%", "@", "`", " #", "<<: *a", "? ", "\0", "\\", '"\\x', '"\\UFFFFFFFF"', "0x", "1e9", ".nan",
    "---\n", "...\n", "%YAML 1.1\n", "%TAG", "!<", "|+9", ">-", "\r", "~", ",", "\ufeff", "\x85",
    "\u2028", "\xff", "NaN", "\\ud800",
)  # fmt: skip


def outcome(document: bytes, name: str | None = None) -> str:
    """Load a document, which must give a fleet or faults that can be told; say which."""
    try:
        fleet = load(io.BytesIO(document), name)  # type: ignore[arg-type]
    except SpecError as error:
        caught = error
    else:
        assert isinstance(fleet, FleetSpec)
        return "fleet"
    assert caught.faults
    assert all(fault.message and fault.source == "<file>" for fault in caught.faults)
    assert str(caught).encode()  # no stray surrogates
    return "faults"


@given(st.binary(max_size=200))
@modest
def test_random_bytes_are_faults(document: bytes) -> None:
    """No random bytes are a fleet, and all are told so."""
    assert outcome(document) == "faults"


@given(st.text(st.characters() | st.sampled_from("\n:-[]{}\"'&*!|>#%@, "), max_size=80))
@modest
def test_random_texts_are_faults(document: str) -> None:
    """No random text is a fleet, under either format."""
    for name in ("yaml", "json"):
        assert outcome(document.encode("utf-8", "surrogatepass"), name) == "faults"


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all parts below the whole."""
    members = data.items() if isinstance(data, dict) else enumerate(data)
    found = []
    for step, value in members:
        found.append((*path, step))
        if isinstance(value, dict | list):
            found.extend(_places(value, (*path, step)))
    return found


_DATA = read_yaml(VALID, "fleet.yaml")[0]
_PLACES = _places(_DATA)


@given(st.lists(st.tuples(st.sampled_from(_PLACES), st.none() | _VALUES), max_size=3), _VALUES)
@modest
def test_spoilt_structures_are_fleets_or_faults(
    changes: list[tuple[tuple[Any, ...], Any]], key: Any
) -> None:
    """Parts removed, replaced or added never bring anything but a fleet or faults."""
    data: Any = copy.deepcopy(_DATA)
    for path, value in changes:
        parent = data
        try:
            for step in path[:-1]:
                parent = parent[step]
            if value is None:
                del parent[path[-1]]
            else:
                parent[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    if isinstance(key, str | int):
        data[key] = key
    try:
        fleet = from_data(data)
    except SpecError as error:
        str(error).encode()
    else:
        assert loads(dump(fleet)) == fleet


def _mutated(rng: random.Random, document: bytearray) -> bytes:
    """Insert, delete, overwrite and repeat a few pieces."""
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(document) + 1)
        action = rng.random()
        if action < 0.5:
            document[at:at] = rng.choice(_PIECES).encode()
        elif action < 0.7:
            del document[at : at + rng.randrange(1, 20)]
        elif action < 0.85 and document:
            document[at % len(document)] = rng.randrange(256)
        else:
            start = rng.randrange(len(document) + 1)
            document[at:at] = document[start : start + rng.randrange(60)]
    return bytes(document)


@pytest.mark.parametrize("name", ["yaml", "json"])
def test_mutated_documents_are_fleets_or_faults(name: str) -> None:
    """Of 300 valid texts with a few bytes changed each, some stay valid and none breaks."""
    rng = random.Random(20240817)
    text = VALID if name == "yaml" else dump(loads(VALID), "json")
    outcomes = {outcome(_mutated(rng, bytearray(text.encode())), name) for _ in range(300)}
    assert outcomes == {"fleet", "faults"}
