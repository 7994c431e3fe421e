"""All faults come together, in document order, and faulty parts do not hide those of others."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from optimizer.errors import SpecError
from optimizer.spec import FleetSpec, dump, from_data, load, loads
from optimizer.spec.json_document import read_json

from .documents import VALID, VALID_PATH, changed, faults_of, only_fault_of
from .inferno_documents import small_system


def test_all_faults_come_together_in_document_order() -> None:
    """Faults of syntax short of unreadable, structure and reference are one list, by line."""
    faults = faults_of(
        changed(
            ("cards: 4", "cards: none"),
            ("model: llama-70b\n    acc", "model: llama-7b\n    acc"),
            ("  - name: batch", "  - name: batch\n    name: batch"),
            ("class: premium", "class: premim"),
            ("output_tokens: 128", "output_token: 128"),
            (STRICT, "priorities: strct"),
        )
    )
    assert [fault.path for fault in faults] == [
        "accelerators[1].cards",
        "performance",
        "performance[1].model",
        "classes[1].name",
        "services[0].class",
        "services[0].load.output_token",
        "services[0].load.output_tokens",
        "optimizer.priorities",
    ]
    lines = [fault.line for fault in faults]
    # What is missing stands after what is there, on the line of its mapping.
    assert lines == sorted(line for line in lines if line is not None)


STRICT = "priorities: strict"


def test_a_faulty_part_still_counts_for_others() -> None:
    """An entry with a fault of its own keeps its name, so that nobody misses it."""
    fault = only_fault_of(changed(("weights_gb: 16.1", "weights_gb: heavy")))
    assert fault.path == "models[0].weights_gb"


def test_faults_of_reference_show_beside_faults_of_structure() -> None:
    """A service with a broken load still has its unknown class reported."""
    faults = faults_of(changed(("arrival_rate_rps: 4", "arrival_rate_rps: x"), ("premium", "gold")))
    paths = {fault.path for fault in faults}
    assert {"services[0].load.arrival_rate_rps", "services[0].class"} <= paths


def test_a_missing_section_brings_no_followers() -> None:
    """Without any model there is one fault, not one per reference to a model."""
    start, end = VALID.index("models:"), VALID.index("performance:")
    fault = only_fault_of(VALID[:start] + VALID[end:])
    assert (fault.path, fault.message) == ("models", "is missing")


def test_json_and_yaml_give_the_same_fleet_and_the_same_faults() -> None:
    """The format changes neither what is read nor what is found wrong with it."""
    fleet = loads(VALID)
    as_json, as_yaml = dump(fleet, "json"), dump(fleet, "yaml")
    assert loads(as_json) == loads(as_yaml) == fleet
    found = []
    for text in (as_json.replace('"premium"', '"gold"', 1), as_yaml.replace("premium", "gold", 1)):
        fault = only_fault_of(text, source="fleet")
        found.append((fault.path, fault.value, fault.message, fault.hint))
        assert fault.line == text.count("\n", 0, text.rindex("premium")) + 1
    assert found[0] == found[1]


def test_the_suffix_tells_the_format_before_the_text_does() -> None:
    """A `.yaml` file may hold flow style; a text without a suffix is JSON if it looks so."""
    assert "is no JSON" in str(only_fault_of("a: 1", source="fleet.json"))
    assert faults_of('{"a": 1, b: [2]}', source="fleet.yaml")[0].path == "a"
    assert "is no JSON" in str(only_fault_of('{"a": 1, b: [2]}', source="<stdin>"))
    assert faults_of("{a: 1}", source="<stdin>")[0].path == "a"
    assert "is no YAML" in str(only_fault_of('{"a": 1', source="<stdin>", format="yaml"))


@pytest.mark.parametrize("text", ["3", "text", "[]", "- a: 1"])
def test_the_whole_document_must_be_a_mapping(text: str) -> None:
    """A document that is no mapping is one fault, which names the keys."""
    fault = only_fault_of(text)
    assert fault.path == ""
    assert "must be a mapping with the keys schema_version, name" in fault.message


def test_plain_data_load_without_lines() -> None:
    """Data from a program are checked alike; their faults have paths, but no lines."""
    data, _ = read_json(dump(loads(VALID), "json"), "f")
    assert isinstance(data, dict)
    assert from_data(data) == loads(VALID)
    data["services"][1]["model"] = "none"
    with pytest.raises(SpecError) as caught:
        from_data(data)
    assert str(caught.value) == (
        "<data>: services[1].model = 'none': there is no such model: models: llama-8b, llama-70b"
    )


@pytest.mark.parametrize(
    "odd", [{1: 2}, {None: 1}, {"a": b"b"}, {"name": object()}, {"a": {1}}, 7j]
)
def test_odd_data_are_faults(odd: object) -> None:
    """Objects that no document can hold are refused like other faults."""
    with pytest.raises(SpecError):
        from_data(odd)


def test_a_fleet_built_in_code_is_checked_as_a_whole() -> None:
    """`from_data` finds what the models, each for itself, cannot."""
    fleet = loads(VALID)
    assert from_data(fleet) == fleet
    spoilt = FleetSpec.model_validate({**fleet.model_dump(by_alias=True), "performance": []})
    with pytest.raises(SpecError, match="no entry for model 'llama-8b' on any accelerator"):
        from_data(spoilt)


def test_catalogued_entries_need_no_figures() -> None:
    """An accelerator of the catalogue takes its price from there."""
    text = changed(("    cost_per_hour: 1.2\n", "    catalog: L40S\n"))
    assert loads(text).accelerators[0].cost_per_hour is None


@pytest.mark.parametrize(
    ("priorities", "penalties", "missing"),
    [
        ("weighted", ("", ""), ["classes[0]", "classes[1]"]),
        ("weighted", ("unserved_penalty_per_hour: 9", ""), ["classes[1]"]),
        ("weighted\n  unserved_penalty_per_hour: 5", ("", ""), []),
        ("weighted\n  unserved: forbidden", ("", ""), []),
        ("strict", ("", ""), []),
    ],
)
def test_weighted_priorities_need_penalties(
    priorities: str, penalties: tuple[str, str], missing: list[str]
) -> None:
    """Each class needs a penalty, its own or the common one, where services may be left out."""
    text = changed(
        (STRICT, f"priorities: {priorities}"),
        ("    priority: 1\n", f"    priority: 1\n    {penalties[0]}\n"),
        ("    priority: 2\n", f"    priority: 2\n    {penalties[1]}\n"),
    )
    found = [fault.path for fault in faults_of(text)] if missing else list(loads(text).notes)
    assert found == [f"{path}.unserved_penalty_per_hour" for path in missing]


def test_a_class_may_ask_nothing_of_a_model() -> None:
    """An entry with `targets: []` makes a model best effort in a class that has objectives."""
    text = changed(
        (
            "      - targets:\n          - {metric: ttft_ms, bound: 500}\n",
            "      - {model: llama-8b, targets: []}\n",
        )
    )
    assert loads(text).classes[0].slos[1].targets == ()


def test_documents_of_inferno_are_recognised() -> None:
    """A document with inferno's groups is imported; its faults are at its own places."""
    fault = faults_of('{"system": {"serverData": {"servers": []}}}', source="system.json")[0]
    assert fault.path.startswith("system.")


def test_errors_survive_pickling() -> None:
    """Faults cross the boundary of a process."""
    with pytest.raises(SpecError) as caught:
        loads("services: 3")
    assert pickle.loads(pickle.dumps(caught.value)).faults == caught.value.faults


def test_paths_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages name a file as the user did."""
    monkeypatch.chdir(VALID_PATH.parent)
    assert str(only_fault_of(VALID_PATH.relative_to(VALID_PATH.parent.parent))).startswith("spec/")


def test_a_folder_with_the_parts_of_an_inferno_system_is_loaded(tmp_path: Path) -> None:
    """`load` and so `solve` take the separate files as they take the one document."""
    document = small_system()
    whole = load_text(tmp_path, document)
    parts = tmp_path / "parts"
    parts.mkdir()
    for name, group in document["system"].items():
        (parts / f"{name}.json").write_text(json.dumps({name: group}))
    assert load(parts).model_copy(update={"name": whole.name}) == whole


def load_text(folder: Path, document: object) -> FleetSpec:
    """Load a document through a file."""
    path = folder / "system.json"
    path.write_text(json.dumps(document))
    return load(path)
