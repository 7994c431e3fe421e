"""A candidate table of other loads is what sizing anew would make of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.errors import PlanError
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.resizing import resized, with_rates
from optimizer.fleet.sizing import build_candidates
from optimizer.spec import FleetSpec, load
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def fleet() -> FleetSpec:
    found = load(REPOSITORY / "examples" / "fleet.yaml")
    return with_rates(found, [max(s.load.arrival_rate_rps, 0.5) for s in found.services])


@pytest.fixture(scope="module")
def table(fleet: FleetSpec) -> CandidateTable:
    return build_candidates(fleet, batches_by_rate=True)


def assert_same_sizes(one: CandidateTable, other: CandidateTable) -> None:
    for name in ("verdict", "max_batch", "replicas", "instances", "cards"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for name in ("rate_per_replica_rps", "cost_per_hour"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), err_msg=name)


@settings(deadline=None, max_examples=3, derandomize=True)
@given(factors=st.lists(st.floats(0.1, 8.0), min_size=9, max_size=9))
def test_other_rates_need_no_queue_model(
    fleet: FleetSpec, table: CandidateTable, factors: list[float]
) -> None:
    """Replicas, cards, costs and verdicts at any rates are those of a table built anew."""
    rates = [s.load.arrival_rate_rps * f for s, f in zip(fleet.services, factors, strict=True)]
    other = with_rates(fleet, rates)
    assert_same_sizes(resized(table, other), build_candidates(other, batches_by_rate=True))


def test_other_lengths_are_sized_anew_with_the_same_batches(
    fleet: FleetSpec, table: CandidateTable
) -> None:
    """Of a service with longer prompts a replica carries less; of the others as much."""
    first, *rest = fleet.services
    longer = first.model_copy(
        update={"load": first.load.model_copy(update={"input_tokens": 2500.0})}
    )
    other = resized(table, fleet.model_copy(update={"services": (longer, *rest)}))
    mine, sized = table.service == 0, table.rate_per_replica_rps > 0
    assert (other.rate_per_replica_rps < table.rate_per_replica_rps)[mine & sized].all()
    np.testing.assert_array_equal(
        other.rate_per_replica_rps[~mine], table.rate_per_replica_rps[~mine]
    )
    np.testing.assert_array_equal(other.max_batch, table.max_batch)


def test_a_slower_model_is_sized_anew(fleet: FleetSpec, table: CandidateTable) -> None:
    """Other times in a performance entry lower what its model's replicas carry."""
    entry = fleet.performance[0]
    assert entry.iteration is not None
    slow = entry.model_copy(
        update={"iteration": entry.iteration.model_copy(update={"base_ms": 80.0})}
    )
    other = resized(table, fleet.model_copy(update={"performance": (slow, *fleet.performance[1:])}))
    mine = (table.performance == 0) & (table.rate_per_replica_rps > 0)
    assert mine.any()
    assert (other.rate_per_replica_rps < table.rate_per_replica_rps)[mine].all()


def test_no_load_and_no_least_number_is_no_replica(fleet: FleetSpec, table: CandidateTable) -> None:
    """A service that may scale to zero does so at rate 0, and comes back."""
    index = next(i for i, s in enumerate(fleet.services) if s.replicas.min == 0)
    rates = [s.load.arrival_rate_rps for s in fleet.services]
    idle = resized(table, with_rates(fleet, [*rates[:index], 0.0, *rates[index + 1 :]]))
    rows = idle.rows_of(index)
    possible = rows[idle.verdict[rows] == 0]
    assert possible.size
    assert (idle.replicas[possible] == 0).all()
    assert_same_sizes(resized(idle, fleet), dataclasses.replace(table))


def test_pools_and_buckets_are_refused() -> None:
    """What is not counted replica by replica is built anew instead."""
    fleet = load(REPOSITORY / "examples" / "disaggregated.yaml")
    with pytest.raises(PlanError, match="build it anew"):
        resized(build_candidates(fleet), fleet)
