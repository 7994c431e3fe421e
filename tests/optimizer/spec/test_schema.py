"""The JSON Schema says what the loader takes, as far as a schema can."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from optimizer.errors import SpecError
from optimizer.spec import from_data, json_schema
from optimizer.spec.yaml_document import read_yaml

from .documents import VALID


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """A validator of fleet documents."""
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


def valid() -> Any:
    """Return the valid document as plain data."""
    return read_yaml(VALID, "fleet.yaml")[0]


def test_the_committed_copy_is_fresh(repository: Path) -> None:
    """docs/reference/fleet.schema.json is what `fleetopt schema` prints."""
    committed = (repository / "docs/reference/fleet.schema.json").read_text(encoding="utf-8")
    assert committed == json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def test_it_declares_its_draft_and_describes_every_key() -> None:
    """The schema names draft 2020-12, and each property of each part has a description."""
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "FleetSpec"
    assert schema["description"]
    for part in (schema, *schema["$defs"].values()):
        for key, member in part.get("properties", {}).items():
            assert member.get("description"), key
            assert "title" not in member


def test_a_valid_document_is_accepted(validator: jsonschema.Draft202012Validator) -> None:
    """What loads is valid under the schema."""
    assert from_data(valid())
    assert validator.is_valid(valid())


SPOILERS: dict[str, Callable[[Any], object]] = {
    "not a mapping": lambda fleet: [fleet],
    "unknown key": lambda fleet: fleet.update(extra=1),
    "field name for key": lambda fleet: fleet["services"][0].update(service_class="premium"),
    "missing section": lambda fleet: fleet.pop("services"),
    "missing key": lambda fleet: fleet["services"][0].pop("class"),
    "text for a number": lambda fleet: fleet["services"][0]["load"].update(arrival_rate_rps="4"),
    "negative load": lambda fleet: fleet["services"][0]["load"].update(arrival_rate_rps=-4),
    "true for a number": lambda fleet: fleet["accelerators"][0].update(memory_gb=True),
    "fraction for a count": lambda fleet: fleet["accelerators"][0].update(cards=1.5),
    "no output": lambda fleet: fleet["services"][0]["load"].update(output_tokens=0),
    "empty name": lambda fleet: fleet["models"][0].update(name=""),
    "name on two lines": lambda fleet: fleet["models"][0].update(name="a\nb"),
    "unknown metric": lambda fleet: fleet["classes"][0]["slos"][1]["targets"][0].update(metric="a"),
    "no percentile": lambda fleet: fleet["classes"][0]["slos"][1]["targets"][0].update(
        statistic="p100"
    ),
    "unknown objective": lambda fleet: fleet["optimizer"].update(objective="speed"),
    "range without maximum": lambda fleet: fleet["services"][0].update(max_batch={"min": 1}),
    "batch of zero": lambda fleet: fleet["services"][0].update(max_batch=0),
    "later version": lambda fleet: fleet.update(schema_version=2),
    "true for the version": lambda fleet: fleet.update(schema_version=True),
    "small currency": lambda fleet: fleet.update(currency="usd"),
    "mapping for a list": lambda fleet: fleet.update(models={"name": "a"}),
}


@pytest.mark.parametrize("name", SPOILERS)
def test_faulty_documents_are_rejected(
    name: str, validator: jsonschema.Draft202012Validator
) -> None:
    """What the models refuse is invalid under the schema too."""
    fleet = copy.deepcopy(valid())
    result = SPOILERS[name](fleet)
    document = result if isinstance(result, list) else fleet
    assert not validator.is_valid(document)
    with pytest.raises(SpecError):
        from_data(document)
