"""From files to a valid control configuration or scenario, or to every fault at once."""

from __future__ import annotations

import os
from typing import TypeVar

from pydantic import ValidationError

from optimizer.control.spec.configuration import ControlSpec
from optimizer.control.spec.scenario import ScenarioSpec
from optimizer.errors import Fault, SpecError
from optimizer.spec.base import SpecModel
from optimizer.spec.document import parse
from optimizer.spec.explanation import explain
from optimizer.spec.source_text import read_text

__all__ = ["load_control", "load_scenario"]

S = TypeVar("S", bound=SpecModel)


def load_control(source: str | os.PathLike[str]) -> ControlSpec:
    """Load a control configuration from a YAML or JSON file, or from `-`, the standard input.

    Raises
    ------
    SpecError
        With every fault found, in document order.
    """
    return _load(
        source, ControlSpec, "must be a control configuration", "begin with the key fleet:"
    )


def load_scenario(source: str | os.PathLike[str]) -> ScenarioSpec:
    """Load a scenario of the laboratory from a YAML or JSON file.

    Raises
    ------
    SpecError
        With every fault found, in document order.
    """
    scenario = _load(source, ScenarioSpec, "must be a scenario", "begin with the key control:")
    known: set[str] = set()
    faults = []
    for place, traffic in enumerate(scenario.traffic):
        path = f"traffic[{place}]"
        if traffic.service in known:
            faults.append(Fault("another entry has this service", f"{path}.service"))
        known.add(traffic.service)
        if (traffic.pattern == "trace") != (traffic.trace is not None):
            faults.append(
                Fault("pattern: trace and the key trace go together", path, hint="give both")
            )
    if scenario.warm_up_s >= scenario.duration_s:
        faults.append(Fault("must be less than duration_s", "warm_up_s", str(scenario.warm_up_s)))
    if faults:
        raise SpecError(faults)
    return scenario


def _load(source: str | os.PathLike[str], kind: type[S], wanted: str, hint: str) -> S:
    document = parse(read_text(source), None, wanted, hint)
    try:
        found = kind.model_validate(document.data, by_alias=True, by_name=False)
    except ValidationError as error:
        findings = [*document.findings, *explain(error, root=kind)]
        raise SpecError(document.faults(findings)) from error
    if document.findings:
        raise SpecError(document.faults(document.findings))
    return found
