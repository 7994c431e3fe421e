"""JSON: the same faults at the same places, with lines looked up on demand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.spec import dump, loads
from optimizer.spec.json_document import JsonLines, read_json

from .documents import VALID, faults_of, only_fault_of


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ('{\n"a": 1,\n}', "remove the comma before the closing bracket", None),
        ("{\n'a': 1}", 'texts stand in double quotes: "..."', 2),
        ("{\na: 1}", "keys stand in double quotes", 2),
        ('{\n"a": 1 // one\n}', "JSON has no comments", 2),
        ('{\n"a": 1 # one\n}', "JSON has no comments", 2),
        ('{\n"a": [1, 2\n', "a closing bracket missing?", None),
        ('{"a": 1}\n{"b": 2}', "a file holds one document", 2),
        ('{\n"a": 1\n"b": 2}', "is no JSON at column 1: expecting ',' delimiter", 3),
        ('{"a": "\n"}', "is no JSON at column 8: invalid control character", 1),
        ('{"a":' * 100_000, "is nested too deeply", None),
        ("[" * 100_000, "is nested too deeply", None),
        ("[" + "1," * 1_000_001, "holds more than 1000000 values", None),
    ],
    ids=range(12),
)
def test_what_is_no_json_is_refused(text: str, says: str, line: int | None) -> None:
    """Mistakes of syntax are reported with line, column and what to try."""
    fault = only_fault_of(text, format="json")
    assert says in str(fault)
    assert line is None or fault.line == line


@pytest.mark.parametrize(
    ("value", "shown"),
    [("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf"), ("1e999", "inf")],
)
def test_numbers_that_are_not_finite_are_faults_at_their_place(value: str, shown: str) -> None:
    """Numbers that JSON, or a float, does not have are refused by the models."""
    text = dump(loads(VALID), "json").replace('"bound": 500.0', f'"bound": {value}')
    fault = only_fault_of(text, source="fleet.json")
    assert fault.path == "classes[0].slos[1].targets[0].bound"
    assert fault.value == shown
    assert fault.line == text.count("\n", 0, text.index(value)) + 1
    assert "must be a finite number" in fault.message


def test_huge_whole_numbers_take_no_time() -> None:
    """A number of 100 000 digits is refused like any other that is too large."""
    text = dump(loads(VALID), "json").replace('"priority": 2', f'"priority": {"9" * 100_000}')
    assert only_fault_of(text).path == "classes[1].priority"


def test_half_a_surrogate_pair_is_a_fault() -> None:
    """Escapes that make no character are refused, in values and in keys."""
    text = dump(loads(VALID), "json")
    fault = only_fault_of(text.replace('"chat"', '"\\ud800"'))
    assert (fault.path, fault.value) == ("services[0].name", r"'\ud800'")
    assert fault.message == "holds half of a surrogate pair"
    (key,) = faults_of('{"\\udc00": 1}')
    assert "half of a surrogate pair: it is in a key" in key.message


def test_repeated_keys_are_all_told_with_their_lines() -> None:
    """Each repetition is a finding with both lines; the last value counts."""
    text = '{"a": {"x": 1,\n"x": {"x": 2}},\n"b": [{"y": 1, "\\u0079": 2}],\n"a": 3}'
    data, findings = read_json(text, "f")
    assert data == {"a": 3, "b": [{"y": 2}]}
    assert [(found.path, found.line, found.message) for found in findings] == [
        (("a", "x"), 2, "the key stands twice, on lines 1 and 2"),
        (("b", 0, "y"), 3, "the key stands twice on line 3"),
        (("a",), 4, "the key stands twice, on lines 1 and 4"),
    ]


def test_brackets_in_texts_do_not_mislead_the_scanner() -> None:
    """Quotes, brackets and commas inside texts are no structure."""
    text = '{"a}],\\"": ["[{", "\\\\"],\n"b": 1}'
    assert JsonLines(text).find([("b",), ('a}],"', 1)]) == {("b",): 2, ('a}],"', 1): 1}


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda members: (
        st.lists(members, max_size=4) | st.dictionaries(st.text(max_size=3), members, max_size=4)
    ),
    max_leaves=20,
)


@given(_TREES)
@settings(deadline=None, max_examples=100, derandomize=True)
def test_every_part_of_a_document_is_found_on_its_line(data: object) -> None:
    """Written with one part per line, part n of a document is found on the line it was put on."""
    paths = list(_paths_of(data))
    text = json.dumps(data, indent=1)
    found = JsonLines(text).find(paths)
    assert list(found) == paths
    assert list(found.values()) == sorted(found.values())
    lines = text.split("\n")
    for path, line in found.items():
        if path and isinstance(path[-1], str):
            assert lines[line - 1].lstrip().startswith(json.dumps(path[-1]) + ":")


def _paths_of(data: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of all parts, in document order."""
    members: list[tuple[str | int, object]] = []
    if isinstance(data, dict):
        members = list(data.items())
    elif isinstance(data, list):
        members = list(enumerate(data))
    return [path, *(p for step, value in members for p in _paths_of(value, (*path, step)))]
