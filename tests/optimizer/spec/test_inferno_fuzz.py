"""Importing inferno systems: whatever comes, a valid fleet or a list of faults."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.errors import SpecError
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.inferno import load_inferno, looks_like_inferno
from optimizer.spec.loading import from_data
from tests.optimizer.spec.inferno_documents import ITERATION, small_system

JUNK: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    10**400,
    -(10**400),
    65537,
    "",
    "x",
    "A100",
    "granite",
    "Free",
    "a\nb",
    "\ud800",
    "n" * 300,
    [],
    {},
    [None],
    [{}],
    {"": {}},
    {"alpha": 0},
    {"NAME": "x", "name": "y"},
]
KEYS = ["name", "NAME", "acc", "perfParms", "slo-tps", "load", "\ud800", "odd key", ""]


def containers(value: Any) -> list[Any]:
    """Every object and list of a document."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here = [value] if isinstance(value, dict | list) else []
    return here + [container for member in below for container in containers(member)]


def mutate(document: Any, choose: random.Random) -> None:
    """Make one change somewhere: replace, remove, repeat, respell or add a member."""
    container = choose.choice(containers(document))
    junk = copy.deepcopy(choose.choice(JUNK))
    if not container:
        if isinstance(container, list):
            container.append(junk)
        else:
            container[choose.choice(KEYS)] = junk
        return
    place = choose.randrange(len(container)) if isinstance(container, list) else None
    key = choose.choice(list(container)) if place is None else place
    action = choose.choice(["replace", "remove", "repeat", "respell"])
    if action == "replace":
        container[key] = junk
    elif action == "remove":
        del container[key]
    elif isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif action == "respell":
        container[key.swapcase()] = container.pop(key)
    else:
        container[choose.choice(KEYS)] = copy.deepcopy(container[key])


def attempt(document: Any) -> FleetSpec | SpecError:
    try:
        return load_inferno(document)
    except SpecError as error:
        return error


def check(document: Any) -> None:
    """Import: faults with messages, or a fleet that is valid by our own rules and survives JSON."""
    fleet = attempt(document)
    if isinstance(fleet, SpecError):
        assert fleet.faults
        assert all(fault.message for fault in fleet.faults)
        str(fleet).encode()  # no half surrogate pairs
        return
    assert from_data(fleet) == fleet
    assert FleetSpec.model_validate_json(fleet.model_dump_json(by_alias=True)) == fleet
    assert load_inferno(document) == fleet


@given(st.integers(min_value=0, max_value=2**32), st.integers(min_value=1, max_value=6))
@settings(deadline=None, max_examples=400, derandomize=True)
def test_mutated_systems_give_faults_or_a_valid_fleet(seed: int, changes: int):
    """Any few changes to a valid system: only a SpecError or a fleet that passes every check."""
    choose = random.Random(seed)
    document = small_system()
    if choose.random() < 0.5:
        document["system"]["modelData"]["models"][0]["perfParms"] = dict(ITERATION)
    for _ in range(changes):
        mutate(document, choose)
    check(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["acceleratorData", "modelData", "serverData", "optimizerData", "x"]),
        JSON | st.dictionaries(st.sampled_from(["accelerators", "models", "servers"]), JSON),
    )
)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_arbitrary_groups_give_faults(groups: dict[str, Any]):
    """Arbitrary JSON in the place of groups is refused with faults and nothing else."""
    for document in (groups, {"system": groups}):
        looks_like_inferno(document)
        check(document)


@given(st.text(max_size=60) | JSON.map(json.dumps))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_recognition_never_fails(text: str):
    """Recognising takes anything."""
    try:
        data = json.loads(text)
    except ValueError:
        data = text
    assert looks_like_inferno(data) in (True, False)
