"""One replica in a program: what it carries, and what each objective allows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.errors import SpecError
from optimizer.fleet import ReplicaSize, ReplicaStudy, bare_pair, pair_data, size_replica
from optimizer.spec import FleetSpec, from_data
from queue_models import UnknownQueueModelError
from tests.optimizer.fleet.fleets import CONSTANT, fleet, service, two_types

MS = 110.0  # of a request in service, one by one; see CONSTANT


def replica(max_batch: int = 1, **targets: float) -> FleetSpec:
    """A replica of constant times with bounds by metric."""
    data = bare_pair()
    data["performance"][0] |= {"max_batch": max_batch, "prefill_decode": CONSTANT}
    data["services"][0]["load"] |= {"input_tokens": 100.0, "output_tokens": 11.0}
    data["classes"][0]["slos"][0]["targets"] = [
        {"metric": metric, "bound": bound} for metric, bound in targets.items()
    ]
    return from_data(data)


def only(study: ReplicaStudy) -> ReplicaSize:
    """The answer of the only queue model."""
    (size,) = study.sizes
    return size


def test_one_by_one_it_is_the_textbook_queue() -> None:
    """M/M/1: 9.09/s of capacity; TTFT 10 + 110 ρ/(1 - ρ) <= 120 ms at ρ = 1/2."""
    size = only(size_replica(replica(ttft_ms=120.0), queue_models=["mmc"]))
    assert size.capacity_rps == pytest.approx(1000 / MS)
    assert size.max_rate_rps == pytest.approx(500 / MS)
    assert size.binding == "ttft_ms"
    assert size.at is not None
    assert size.at.load == pytest.approx(0.5)
    assert size.at.latencies_ms["queueing_ms"] == pytest.approx(MS)
    assert [point.load for point in size.curve] == pytest.approx([*(k / 10 for k in range(1, 10)),
                                                                  0.95])  # fmt: skip


def test_each_objective_is_also_looked_at_alone() -> None:
    """The largest rate is the least of those that the objectives allow one by one."""
    spec = replica(ttft_ms=120.0, e2e_ms=150.0, itl_ms=50.0)
    size = only(size_replica(spec, queue_models=["mmc"]))
    alone = {target.name: target.max_rate_rps for target in size.targets}
    assert size.max_rate_rps == pytest.approx(min(alone.values()))
    assert size.binding == "e2e_ms"
    assert alone["itl_ms"] == pytest.approx(1000 / MS)
    assert all(target.met for target in size.targets)


def test_without_objectives_capacity_binds() -> None:
    """And the rate is that of capacity."""
    size = only(size_replica(replica(), queue_models=["mmc"]))
    assert size.binding == "capacity"
    assert size.max_rate_rps == size.capacity_rps


def test_an_objective_below_the_idle_value_allows_no_rate() -> None:
    """10 ms of prefill are above 5: rate 0, and the value without load is there to be shown."""
    size = only(size_replica(replica(ttft_ms=5.0, itl_ms=50.0), queue_models=["mmc"]))
    assert not size.possible
    assert size.max_rate_rps == 0
    ttft = size.targets[0]
    assert (ttft.binds, ttft.met) == (True, False)
    assert ttft.idle_ms == pytest.approx(10.0, rel=1e-3)


@given(st.floats(0.0, 30.0), st.floats(11.0, 2000.0))
@settings(deadline=None, max_examples=40, derandomize=True)
def test_margins_tell_whether_a_rate_keeps_the_bound(rate: float, bound: float) -> None:
    """At a rate asked for, the bound is met exactly where the largest rate is not exceeded."""
    size = only(size_replica(replica(ttft_ms=bound), queue_models=["mmc"], rate_rps=rate))
    assert size.max_rate_rps is not None
    (target,) = size.targets
    assert target.met == (rate <= size.max_rate_rps * (1 + 1e-9) or target.margin == 0)


def test_models_share_their_rates_and_keep_their_refusals() -> None:
    """Above its own capacity a model has no steady state; one without timing says so."""
    study = size_replica(
        replica(8, ttft_ms=120.0), queue_models=["inferno-4p", "mmc", "inferno-3p"], loads=[0.5]
    )
    first, second, third = study.sizes
    assert first.curve[0].rate_rps == second.curve[0].rate_rps
    assert "no timing that it reads: IterationTiming" in third.refusal
    assert third.max_rate_rps is None


def test_the_study_is_a_document() -> None:
    """It reads back from its JSON."""
    study = size_replica(replica(ttft_ms=120.0), percentiles=[99.0])
    assert ReplicaStudy.model_validate_json(study.model_dump_json()) == study


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"replicas": 0}, "replicas"),
        ({"rate_rps": float("inf")}, "rate_rps"),
        ({"percentiles": [0.0]}, "percentiles"),
        ({"loads": [1.0]}, "loads"),
    ],
)
def test_what_is_out_of_range_is_named(arguments: dict[str, Any], path: str) -> None:
    """Each argument by its name."""
    with pytest.raises(SpecError) as caught:
        size_replica(replica(), **arguments)
    assert [fault.path for fault in caught.value.faults] == [path]


def test_an_unknown_model_is_refused() -> None:
    """Before anything is computed."""
    with pytest.raises(UnknownQueueModelError, match="mmc"):
        size_replica(replica(), queue_models=["mmd"])


def test_a_pair_leaves_the_rest_of_its_fleet_behind() -> None:
    """Pins, replicas and what runs today do not matter to one replica; a throughput is noted."""
    data = two_types()
    data["classes"][0]["slos"] = [
        {"targets": [{"metric": "service_requests_per_s", "bound": 5.0},
                     {"metric": "itl_ms", "bound": 50.0}]}
    ]  # fmt: skip
    data["services"] = [
        service("x", accelerator="B", replicas={"min": 0}, current={"accelerator": "A",
                "replicas": 1}), service("y")
    ]  # fmt: skip
    pair = from_data(pair_data(fleet(data), service="x"))
    assert [entry.accelerator for entry in pair.performance] == ["B"]
    assert pair.services[0].accelerator is None
    study = size_replica(pair)
    assert study.notes == (
        "service_requests_per_s concerns the whole service and not one replica: left out",
    )
    assert [target.name for target in only(study).targets] == ["itl_ms"]


def test_a_pair_that_cannot_be_told_is_refused() -> None:
    """Two accelerators, and no word which."""
    with pytest.raises(SpecError, match="say which: A, B"):
        pair_data(fleet())


def test_a_model_nobody_measured_is_refused() -> None:
    """It is in the fleet, without any performance entry."""
    data = two_types()
    data["models"].append({"name": "other"})
    with pytest.raises(SpecError, match="no performance entry for model 'other': it has: none"):
        pair_data(fleet(data), model="other", own_load=True)
