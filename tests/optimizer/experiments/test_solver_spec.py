"""Solvers with options on one line."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer.experiments import ExperimentError
from optimizer.experiments.solver_spec import parse_solver


@pytest.mark.parametrize(
    ("spec", "name", "options"),
    [
        ("milp", "milp", {}),
        ("milp:backend=CBC", "milp", {"backend": "CBC"}),
        ("a:n=3:f=1e-3:yes=true:none=null", "a", {"n": 3, "f": 1e-3, "yes": True, "none": None}),
        ("a:path=x=y", "a", {"path": "x=y"}),
        ("a:list=[1]", "a", {"list": "[1]"}),
        ("a:empty=", "a", {"empty": ""}),
    ],
)
def test_values_are_read_as_json_scalars_or_text(
    spec: str, name: str, options: dict[str, Any]
) -> None:
    """Numbers, truth values and null are such; anything else is text as it stands."""
    assert parse_solver(spec) == (name, options)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("a:b", "'b': option=value is wanted"),
        ("a:=b", "'=b': option=value is wanted"),
        ("a:b=1:b=2", "option b is given twice"),
        ("a:time_limit_s=3", "time_limit_s is the same for every solver"),
    ],
)
def test_faulty_options_are_refused(spec: str, message: str) -> None:
    """The message shows the whole spec."""
    with pytest.raises(ExperimentError, match=f"{spec}: .*{message}|{spec}: {message}"):
        parse_solver(spec)
