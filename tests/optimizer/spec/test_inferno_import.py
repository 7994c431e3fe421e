"""Importing inferno systems: what comes out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from optimizer.spec.accelerator import AcceleratorSpec, CapacitySpec, PowerSpec
from optimizer.spec.document import parse
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.inferno import load_inferno, looks_like_inferno
from optimizer.spec.loading import from_data
from optimizer.spec.model import IterationTimingSpec, PerformanceSpec, PrefillDecodeTimingSpec
from optimizer.spec.options import OptimizerSpec
from optimizer.spec.service import CurrentAllocationSpec, LoadSpec, ReplicaRangeSpec, ServiceSpec
from optimizer.spec.service_class import ServiceClassSpec, SloSpec, TargetSpec
from optimizer.spec.source_text import SourceText
from tests.optimizer.spec.inferno_documents import (
    ITERATION,
    change,
    changed,
    iteration_only,
    small_system,
)

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "inferno"
SAMPLES = sorted([*DATA.glob("instances/*.json"), *DATA.glob("small-*.json")])
LIMITED = (
    "limited capacity: services are served by strict priority, then at least cost; the objective "
    "inferno-value keeps inferno's own"
)


def remarks(document: object) -> tuple[str, ...]:
    """Notes of an import but the one on limited capacity, which the small system always has."""
    return tuple(note for note in load_inferno(document).notes if note != LIMITED)


# --- published instances ------------------------------------------------------------------------


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_published_instances_import(path: Path):
    """Every published instance becomes a valid fleet with all its servers, models and targets."""
    fleet = load_inferno(path)
    data = json.loads(path.read_text())
    system = data.get("system", data)
    folded = {key.casefold(): value for key, value in system.items()}
    assert fleet.name == path.stem
    assert len(fleet.services) == len(folded["serverdata"]["servers"])
    assert len(fleet.accelerators) == len(folded["acceleratordata"]["accelerators"])
    assert len(fleet.performance) == len(folded["modeldata"]["models"])
    assert len(fleet.classes) == len(folded["serviceclassdata"]["serviceClasses"])
    loads = [server["currentAlloc"]["load"] for server in folded["serverdata"]["servers"]]
    for service, load in zip(fleet.services, loads, strict=True):
        assert service.load.arrival_rate_rps == load["arrivalRate"] / 60
        assert service.load.input_tokens == load.get("avgInTokens", load.get("AvgInTokens"))
        assert service.load.output_tokens == load.get("avgOutTokens", load.get("AvgOutTokens"))
    assert from_data(fleet) == fleet
    assert looks_like_inferno(data)


def test_there_are_published_instances():
    """The reference data are where the tests look, or the reason for skipping is said."""
    if not DATA.exists():
        pytest.skip("the reference data lie outside the repository and are not here")
    assert len(SAMPLES) == 11


def test_notes_of_a_published_instance_are_few_and_exact():
    """What an instance of 100 servers cannot carry over is said in two lines, not in 100."""
    path = DATA / "instances" / "wva-100x9.json"
    if not path.exists():
        pytest.skip("the reference data lie outside the repository and are not here")
    assert load_inferno(path).notes == (
        "note: not carried over",
        "system.serverData.servers[].currentAlloc.load.throughput: not carried over (100 times)",
    )


# --- conversions --------------------------------------------------------------------------------


def test_every_part_of_the_small_system():
    """Each field arrives converted: req/min to req/s, cents to USD, multiplicity to cards."""
    fleet = load_inferno(small_system())
    assert fleet == FleetSpec(
        name="inferno",
        currency="USD",
        accelerators=(
            AcceleratorSpec(
                name="A100",
                type="A100",
                cards=1,
                memory_gb=80,
                bandwidth_gb_s=2000,
                power=PowerSpec(idle_w=150, full_w=400, mid_w=320, mid_utilization=0.6),
                cost_per_hour=0.40,
            ),
            AcceleratorSpec(
                name="4xA100",
                type="A100",
                cards=4,
                memory_gb=320,
                bandwidth_gb_s=8000,
                power=PowerSpec(idle_w=600, full_w=1600, mid_w=1280, mid_utilization=0.6),
                cost_per_hour=1.605,
            ),
        ),
        capacities=(CapacitySpec(type="A100", cards=64),),
        models=({"name": "granite"},),
        performance=(
            PerformanceSpec(
                model="granite",
                accelerator="A100",
                instances=2,
                max_batch=64,
                max_batch_at_output_tokens=512,
                prefill_decode=PrefillDecodeTimingSpec(
                    decode_base_ms=20.58,
                    decode_ms_per_request=0.41,
                    prefill_base_ms=5.2,
                    prefill_ms_per_token=0.1,
                ),
            ),
            PerformanceSpec(
                model="granite",
                accelerator="4xA100",
                instances=1,
                max_batch=128,
                max_batch_at_output_tokens=512,
                prefill_decode=PrefillDecodeTimingSpec(
                    decode_base_ms=10,
                    decode_ms_per_request=0.2,
                    prefill_base_ms=2.6,
                    prefill_ms_per_token=0.05,
                ),
            ),
        ),
        classes=(
            ServiceClassSpec(
                name="Premium",
                priority=1,
                slos=(
                    SloSpec(
                        model="granite",
                        targets=(
                            TargetSpec(metric="ttft_ms", statistic="mean", bound=500),
                            TargetSpec(metric="itl_ms", statistic="mean", bound=40),
                        ),
                    ),
                ),
            ),
        ),
        services=(
            ServiceSpec(
                name="premium-granite",
                model="granite",
                service_class="Premium",
                load=LoadSpec(arrival_rate_rps=1.5, input_tokens=128, output_tokens=256),
                replicas=ReplicaRangeSpec(min=1),
                current=CurrentAllocationSpec(
                    accelerator="A100", replicas=3, max_batch=32, cost_per_hour=2.40
                ),
            ),
        ),
        optimizer=OptimizerSpec(
            capacity="limited",
            objective="cost",
            priorities="strict",
            saturation_policy="priority-exhaustive",
            throughput_target="replaces-load",
        ),
        notes=(LIMITED,),
    )


def test_three_parameter_generation():
    """Of perfParms, alpha is the base, beta per token computed, gamma per token cached."""
    fleet = load_inferno(iteration_only(small_system()))
    for row in fleet.performance:
        assert row.prefill_decode is None
        assert row.iteration == IterationTimingSpec(
            base_ms=6.5, decode_ms_per_token=0.02, prefill_ms_per_token=0.02, kv_ms_per_token=5e-5
        )


def test_both_generations_in_one_row_are_kept():
    """A row with decodeParms, prefillParms and perfParms keeps both timings."""
    row = load_inferno(changed(models__0__perfParms=ITERATION)).performance[0]
    assert row.iteration is not None
    assert row.prefill_decode is not None


def test_missing_is_zero_as_in_go():
    """What Go reads as zero: minNumReplicas, memory, bandwidth, power, current allocation."""
    document = changed(
        servers__0__minNumReplicas=...,
        accelerators__0__memSize=...,
        accelerators__0__memBW=0,
        accelerators__0__power=...,
        servers__0__currentAlloc__accelerator="",
        servers__0__currentAlloc__numReplicas=0,
        servers__0__currentAlloc__cost=...,
    )
    fleet = load_inferno(document)
    assert fleet.services[0].replicas.min == 0
    assert fleet.services[0].current is None
    accelerator = fleet.accelerators[0]
    assert (accelerator.memory_gb, accelerator.bandwidth_gb_s, accelerator.power) == (None,) * 3
    assert fleet.notes == (LIMITED,)


def test_nulls_are_missing_and_whole_floats_are_whole():
    """Null counts as missing, as in Go; 2.0 replicas are two."""
    document = changed(servers__0__minNumReplicas=2.0, servers__0__maxBatchSize=None)
    service = load_inferno(document).services[0]
    assert service.replicas.min == 2
    assert service.max_batch is None


def test_pinned_accelerator_and_fixed_batch():
    """The flag keepAccelerator pins to the current accelerator; maxBatchSize > 0 fixes it."""
    document = changed(servers__0__keepAccelerator=True, servers__0__maxBatchSize=16)
    service = load_inferno(document).services[0]
    assert service.accelerator == "A100"
    assert service.max_batch == 16


def test_queue_length_of_the_three_parameter_generation():
    """A maxQueueSize above 0 is kept there; 0 leaves the queue model's own convention."""
    document = iteration_only(changed(servers__0__maxQueueSize=128))
    assert load_inferno(document).services[0].max_queue == 128
    change(document, "servers.0.maxQueueSize", 0)
    assert load_inferno(document).services[0].max_queue is None


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ("None", "none"),
        ("PriorityExhaustive", "priority-exhaustive"),
        ("PriorityRoundRobin", "priority-round-robin"),
        ("RoundRobin", "round-robin"),
    ],
)
def test_saturation_policies(given: str, policy: str):
    """Each policy of inferno has its counterpart, without remark; delayedBestEffort follows."""
    document = changed(optimizer__saturationPolicy=given, optimizer__delayedBestEffort=True)
    options = load_inferno(document).optimizer
    assert options.saturation_policy == policy
    assert options.delayed_best_effort
    assert remarks(document) == ()


def test_unlimited_capacity_keeps_infernos_objective():
    """Unlimited: inferno's own objective, capacities kept but not binding, nothing to remark."""
    fleet = load_inferno(changed(optimizer__unlimited=True))
    assert fleet.optimizer.capacity == "unlimited"
    assert fleet.optimizer.objective == "inferno-value"
    assert fleet.capacities == (CapacitySpec(type="A100", cards=64),)
    assert fleet.notes == ()


def test_throughput_targets_and_no_targets():
    """A slo-tps bounds the service's tokens per second; all zero is an SLO without targets."""
    targets = [{"model": "granite", "slo-itl": 0, "slo-ttft": 0, "slo-tps": 2000}]
    fleet = load_inferno(changed(serviceClasses__0__modelTargets=targets))
    assert fleet.classes[0].slos[0].targets == (
        TargetSpec(metric="service_tokens_per_s", bound=2000),
    )
    assert fleet.optimizer.throughput_target == "replaces-load"
    fleet = load_inferno(changed(serviceClasses__0__modelTargets=[{"model": "granite"}]))
    assert fleet.classes[0].slos == (SloSpec(model="granite", targets=()),)


# --- where it comes from ------------------------------------------------------------------------


def _respelt(value: object) -> object:
    """The same with every key in capitals."""
    if isinstance(value, dict):
        return {key.upper(): _respelt(member) for key, member in value.items()}
    return [_respelt(member) for member in value] if isinstance(value, list) else value


def test_keys_match_without_case():
    """Every key may be spelt in any case, as Go's decoder has it."""
    assert load_inferno(_respelt(small_system())) == load_inferno(small_system())


def test_groups_at_the_top():
    """The groups may stand at the top of the document, and service classes as serviceclassData."""
    system = small_system()["system"]
    system["serviceclassData"] = system.pop("serviceClassData")
    assert load_inferno(system) == load_inferno(small_system())


def test_file_open_file_standard_input_and_parsed_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A path, an open file, `-` and a parsed document give the same fleet but for its name."""
    text = json.dumps(small_system())
    path = tmp_path / "night.json"
    path.write_text(text)
    expected = load_inferno(small_system())
    assert load_inferno(path).name == "night"
    assert load_inferno(str(path)).services == expected.services
    assert load_inferno(io.StringIO(text)) == expected
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert load_inferno("-") == expected
    assert load_inferno(parse(SourceText("<stdin>", text))) == expected


FILES = {
    "accelerator-data.json": "acceleratorData",
    "capacity-data.json": "capacityData",
    "model-data.json": "modelData",
    "serviceclass-data.json": "serviceClassData",
    "server-data.json": "serverData",
    "optimizer-data.json": "optimizerData",
}


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_folder_of_separate_files(tmp_path: Path, is_wrapped: bool):
    """A folder with one file per group, bare or under the group's name, is the same system."""
    folder = tmp_path / "night"
    folder.mkdir()
    for file, group in FILES.items():
        content = small_system()["system"][group]
        (folder / file).write_text(json.dumps({group: content} if is_wrapped else content))
    fleet = load_inferno(folder)
    assert fleet.name == "night"
    assert fleet.model_copy(update={"name": "inferno"}) == load_inferno(small_system())


def test_folder_without_optional_groups_and_with_other_files(tmp_path: Path):
    """Files are known by content, whatever their names; others are remarked on or ignored."""
    groups = [g for g in FILES.values() if g not in ("optimizerData", "capacityData")]
    for number, group in enumerate(groups):
        (tmp_path / f"{number}.json").write_text(json.dumps(small_system()["system"][group]))
    (tmp_path / "solution-data.json").write_text('{"allocations": {}}')
    (tmp_path / "README.md").write_text("about")
    fleet = load_inferno(tmp_path)
    assert fleet.notes == (
        "files without a group of an inferno system: not carried over (1): solution-data.json",
        "types without capacity: 0 cards, as in Go (1): A100",
        LIMITED,
        "optimizer.saturationPolicy is missing or empty: None is taken, as in Go",
    )
    assert fleet.capacities == (CapacitySpec(type="A100", cards=0),)


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        ({"system": {"serverData": {}}}, True),
        ({"SYSTEM": {"SERVERDATA": {}}}, True),
        ({"serviceclassData": {}}, True),
        ({"modelData": None, "other": 1}, True),
        ({"system": {"accelerators": []}}, False),
        ({"system": 3}, False),
        ({"accelerators": [], "models": [], "classes": [], "services": []}, False),
        ([], False),
        (None, False),
        ("serverData", False),
    ],
)
def test_recognising_a_system(data: object, is_one: bool):
    """A system is known by any of its groups; a fleet of our own format is none."""
    assert looks_like_inferno(data) is is_one
