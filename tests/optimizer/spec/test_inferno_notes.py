"""Importing inferno systems: nothing is dropped in silence."""

from __future__ import annotations

import pytest

from optimizer.spec.inferno import load_inferno
from tests.optimizer.spec.inferno_documents import (
    ITERATION,
    change,
    changed,
    iteration_only,
    small_system,
)

LIMITED = "limited capacity: services are served by strict priority"


def remarks(document: object) -> list[str]:
    """Notes but the one on limited capacity, which the small system always has."""
    return [note for note in load_inferno(document).notes if not note.startswith(LIMITED)]


@pytest.mark.parametrize(
    ("path", "value", "note"),
    [
        (
            "accelerators.0.type",
            ...,
            "accelerators without type: their own name is taken (1): A100",
        ),
        (
            "accelerators.0.multiplicity",
            0,
            "accelerators with multiplicity missing or 0: one card is taken (1): A100",
        ),
        ("accelerators.0.cost", ..., "accelerators without cost: 0 is taken, as in Go (1): A100"),
        (
            "accelerators.0.power.midUtil",
            0,
            "power curves without midPower > 0 and 0 < midUtil < 1: a straight line is taken (1): "
            "A100",
        ),
        (
            "accelerators.0.power.full",
            ...,
            "power curves that do not rise from idle over midPower to full: not carried over (1): "
            "A100",
        ),
        ("count.0.count", ..., "capacities without count: 0 is taken, as in Go (1): A100"),
        (
            "models.0.accCount",
            -1,
            "performance with accCount missing or <= 0: 1 is taken (1): granite on A100",
        ),
        (
            "models.0.atTokens",
            0,
            "performance with maxBatchSize or atTokens missing or 0: batches of 1, as in Go (1): "
            "granite on A100",
        ),
        (
            "models.0.prefillParms",
            ...,
            "performance without prefillParms: 0 ms is taken (1): granite on A100",
        ),
        (
            "models.0.perfParms",
            {"alpha": 0},
            "perfParms with every value 0: left out (1): granite on A100",
        ),
        (
            "serviceClasses.0.priority",
            101,
            "priorities missing or outside 1 ... 100: 100 is taken, as in Go (1): Premium",
        ),
        (
            "servers.0.maxQueueSize",
            128,
            "maxQueueSize with decodeParms and prefillParms: not carried over, 10 batches may wait "
            "(1): premium-granite",
        ),
        (
            "servers.0.currentAlloc.accelerator",
            "H100",
            "currentAlloc on an accelerator that is not in the document: not carried over (1): "
            "premium-granite",
        ),
        (
            "servers.0.currentAlloc.accelerator",
            ...,
            "currentAlloc without accelerator: not carried over (1): premium-granite",
        ),
        (
            "servers.0.currentAlloc.cost",
            ...,
            "currentAlloc without cost: 0 is taken, as in Go (1): premium-granite",
        ),
        (
            "servers.0.currentAlloc.load.arrivalRate",
            ...,
            "arrivalRate missing: no load, as in Go (1): premium-granite",
        ),
        (
            "optimizer.saturationPolicy",
            "priorityroundrobin",
            "system.optimizerData.optimizer.saturationPolicy 'priorityroundrobin': read as "
            "PriorityRoundRobin, where Go takes None",
        ),
        (
            "optimizer.saturationPolicy",
            "Fair",
            "system.optimizerData.optimizer.saturationPolicy 'Fair' is unknown: None is taken, "
            "as in Go",
        ),
        (
            "optimizer.saturationPolicy",
            "",
            "system.optimizerData.optimizer.saturationPolicy is missing or empty: None is taken, "
            "as in Go",
        ),
        (
            "optimizer.heterogeneous",
            True,
            "system.optimizerData.optimizer.heterogeneous = true: not carried over",
        ),
        (
            "optimizer.milpsolver",
            True,
            "system.optimizerData.optimizer.milpSolver = true: not carried over",
        ),
        (
            "optimizer.useCplex",
            True,
            "system.optimizerData.optimizer.useCplex = true: not carried over",
        ),
        (
            "servers.0.currentAlloc.itlAverage",
            1,
            "system.serverData.servers[].currentAlloc.itlAverage: not carried over",
        ),
        (
            "servers.0.desiredAlloc",
            {"accelerator": "A100", "load": {}},
            "system.serverData.servers[].desiredAlloc: not carried over",
        ),
        (
            "serviceClasses.0.modelTargets.0.slo-ttw",
            100,
            "system.serviceClassData.serviceClasses[].modelTargets[].slo-ttw: unknown, not carried "
            "over",
        ),
        (
            "models.0.decodeParms.epsilon",
            1,
            "system.modelData.models[].decodeParms.epsilon: unknown, not carried over",
        ),
        ("tunerData", {}, "system.tunerData: unknown, not carried over"),
        (
            "servers.0.Model",
            "granite",
            "system.serverData.servers[].Model: given twice in different case, the last counts",
        ),
    ],
)
def test_what_is_assumed_or_left_out_is_said(path: str, value: object, note: str):
    """One remark per kind, and no other remark, for each thing that has no counterpart."""
    assert remarks(change(small_system(), path, value)) == [note]


def test_false_flags_are_not_worth_a_remark():
    """Options of the full optimiser that are off are known and say nothing."""
    document = changed(optimizer__heterogeneous=False, optimizer__milpSolver=False)
    assert remarks(document) == []


def test_remarks_count_and_name_at_most_six():
    """Thirty servers with one peculiarity are one remark that names six of them."""
    document = small_system()
    server = document["system"]["serverData"]["servers"][0]
    server["desiredAlloc"] = {"numReplicas": 1}
    del server["currentAlloc"]["cost"]
    servers = [server | {"name": f"s{number}"} for number in range(30)]
    change(document, "serverData.servers", servers)
    assert remarks(document) == [
        "currentAlloc without cost: 0 is taken, as in Go (30): s0, s1, s2, s3, s4, s5 and 24 more",
        "system.serverData.servers[].desiredAlloc: not carried over (30 times)",
    ]


def test_row_without_any_timing_is_left_out():
    """All parameters zero: the row goes (its tuner has not converged), with a remark."""
    document = iteration_only(small_system())
    change(document, "models.0.perfParms", {"alpha": 0, "beta": 0, "gamma": 0})
    fleet = load_inferno(document)
    assert [row.accelerator for row in fleet.performance] == ["4xA100"]
    assert remarks(document) == [
        "perfParms with every value 0: left out (1): granite on A100",
        "performance without timing other than 0: left out (1): granite on A100",
    ]


def test_one_generation_of_zeros_leaves_the_other():
    """Zeros in perfParms do not touch the timing of decodeParms and prefillParms."""
    row = load_inferno(changed(models__0__perfParms={"alpha": 0})).performance[0]
    assert row.iteration is None
    assert row.prefill_decode is not None


def test_batch_without_reference_length_is_one():
    """Without atTokens Go's batch is max(0, 1) = 1 at every length."""
    row = load_inferno(changed(models__0__atTokens=...)).performance[0]
    assert (row.max_batch, row.max_batch_at_output_tokens) == (1, None)


@pytest.mark.parametrize("output", [0, ...])
def test_no_output_is_no_load(output: object):
    """Without output tokens Go takes the way of zero load."""
    document = changed(servers__0__currentAlloc__load__avgOutTokens=output)
    load = load_inferno(document).services[0].load
    assert (load.arrival_rate_rps, load.output_tokens, load.input_tokens) == (0, 1, 128)
    assert remarks(document) == [
        "avgOutTokens missing or 0: no load, as in Go; output length 1 is written (1): "
        "premium-granite"
    ]


def test_idle_server_without_input_length():
    """A server at rest needs no prompt length; that it is taken as 0 is said."""
    document = changed(
        servers__0__currentAlloc__load__avgInTokens=...,
        servers__0__currentAlloc__load__arrivalRate=0,
    )
    assert load_inferno(document).services[0].load.input_tokens == 0
    assert remarks(document) == [
        "avgInTokens missing: prompts of 0 tokens, as in Go (1): premium-granite"
    ]


def test_pin_without_current_accelerator():
    """In inferno keepAccelerator does nothing without a current accelerator."""
    document = changed(
        servers__0__keepAccelerator=True, servers__0__currentAlloc={"load": {"avgOutTokens": 8}}
    )
    assert load_inferno(document).services[0].accelerator is None
    assert (
        "keepAccelerator without a current accelerator: no effect, as in Go (1): premium-granite"
        in remarks(document)
    )


def test_server_without_class_belongs_to_free():
    """A server without class belongs to Free: the document's, or one added at priority 100."""
    document = changed(servers__0__class="")
    fleet = load_inferno(document)
    assert fleet.services[0].service_class == "Free"
    assert [(c.name, c.priority, c.slos) for c in fleet.classes[1:]] == [("Free", 100, ())]
    assert remarks(document) == [
        "servers without class: the class Free is taken, as in Go (1): premium-granite",
        "the class Free is not in the document: added without targets, where Go leaves its "
        "servers unserved (1): premium-granite",
    ]
    change(document, "serviceClasses.0.name", "Free")
    assert [c.name for c in load_inferno(document).classes] == ["Free"]
    assert len(remarks(document)) == 1


def test_targets_for_unknown_models_are_left_out():
    """A target for a model that nothing runs is left out with a remark."""
    document = small_system()
    targets = document["system"]["serviceClassData"]["serviceClasses"][0]["modelTargets"]
    targets.append({"model": "llama", "slo-itl": 10})
    assert len(load_inferno(document).classes[0].slos) == 1
    assert remarks(document) == [
        "targets for models without performance data: left out (1): llama of Premium"
    ]


def test_rows_on_unknown_accelerators_are_left_out():
    """Performance data on an accelerator that does not exist is left out with a remark."""
    document = changed(models__1__acc="H100")
    assert len(load_inferno(document).performance) == 1
    assert remarks(document) == [
        "performance on accelerators that are not in the document: left out (1): granite on H100"
    ]


def test_capacities_of_unknown_types_are_left_out_and_missing_ones_are_zero():
    """In limited mode a type without entry has no cards; an entry without a user has no use."""
    document = changed(count=[{"type": "H100", "count": 8}])
    assert [(c.type, c.cards) for c in load_inferno(document).capacities] == [("A100", 0)]
    assert remarks(document) == [
        "capacities of types that no accelerator has: left out (1): H100",
        "types without capacity: 0 cards, as in Go (1): A100",
    ]
    change(document, "optimizer.unlimited", True)
    assert load_inferno(document).capacities == ()


def test_the_last_of_several_counts():
    """Whatever is defined twice is what was defined last, as in Go's maps, with a remark."""
    document = small_system()
    system = document["system"]
    for members, changes in (
        (system["acceleratorData"]["accelerators"], {"cost": 80}),
        (system["capacityData"]["count"], {"count": 5}),
        (system["modelData"]["models"], {"maxBatchSize": 7}),
        (system["serviceClassData"]["serviceClasses"], {"priority": 9}),
        (system["serverData"]["servers"], {"minNumReplicas": 4}),
    ):
        members.append(members[0] | changes)
    targets = system["serviceClassData"]["serviceClasses"][-1]["modelTargets"]
    targets.append({"model": "granite", "slo-itl": 33})
    fleet = load_inferno(document)
    assert [a.cost_per_hour for a in fleet.accelerators] == [0.8, 1.605]
    assert [c.cards for c in fleet.capacities] == [5]
    assert [row.max_batch for row in fleet.performance] == [7, 128]
    assert [c.priority for c in fleet.classes] == [9]
    assert [t.bound for t in fleet.classes[0].slos[0].targets] == [33]
    assert [s.replicas.min for s in fleet.services] == [4]
    last = "given more than once, the last counts as in Go (1): "
    assert remarks(document) == [
        f"accelerators {last}A100",
        f"performance {last}granite on A100",
        f"targets {last.replace('(1)', '(2)')}granite of Premium, granite of Premium",
        f"service classes {last}Premium",
        f"servers {last}premium-granite",
        f"capacities {last}A100",
    ]


def test_last_row_counts_even_if_it_is_no_use():
    """A row of zeros after a good one replaces it, as in Go's map."""
    document = iteration_only(small_system())
    rows = document["system"]["modelData"]["models"]
    rows.append(rows[0] | {"perfParms": {"alpha": 0}})
    assert [row.accelerator for row in load_inferno(document).performance] == ["4xA100"]


def test_generation_of_a_mixed_document_is_not_the_three_parameter_one():
    """One row with decodeParms is enough for maxQueueSize to have no single meaning."""
    document = iteration_only(changed(servers__0__maxQueueSize=64))
    change(document, "models.0.decodeParms", {"alpha": 1, "beta": 1})
    change(document, "models.0.prefillParms", {"gamma": 1, "delta": 1})
    change(document, "models.1.perfParms", ITERATION)
    assert load_inferno(document).services[0].max_queue is None


def test_notes_are_the_same_every_time():
    """The order of the notes is a property of the document."""
    document = changed(tunerData={}, servers__0__desiredAlloc={"cost": 1}, servers__0__x=1)
    assert load_inferno(document).notes == load_inferno(document).notes
    assert remarks(document) == [
        "system.serverData.servers[].desiredAlloc: not carried over",
        "system.tunerData: unknown, not carried over",
        "system.serverData.servers[].x: unknown, not carried over",
    ]
