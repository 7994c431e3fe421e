"""Documents between the parts of the control loop."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from optimizer.control.errors import DocumentError
from optimizer.control.spec import (
    Clamp,
    Condition,
    ConditionType,
    ControlDocument,
    ControlStatus,
    Decision,
    FleetObservation,
    LoadForecast,
    LoadForecasts,
    MissingReason,
    Order,
    OrderKind,
    OrderOutcome,
    OrderResult,
    Reading,
    ReplicaCount,
    ReplicaCounts,
    ServiceDecision,
    ServiceObservation,
    ServiceStatus,
    VariantTarget,
    control_json_schema,
    load_control,
    load_scenario,
)
from optimizer.errors import SpecError
from tests.optimizer.control.fleets import variant

V = variant("chat")
ORDER = Order(variant=V, kind=OrderKind.GRANT, expected=1, replicas=3, cycle=7)
EXAMPLES: tuple[ControlDocument, ...] = (
    FleetObservation(
        at_s=1.5,
        services=(
            ServiceObservation(
                service="chat",
                arrival_rate_rps=Reading.of(3.0, age_s=2.0),
                waiting=Reading.none(MissingReason.STALE, "95 s old"),
            ),
        ),
        cards={"H100": 8},
    ),
    ReplicaCounts(at_s=2.0, counts=(ReplicaCount(variant=V, wanted=2, ready=1, pending=1),)),
    LoadForecasts(
        at_s=2.0,
        services=(
            LoadForecast(
                service="chat",
                horizon_s=60.0,
                arrival_rate_rps=1.0,
                upper_rate_rps=2.0,
                input_tokens=10.0,
                output_tokens=5.0,
                method="last-value",
            ),
        ),
    ),
    Decision(
        at_s=3.0,
        cycle=4,
        trigger="period",
        services=(
            ServiceDecision(
                service="chat",
                observed_rps=None,
                forecast_rps=1.0,
                planned_rps=2.0,
                variants=(VariantTarget(variant=V, before=1, proposed=3, target=2),),
                clamps=(Clamp.STEP_UP,),
            ),
        ),
    ),
    ORDER,
    OrderOutcome(order=ORDER, result=OrderResult.CONFLICT, detail="409"),
    ControlStatus(
        fleet="f",
        at_s=1.0,
        cycle=1,
        conditions=(
            Condition(type=ConditionType.READY, status=True, reason="Working", since_s=0.0),
        ),
        services=(ServiceStatus(variant=V, wanted=1, ready=1, target=2),),
    ),
)


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda d: type(d).__name__)
def test_a_document_comes_back_from_json_and_keeps_to_the_schema(
    document: ControlDocument,
) -> None:
    """What one part writes another reads back equal, and it is as the published schema says."""
    text = document.to_json()
    assert type(document).from_json(text) == document
    schema = {**control_json_schema(), "$ref": f"#/$defs/{type(document).__name__}"}
    del schema["anyOf"]
    jsonschema.validate(json.loads(text), schema)


def test_the_published_schema_is_the_one_of_the_code(repository: Path) -> None:
    """docs/reference/control.schema.json is what `fleetopt schema --control` prints."""
    committed = (repository / "docs/reference/control.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == control_json_schema()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_figure_that_cannot_be_is_missing(value: float) -> None:
    """NaN, infinities and negative figures are no readings, and above all not zero."""
    reading = Reading.of(value)
    assert reading.value is None
    assert reading.missing is not None


def test_a_reading_has_a_value_or_a_reason() -> None:
    """Neither both nor none of them."""
    with pytest.raises(ValueError, match="a value or a reason"):
        Reading()
    with pytest.raises(ValueError, match="a value or a reason"):
        Reading(value=1.0, missing=MissingReason.EMPTY)


def test_a_wrong_document_says_where() -> None:
    """The first fault is named with its place."""
    with pytest.raises(DocumentError, match=r"kind FleetObservation: at_s"):
        FleetObservation.from_json('{"at_s": "soon", "services": []}')


def test_replicas_that_may_come_hold_their_cards() -> None:
    """What is asked for, starts, serves or stops counts as held."""
    assert ReplicaCount(variant=V, wanted=5, ready=1, pending=1, stopping=2).holding == 7
    assert ReplicaCount(variant=V, wanted=1, ready=3, pending=1, stopping=0).holding == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty: must be a control configuration"),
        ("fleet: f.yaml\nperiod: 5\n", r"unknown key 'period': did you mean 'period_s'"),
        ("fleet: f.yaml\nperiod_s: -5\n", r"c.yaml:2: period_s = -5: must be greater than 0"),
        ("fleet: f.yaml\nperiod_s: .nan\n", r"period_s.*must be a finite number"),
        ("period_s: 5\n", "fleet: is missing"),
    ],
)
def test_a_wrong_configuration_says_where_and_what(tmp_path: Path, text: str, words: str) -> None:
    """Every fault has its line, what came and what is wanted."""
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=words):
        load_control(path)


def test_a_trace_needs_its_pattern(tmp_path: Path) -> None:
    """A scenario that names a trace and another pattern is refused."""
    path = tmp_path / "s.yaml"
    path.write_text("control: {fleet: f}\ntraffic: [{service: a, trace: t.csv}]\n", "utf-8")
    with pytest.raises(SpecError, match=r"traffic\[0\]: pattern: trace and the key trace go"):
        load_scenario(path)
