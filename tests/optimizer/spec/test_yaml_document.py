"""YAML 1.2: plain values, anchors, and the lines on which things stand."""

from __future__ import annotations

import math

import pytest

from optimizer.errors import SpecError
from optimizer.spec import loads
from optimizer.spec.yaml_document import MOST_YAML_CHARACTERS, read_yaml
from optimizer.spec.yaml_scalars import resolve

from .documents import changed, faults_of, only_fault_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("", None),
        ("~", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("12e03", 12000.0),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("+7", 7),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.0", -0.0),
        (".", "."),
        ("-", "-"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("0b11", "0b11"),
        ("1e", "1e"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("9" * 5000, math.inf),
        ("0x" + "f" * 5000, "0x" + "f" * 5000),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    """A plain scalar has the value that section 10.3.2 of YAML 1.2.2 gives it."""
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_not_a_number_is_a_float() -> None:
    """`.nan` is the float that is no number."""
    assert math.isnan(resolve(".NaN"))  # type: ignore[arg-type]


def test_quoted_scalars_are_texts() -> None:
    """Quotes and blocks make texts of everything; so do the tags `!!str` and `!`."""
    data, findings, _ = read_yaml("['1', \"true\", !!str 1, ! 1, !!int 1, !!float 1]", "f")
    assert data == ["1", "true", "1", "1", 1, 1]
    assert not findings
    assert read_yaml("a: |\n  1\nb: >-\n  2", "f")[0] == {"a": "1\n", "b": "2"}


def test_lines_are_those_of_keys_and_entries() -> None:
    """A member of a mapping stands where its key does, an entry of a list where it begins."""
    text = "# remark\na:\n  b:\n    - 1\n    -\n      c: 2\n\nd: {e: [3,\n  4]}\n"
    _, _, lines = read_yaml(text, "f")
    paths = [(), ("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1), ("a", "b", 1, "c"), ("d",)]
    wanted = dict(zip(paths, [2, 2, 3, 4, 6, 6, 8], strict=True))
    wanted |= {("d", "e", 0): 8, ("d", "e", 1): 9}
    assert lines.find([*wanted, ("x",), ("a", "b", 7), ("d", "e", 0, "f")]) == wanted


def test_aliases_share_values_and_lines() -> None:
    """An alias means the value of its anchor, and faults in it are at the anchor's lines."""
    text = "a: &x\n  b: 1\nc: *x\nd: &y 5\ne: *y\n"
    data, findings, lines = read_yaml(text, "f")
    assert data == {"a": {"b": 1}, "c": {"b": 1}, "d": 5, "e": 5}
    assert not findings
    assert lines.find([("c", "b"), ("c",)]) == {("c", "b"): 2, ("c",): 3}


def test_merge_keys_add_what_is_missing() -> None:
    """`<<` brings in members of one or several mappings; own and earlier ones win."""
    text = (
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\n"
        "one:\n  <<: *a\n  y: 0\nmany:\n  w: 0\n  <<: [*b, *a]\n"
    )
    data, findings, lines = read_yaml(text, "f")
    assert isinstance(data, dict)
    assert not findings
    assert data["one"] == {"x": 1, "y": 0}
    assert data["many"] == {"w": 0, "x": 1, "y": 2, "z": 2}
    assert lines.find([("one", "x"), ("one", "y")]) == {("one", "x"): 1, ("one", "y"): 5}
    assert read_yaml("'<<': {x: 1}", "f")[0] == {"<<": {"x": 1}}


def test_a_fleet_may_use_anchors_and_merge_keys() -> None:
    """A whole fleet with a shared load is valid."""
    text = changed(
        ("load: {arr", "load: &load {arr"),
        ("      arrival_rate_rps: 0.5\n", "      <<: *load\n      arrival_rate_rps: 0.5\n"),
        ("      output_tokens: 300\n", ""),
    )
    load = loads(text).services[1].load
    assert (load.arrival_rate_rps, load.input_tokens, load.output_tokens) == (0.5, 4000, 128)


def test_a_billion_laughs_are_refused() -> None:
    """Aliases of aliases cannot ask for more than a bounded number of values."""
    text = "a: &a [" + ",".join("1" * 10) + "]\n"
    for level in "bcdefghijk":
        before = chr(ord(level) - 1)
        text += f"{level}: &{level} [" + ",".join([f"*{before}"] * 10) + "]\n"
    assert "values once aliases are written out" in only_fault_of(text).message


@pytest.mark.parametrize("text", ["&a [*a]", "&a {x: [*a]}", "x: &a\n  y: *a\n"])
def test_cyclic_references_are_told(text: str) -> None:
    """An alias inside its own anchor is a fault at its place."""
    data, findings, _ = read_yaml(text, "f")
    assert data is not None
    assert [found.message for found in findings] == [
        "*a refers to the part that contains it, begun on line 1: a cyclic reference"
    ]


def test_an_anchor_can_be_defined_again() -> None:
    """An alias means the latest anchor of its name before it."""
    assert read_yaml("[&a 1, *a, &a 2, *a]", "f")[0] == [1, 1, 2, 2]


def test_repeated_keys_are_all_told() -> None:
    """Each repetition is a finding with both lines; the last value counts."""
    data, findings, _ = read_yaml("a: 1\nb:\n  c: 1\n  'c': 2\na: 3\n", "f")
    assert data == {"a": 3, "b": {"c": 2}}
    assert [(found.path, found.line, found.message) for found in findings] == [
        (("b", "c"), 4, "the key stands twice, on lines 3 and 4"),
        (("a",), 5, "the key stands twice, on lines 1 and 5"),
    ]


@pytest.mark.parametrize("key", ["[a]", "{a: b}", "? [a]\n"])
def test_keys_that_are_no_texts_are_refused(key: str) -> None:
    """Lists and mappings as keys end the reading."""
    with pytest.raises(SpecError, match="must be a text"):
        read_yaml(f"{key}: 1", "f")


def test_long_documents_are_refused_with_a_way_out() -> None:
    """YAML beyond the limit is refused; JSON is recommended."""
    fault = only_fault_of("a: b\n" * (MOST_YAML_CHARACTERS // 5 + 1))
    assert "is 16.0 MiB long: must be at most 16 MiB, because reading YAML is slow" in str(fault)
    assert "JSON" in fault.hint


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_break_counts(break_: str) -> None:
    """Lines are counted alike under Unix, Windows and old Mac line breaks."""
    text = changed(("priority: 2", "priority: 0")).replace("\n", break_)
    assert only_fault_of(text).line == 44


def test_many_faults_are_cut_short() -> None:
    """Of more than 1 000 faults the first 1 000 are described, and the message says so."""
    faults = faults_of("services:\n" + "- 1\n" * 3000)
    assert len(faults) == 1001
    assert str(faults[-1]) == "fleet.yaml: has more than 1000 faults: repair the others first"
