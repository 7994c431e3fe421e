"""Paths, values and near misses read well in a message."""

from __future__ import annotations

import pytest

from optimizer.errors import Fault
from optimizer.spec.wording import kind_of, listed, nearest, show_path, show_value, suggestion


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ((), ""),
        (("services", 2, "load", "arrival_rate_rps"), "services[2].load.arrival_rate_rps"),
        ((0, "a"), "[0].a"),
        (("a b", "c.d", ""), "['a b']['c.d']['']"),
        (("x" * 500 + " ",), f"[{'x' * 70 + '...'!r}]"),
        (("\ud800",), r"['\ud800']"),
    ],
)
def test_paths_are_written_as_in_a_program(path: tuple[str | int, ...], shown: str) -> None:
    """Words follow a point, everything else stands in brackets."""
    assert show_path(path) == shown


@pytest.mark.parametrize(
    ("value", "shown", "kind"),
    [
        (None, "null", "empty"),
        (True, "true", "true or false"),
        (-5, "-5", "a number"),
        (1.5, "1.5", "a number"),
        (2**999, "a whole number of 1000 bits", "a number"),
        ("a\nb", r"'a\nb'", "a text"),
        ("x" * 100, repr("x" * 70) + "...", "a text"),
        ([], "an empty list", "a list"),
        ([1, 2], "a list of 2", "a list"),
        ({}, "an empty mapping", "a mapping"),
        (dict.fromkeys("abcdef"), "a mapping (a, b, c, d and 2 more)", "a mapping"),
        (b"x", "an object of type bytes", "an object of type bytes"),
    ],
)
def test_values_are_short_and_on_one_line(value: object, shown: str, kind: str) -> None:
    """Scalars are shown, containers are summed up."""
    assert show_value(value) == shown
    assert kind_of(value) == kind


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("h100", ["L4", "H100"], "H100"),
        ("arival_rate", ["arrival_rate_rps", "input_tokens"], "arrival_rate_rps"),
        ("rate", ["arrival_rate_rps", "input_tokens"], "arrival_rate_rps"),
        ("service_class", ["class", "load"], "class"),
        ("mistral", ["llama", "qwen"], None),
        ("x", [], None),
        ("x" * 300, ["x" * 299], None),
        ("n7", [f"n{i}x" for i in range(6000)], None),
    ],
)
def test_the_nearest_name_is_found(name: str, known: list[str], found: str | None) -> None:
    """Case, slips and missing ends are forgiven; nothing far-fetched is offered."""
    assert nearest(name, known) == found


def test_suggestions_name_what_is_known() -> None:
    """The hint offers the nearest name and lists the first dozen."""
    assert suggestion("a", []) == "known: none"
    assert suggestion("abd", ["abc", "x"], "here") == "did you mean 'abc'? here: abc, x"
    assert listed([f"n{i}" for i in range(15)]).endswith("n11 and 3 more")
    assert listed(["a, b", "", "c"]) == "'a, b', '', c"


def test_a_fault_leaves_out_what_it_does_not_know() -> None:
    """Place, subject, message and hint appear as far as there are any."""
    assert str(Fault("is wrong")) == "is wrong"
    assert str(Fault("is wrong", path="a", source="f")) == "f: a: is wrong"
    full = Fault("is wrong", path="a", value="1", hint="try 2", source="f", line=3)
    assert str(full) == "f:3: a = 1: is wrong: try 2"
    long = str(Fault("is wrong", path="a", value="x" * 200))
    assert long == f"a = {'x' * 77}...: is wrong"
