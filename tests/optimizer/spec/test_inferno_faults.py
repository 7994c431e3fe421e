"""Importing inferno systems: what is wrong with one, said at its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.errors import SpecError
from optimizer.spec.document import parse
from optimizer.spec.inferno import load_inferno
from optimizer.spec.source_text import SourceText
from tests.optimizer.spec.inferno_documents import change, changed, iteration_only, small_system

ACCELERATOR = "system.acceleratorData.accelerators[0]"
ROW = "system.modelData.models[0]"
CLASS = "system.serviceClassData.serviceClasses[0]"
SERVER = "system.serverData.servers[0]"
OPTIMIZER = "system.optimizerData.optimizer"


def faults(document: object) -> list[str]:
    """Faults as a user reads them, without the name of the document."""
    with pytest.raises(SpecError) as caught:
        load_inferno(document)
    return [str(fault).removeprefix("<data>: ") for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (
            "accelerators.0.name",
            ...,
            f"{ACCELERATOR}.name: is missing: must be the accelerator's name: keys here: type, "
            "multiplicity, memSize, memBW, power, cost",
        ),
        ("accelerators.0.name", "", f"{ACCELERATOR}.name = '': is empty: must be"),
        (
            "accelerators.0.name",
            7,
            f"{ACCELERATOR}.name = 7: is a number: must be a text in quotes",
        ),
        (
            "accelerators.0.name",
            "A\n100",
            f"{ACCELERATOR}.name = 'A\\n100': must be one line without control characters",
        ),
        (
            "accelerators.0.cost",
            "40",
            f"{ACCELERATOR}.cost = '40': is a text: must be a number without quotes",
        ),
        ("accelerators.0.cost", -1, f"{ACCELERATOR}.cost = -1: must be at least 0"),
        (
            "accelerators.0.cost",
            float("nan"),
            f"{ACCELERATOR}.cost = nan: must be a finite number",
        ),
        (
            "accelerators.0.memSize",
            10**400,
            f"{ACCELERATOR}.memSize = a whole number of 1329 bits: must be a finite number",
        ),
        (
            "accelerators.0.multiplicity",
            1.5,
            f"{ACCELERATOR}.multiplicity = 1.5: must be a whole number",
        ),
        (
            "accelerators.0.multiplicity",
            5000,
            f"{ACCELERATOR}.multiplicity = 5000: must be at most 4096",
        ),
        (
            "accelerators.0.multiplicity",
            True,
            f"{ACCELERATOR}.multiplicity = true: is true or false: must be a whole number",
        ),
        (
            "accelerators.0.power",
            300,
            f"{ACCELERATOR}.power = 300: is a number: must be an object {{...}}",
        ),
        (
            "accelerators.0.power.idle",
            -5,
            f"{ACCELERATOR}.power.idle = -5: must be at least 0",
        ),
        (
            "accelerators.0",
            "A100",
            f"{ACCELERATOR} = 'A100': is a text: must be an object {{...}}",
        ),
        (
            "acceleratorData",
            ...,
            "system.acceleratorData.accelerators: is missing: must be a list of at least one "
            "accelerator",
        ),
        (
            "acceleratorData",
            [1],
            "system.acceleratorData = a list of 1: is a list: must be an object {...}",
        ),
        (
            "acceleratorData.accelerators",
            {},
            "system.acceleratorData.accelerators = an empty mapping: is a mapping: must be a list "
            "[...] of objects",
        ),
        (
            "count.0.count",
            -1,
            "system.capacityData.count[0].count = -1: must be at least 0",
        ),
        (
            "count.0.count",
            10**10,
            "system.capacityData.count[0].count = 10000000000: must be at most 1e+09",
        ),
        ("count.0.type", ..., "system.capacityData.count[0].type: is missing: must be a type"),
        ("models.0.acc", None, f"{ROW}.acc = null: is missing: must be an accelerator's name"),
        (
            "models.0.maxBatchSize",
            70000,
            f"{ROW}.maxBatchSize = 70000: must be at most 65536",
        ),
        (
            "models.0.decodeParms.alpha",
            "x",
            f"{ROW}.decodeParms.alpha = 'x': is a text: must be a number without quotes",
        ),
        (
            "models.0.prefillParms.delta",
            -0.1,
            f"{ROW}.prefillParms.delta = -0.1: must be at least 0",
        ),
        (
            "modelData.models",
            [],
            "system.modelData.models = an empty list: is empty: must be a list of at least one "
            "model",
        ),
        (
            "serviceClasses.0.priority",
            "high",
            f"{CLASS}.priority = 'high': is a text: must be a whole number without quotes",
        ),
        (
            "serviceClasses.0.modelTargets.0.slo-itl",
            float("inf"),
            f"{CLASS}.modelTargets[0].slo-itl = inf: must be a finite number",
        ),
        (
            "serviceClasses.0.modelTargets.0.model",
            ...,
            f"{CLASS}.modelTargets[0].model: is missing: must be a model's name",
        ),
        (
            "serviceClassData",
            {},
            "system.serviceClassData.serviceClasses: is missing: must be a list of at least one "
            "service class",
        ),
        (
            "servers.0.model",
            "granit",
            f"{SERVER}.model = 'granit': has no performance data on any accelerator: did you mean "
            "'granite'?",
        ),
        (
            "servers.0.class",
            "Prem",
            f"{SERVER}.class = 'Prem': is no service class of the document: did you mean "
            "'Premium'? classes: Premium",
        ),
        (
            "serviceClasses.0.modelTargets",
            [],
            f"{SERVER}.class = 'Premium': 'Premium' has no targets for model 'granite': must have",
        ),
        (
            "servers.0.currentAlloc.load.arrivalRate",
            -3,
            f"{SERVER}.currentAlloc.load.arrivalRate = -3: must be at least 0",
        ),
        (
            "servers.0.currentAlloc.load.avgOutTokens",
            0.5,
            f"{SERVER}.currentAlloc.load.avgOutTokens = 0.5: must be at least 1 (tokens)",
        ),
        (
            "servers.0.currentAlloc.load",
            [],
            f"{SERVER}.currentAlloc.load = an empty list: is a list: must be an object {{...}}",
        ),
        (
            "servers.0.currentAlloc.numReplicas",
            -1,
            f"{SERVER}.currentAlloc.numReplicas = -1: must be at least 0",
        ),
        (
            "servers.0.minNumReplicas",
            2_000_000,
            f"{SERVER}.minNumReplicas = 2000000: must be at most 1e+06",
        ),
        (
            "servers.0.keepAccelerator",
            "yes",
            f"{SERVER}.keepAccelerator = 'yes': is a text: must be true or false",
        ),
        (
            "serverData.servers",
            None,
            "system.serverData.servers = null: is missing: must be a list of at least one server",
        ),
        (
            "optimizer.unlimited",
            1,
            f"{OPTIMIZER}.unlimited = 1: is a number: must be true or false",
        ),
        (
            "optimizer.saturationPolicy",
            3,
            f"{OPTIMIZER}.saturationPolicy = 3: is a number: must be a text in quotes",
        ),
        (
            "optimizerData.optimizer",
            "unlimited",
            f"{OPTIMIZER} = 'unlimited': is a text: must be an object {{...}}",
        ),
    ],
)
def test_a_fault_is_said_once_and_at_its_place(path: str, value: object, fault: str):
    """One fault gives one message: place in the inferno document, what came, what is wanted."""
    found = faults(change(small_system(), path, value))
    assert len(found) == 1, found
    assert found[0].startswith(fault), found[0]


def test_row_without_timing_parameters():
    """Neither generation's parameters: the message says which there are."""
    document = small_system()
    row = document["system"]["modelData"]["models"][0]
    del row["decodeParms"], row["prefillParms"]
    row["alpha"], row["beta"] = 3, 4
    assert faults(document) == [
        f"{ROW}.perfParms: is missing, and so are decodeParms and prefillParms: must have timing "
        "parameters: alpha and beta beside it are of an older inferno; give perfParms {alpha, "
        "beta, gamma}, or decodeParms {alpha, beta} and prefillParms {gamma, delta}"
    ]


def test_iteration_without_a_base():
    """An iteration takes time even when it is empty: alpha 0 with beta > 0 is refused."""
    document = iteration_only(small_system())
    change(document, "models.0.perfParms.alpha", 0)
    assert faults(document)[0].startswith(f"{ROW}.perfParms.alpha = 0: must be greater than 0")


def test_pin_to_an_accelerator_that_is_not_there():
    """With keepAccelerator, an unknown current accelerator leaves the server no candidate."""
    document = changed(
        servers__0__keepAccelerator=True, servers__0__currentAlloc__accelerator="A10"
    )
    assert faults(document) == [
        f"{SERVER}.currentAlloc.accelerator = 'A10': is no accelerator of the document, and "
        "keepAccelerator pins the server to it: did you mean 'A100'? accelerators: A100, 4xA100"
    ]


def test_pin_to_an_accelerator_without_performance_data():
    """Checks across the fleet are reported in inferno's terms too."""
    document = changed(servers__0__keepAccelerator=True, modelData__models__0=...)
    [fault] = faults(document)
    assert fault.startswith(
        f"{SERVER}.currentAlloc.accelerator = 'A100': there is no performance entry for model "
    )


def test_all_faults_come_together_and_in_order():
    """Every independent fault is in one report, in document order, and nothing follows from it."""
    document = changed(
        accelerators__0__cost="free",
        accelerators__1__multiplicity=9999,
        count__0__count=-2,
        models__0__maxBatchSize="big",
        serviceClasses__0__priority=None,
        servers__0__currentAlloc__load__arrivalRate=-1,
        servers__0__currentAlloc__numReplicas=1.5,
        optimizer__unlimited="no",
    )
    assert [fault.split(" = ")[0] for fault in faults(document)] == [
        f"{ACCELERATOR}.cost",
        "system.acceleratorData.accelerators[1].multiplicity",
        "system.capacityData.count[0].count",
        f"{ROW}.maxBatchSize",
        f"{SERVER}.currentAlloc.numReplicas",
        f"{SERVER}.currentAlloc.load.arrivalRate",
        f"{OPTIMIZER}.unlimited",
    ]


@pytest.mark.parametrize("group", ["acceleratorData", "modelData", "serviceClassData"])
def test_a_missing_group_is_one_fault(group: str):
    """What refers to a group that is missing is not reported besides."""
    document = small_system()
    del document["system"][group]
    [fault] = faults(document)
    assert fault.startswith(f"system.{group}.")


def test_a_key_in_other_case_is_named_as_it_is_spelt():
    """The path of a fault has the document's own spelling."""
    document = small_system()
    load = document["system"]["serverData"]["servers"][0]["currentAlloc"]["load"]
    load["AvgInTokens"] = "many"
    del load["avgInTokens"]
    [fault] = faults(document)
    assert fault.startswith(f"{SERVER}.currentAlloc.load.AvgInTokens = 'many': ")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty: must describe a fleet"),
        ("{", "is no JSON at column"),
        ("[1]", "is a list without the groups of an inferno system"),
        ("{}", "is a mapping without the groups of an inferno system"),
        ('{"system": {"accelerators": []}}', "is a mapping without the groups of an inferno"),
        ('{"system": 1, "serverData": {}}', "system = 1: is a number: must be an object"),
        ("\x00\x01", "holds a null byte"),
    ],
)
def test_documents_that_are_no_system(tmp_path: Path, text: str, fault: str):
    """Junk, other JSON and empty files are refused with the name of the file."""
    path = tmp_path / "fleet.json"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_inferno(path)
    message = str(caught.value.faults[0])
    assert message.startswith(str(path))
    assert fault in message


def test_missing_file():
    """A path that leads nowhere says so."""
    with pytest.raises(SpecError, match="there is no such file"):
        load_inferno("no/such/file.json")


def test_faults_have_lines_and_repeated_keys_are_faults(tmp_path: Path):
    """A fault in a file names the file and the line; the same key twice is a fault."""
    path = tmp_path / "fleet.json"
    text = json.dumps(changed(servers__0__minNumReplicas=-1), indent=1)
    text = text.replace('"name": "Premium",', '"name": "Premium",\n"name": "Premium",')
    path.write_text(text)
    lines = text.splitlines()
    with pytest.raises(SpecError) as caught:
        load_inferno(path)
    repeated, negative = caught.value.faults
    assert repeated.path == f"{CLASS}.name"
    assert negative.path == f"{SERVER}.minNumReplicas"
    assert negative.source == str(path)
    assert negative.line is not None
    assert lines[negative.line - 1].strip() == '"minNumReplicas": -1,'


def _write(folder: Path, **contents: object) -> None:
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(
            content if isinstance(content, str) else json.dumps(content)
        )


def test_folder_without_documents(tmp_path: Path):
    """A folder without .json files says what it should hold."""
    with pytest.raises(SpecError, match=r"holds no \.json file"):
        load_inferno(tmp_path)


def test_folder_that_lacks_groups(tmp_path: Path):
    """Every group that is needed and in no file is named."""
    _write(tmp_path, servers=small_system()["system"]["serverData"])
    with pytest.raises(SpecError) as caught:
        load_inferno(tmp_path)
    assert [(fault.path, fault.source) for fault in caught.value.faults] == [
        ("acceleratorData", str(tmp_path)),
        ("modelData", str(tmp_path)),
        ("serviceClassData", str(tmp_path)),
    ]


def test_folder_with_a_group_twice(tmp_path: Path):
    """A group in two files is refused with the names of both."""
    _write(tmp_path, whole=small_system(), more={"servers": []})
    with pytest.raises(SpecError) as caught:
        load_inferno(tmp_path)
    [fault] = caught.value.faults
    assert fault.path == "serverData"
    assert "whole.json" in fault.message
    assert "more.json" in fault.message


def test_folder_with_unreadable_files(tmp_path: Path):
    """All files that are no JSON are named together; groups missing for it are not."""
    _write(tmp_path, a="{", b="nonsense", c=small_system()["system"]["serverData"])
    with pytest.raises(SpecError) as caught:
        load_inferno(tmp_path)
    assert [Path(fault.source).name for fault in caught.value.faults] == ["a.json", "b.json"]


def test_faults_in_a_folder_name_the_file(tmp_path: Path):
    """A fault in one of the files has that file's name and a path within it."""
    system = changed(servers__0__maxBatchSize=-1)["system"]
    _write(tmp_path, **{group.lower(): content for group, content in system.items()})
    with pytest.raises(SpecError) as caught:
        load_inferno(tmp_path)
    [fault] = caught.value.faults
    assert Path(fault.source).name == "serverdata.json"
    assert (fault.path, fault.line) == ("servers[0].maxBatchSize", 1)


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 1e308 * 10, -(10**400)])
def test_numbers_that_are_none_reach_no_fleet(number: float):
    """Infinite, undefined and immense numbers are refused wherever a count or a rate is wanted."""
    for path in ("servers.0.minNumReplicas", "servers.0.currentAlloc.load.arrivalRate"):
        [fault] = faults(change(small_system(), path, number))
        assert fault.startswith(f"{SERVER}.")


def test_values_that_yaml_refuses_are_reported_once():
    """What the reader of the text has refused is not complained about again."""
    text = "system: {serverData: {servers: [{name: !!set x}]}}"
    with pytest.raises(SpecError) as caught:
        load_inferno(parse(SourceText("system.yaml", text)))
    paths = [fault.path for fault in caught.value.faults]
    assert paths.count(f"{SERVER}.name") == 1
