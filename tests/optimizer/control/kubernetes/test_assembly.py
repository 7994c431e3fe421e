"""From objects to a fleet: every fault told at its object, and one wrong object stops no other."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.control.operator import definitions
from optimizer.control.operator.assembly import Assembled, assemble, key_of
from optimizer.control.operator.resources import Actuation
from tests.conftest import REPOSITORY
from tests.optimizer.cli.in_process import called
from tests.optimizer.control.kubernetes.fake_store import nullable
from tests.optimizer.control.kubernetes.fleet_objects import SPECS, yaml_documents

EXAMPLE = REPOSITORY / "examples" / "kubernetes" / "fleet.yaml"


def objects(**changes: Any) -> list[dict[str, Any]]:
    """The small fleet, with the specs of some objects changed (`Server_chat={...}`)."""
    found = []
    for (kind, name), spec in SPECS.items():
        given = {**copy.deepcopy(spec), **changes.get(f"{kind}_{name}", {})}
        found.append({"kind": kind, "metadata": {"name": name}, "spec": given})
    return found


def made(**changes: Any) -> Assembled:
    return assemble(objects(**changes), {})


def test_objects_make_a_fleet() -> None:
    """Names are the objects'; performance is of its model."""
    found = made()
    assert found.faults == {}
    assert found.fleet is not None
    assert [p.model for p in found.fleet.performance] == ["m", "m"]
    assert found.fleet.name == "fleet"
    assert found.actuation is Actuation.SCALE
    assert set(found.good) == set(SPECS)


def test_a_name_of_the_spec_goes_first() -> None:
    """Accelerators have names that objects cannot have."""
    found = made(Accelerator_h100={"name": "H100"})
    assert found.faults
    renamed = made(
        Accelerator_h100={"name": "H100"},
        Model_m={"performance": [{**SPECS["Model", "m"]["performance"][0], "accelerator": "H100"}]},
        Optimizer_fleet={"capacities": [{"type": "H100", "cards": 12}]},
    )
    assert renamed.fleet is not None
    assert "H100" in {a.name for a in renamed.fleet.accelerators}


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"Server_chat": {"class": "x"}}, ("Server", "chat"), "spec.class = 'x'"),
        ({"Server_chat": {"load": {}}}, ("Server", "chat"), "spec.load.arrival_rate_rps"),
        (
            {"Server_chat": {"deployments": [{"deployment": "x"}]}},
            ("Server", "chat"),
            "spec.deployments[0].accelerator: is missing",
        ),
        (
            {"Model_m": {"performance": [{"accelerator": "h100", "max_batch": 1}]}},
            ("Model", "m"),
            "spec.performance[0]: has no timing",
        ),
        ({"Model_m": {"config": "/etc/passwd", "catalog": 5}}, ("Model", "m"), "spec.catalog = 5"),
        ({"ServiceClass_standard": {"priority": 0}}, ("ServiceClass", "standard"), "spec.priority"),
        ({"Accelerator_h100": {"cards": 0}}, ("Accelerator", "h100"), "spec.cards = 0"),
        (
            {"Optimizer_fleet": {"control": {"period": 5}}},
            ("Optimizer", "fleet"),
            "spec.control.period",
        ),
        (
            {"Optimizer_fleet": {"metrics": {"engines": "vllm"}}},
            ("Optimizer", "fleet"),
            "spec.metrics.engines",
        ),
        (
            {"Optimizer_fleet": {"capacities": [{"type": "X1", "cards": 1}]}},
            ("Optimizer", "fleet"),
            "spec.capacities[0].type",
        ),
    ],
)
def test_a_fault_is_told_where_it_is(
    changes: dict[str, Any], key: tuple[str, str], words: str
) -> None:
    """At its object, with the path in it."""
    found = made(**changes)
    assert words in "\n".join(found.faults[key])
    assert key not in found.good


def test_what_was_valid_last_is_gone_on_with() -> None:
    """A Model that becomes wrong keeps its old times; all others follow their new words."""
    before = made()
    load = {**SPECS["Server", "chat"]["load"], "arrival_rate_rps": 33}
    after = assemble(objects(Model_m={"weights_gb": -1}, Server_chat={"load": load}), before.good)
    assert set(after.faults) == {("Model", "m")}
    assert after.fleet is not None
    assert after.fleet.models[0].weights_gb == 16
    assert after.fleet.services[0].load.arrival_rate_rps == 33


def test_a_wrong_optimizer_holds_its_last_words() -> None:
    """And without any there is no fleet."""
    before = made()
    wrong = objects(Optimizer_fleet={"control": {"period_s": -1}})
    after = assemble(wrong, before.good)
    assert after.fleet is not None
    assert after.control is not None
    assert after.control.period_s == 5
    assert assemble(wrong, {}).fleet is None


def test_the_batch_that_runs_is_pinned() -> None:
    """Unless templates may be changed, or the Server says it itself."""
    entries = [{**e, "max_batch": 8} for e in SPECS["Server", "chat"]["deployments"]]
    pinned = made(Server_chat={"deployments": entries}).fleet
    assert pinned is not None
    assert pinned.services[0].max_batch == 8
    free = made(
        Server_chat={"deployments": entries}, Optimizer_fleet={"actuation": "template"}
    ).fleet
    assert free is not None
    assert free.services[0].max_batch is None


def test_the_example_is_valid() -> None:
    """By the schemas, and as a fleet."""
    documents = yaml_documents(EXAMPLE)
    schemas = {
        d["spec"]["names"]["kind"]: d["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for d in definitions()
    }
    for document in documents:
        jsonschema.Draft4Validator(nullable(schemas[document["kind"]])).validate(document)
    found = assemble(documents, {})
    assert found.faults == {}
    assert found.fleet is not None
    assert set(found.good) == {key_of(document) for document in documents}


def test_definitions_are_printed(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    """As YAML documents, as one JSON list, into a file."""
    assert called(("operator", "crds", "--json")) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["items"] == definitions()
    path = tmp_path / "crds.yaml"
    assert called(("operator", "crds", "-o", path)) == ExitCode.OK
    assert yaml_documents(path) == definitions()
    assert called(("operator", "crds", "-o", tmp_path / "absent" / "x")) == ExitCode.USAGE
