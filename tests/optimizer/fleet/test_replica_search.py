"""Replicas of services whose requests are not spread at random: the fewest that hold the SLOs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from optimizer import build_candidates, optimize
from optimizer.fleet import CandidateTable, Verdict
from optimizer.fleet.impossible import why_not
from queue_models import QueueMetrics, QueueModel, ServiceProcess, Statistic, Targets, mmc_queue
from queue_models.arrays import BoolArray, FloatArray
from queue_models.mmc import MMcModel
from queue_models.process import Routing
from tests.optimizer.fleet.fleets import CONSTANT, fleet, service, two_types

MS = 110.0  # of a request in service, see CONSTANT
PREFILL_MS = 10.0


class SharedQueue(QueueModel):
    """Replicas that draw from one queue where routing is least-outstanding; else M/M/c each.

    With times that do not depend on the batch, R replicas of B slots are M/M/c with c = R B.
    """

    name = "shared-queue"
    summary = "for these tests"
    timings = MMcModel.timings
    honours = MMcModel.honours | {"routing"}
    ignores = MMcModel.ignores

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        return self.unsupported(service)

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        shared, by = self._shared(service)
        metrics = MMcModel().evaluate(shared, np.asarray(arrival_rate_rps) * by, statistics)
        return replace(metrics, throughput_rps=metrics.throughput_rps / by)

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        shared, by = self._shared(service)
        return np.asarray(MMcModel().max_rate(shared, targets) / by)

    def _shared(self, service: ServiceProcess) -> tuple[ServiceProcess, FloatArray]:
        by = np.where(service.routing == Routing.LEAST_OUTSTANDING, service.replicas, 1.0)
        one = ServiceProcess(
            service.timing, service.input_lengths, service.output_lengths, service.max_batch * by
        )
        return one, by


@pytest.fixture
def shared_queue(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of the guest, as if it were registered."""
    import queue_models

    def get(name: str) -> QueueModel:
        return SharedQueue() if name == SharedQueue.name else queue_models.get(name)

    for module in ("sizing", "prediction", "reachable", "check_objectives"):
        monkeypatch.setattr(f"optimizer.fleet.{module}.get_queue_model", get)
    return SharedQueue.name


def routed(rate: float, routing: str, bound: float, **changes: Any) -> dict[str, Any]:
    """One service of a rate on accelerator A, one request at a time, with a bound on TTFT."""
    data = two_types()
    data["accelerators"] = data["accelerators"][:1]
    data["capacities"] = []
    data["performance"] = [
        {"model": "m", "accelerator": "A", "max_batch": 1, "prefill_decode": CONSTANT}
    ]
    data["classes"][0]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": bound}]}]
    load = {"arrival_rate_rps": rate, "input_tokens": 100, "output_tokens": 11}
    data["services"] = [service("x", load=load, routing=routing, **changes)]
    return data


def only(table: CandidateTable) -> int:
    """Replicas of the only candidate, which is possible."""
    assert table.verdict.tolist() == [Verdict.POSSIBLE]
    return int(table.replicas[0])


@pytest.mark.parametrize("rate", [3.0, 8.9, 9.5, 30.0, 200.0])
@pytest.mark.parametrize("bound", [12.0, 30.0, 150.0, 2000.0])
def test_replicas_are_the_fewest_that_hold(rate: float, bound: float, shared_queue: str) -> None:
    """Every smaller number breaks the bound or capacity, by the textbook's M/M/c."""
    table = build_candidates(fleet(routed(rate, "least_outstanding", bound)), shared_queue)
    found = only(table)

    def holds(n: int) -> bool:
        if rate / n >= 1000.0 / MS:
            return False
        wait_s = float(mmc_queue(rate, 1000.0 / MS, n).wait)
        return bool(1000.0 * wait_s + PREFILL_MS <= bound * (1 + 1e-6))

    assert holds(found)
    assert not any(holds(n) for n in range(1, found))


def test_random_spreading_is_sized_as_ever(shared_queue: str) -> None:
    """λ over the rate of one replica, rounded up, and more than a shared queue takes."""
    random = build_candidates(fleet(routed(30.0, "random", 30.0)), shared_queue)
    shared = build_candidates(fleet(routed(30.0, "least_outstanding", 30.0)), shared_queue)
    assert only(random) == np.ceil(30.0 / random.rate_per_replica_rps[0])
    assert only(shared) < only(random)


def test_the_rate_of_a_replica_is_that_among_its_fellows(shared_queue: str) -> None:
    """The table's rate is what one of the n carries, and the load fits in n of it."""
    table = build_candidates(fleet(routed(30.0, "least_outstanding", 30.0)), shared_queue)
    alone = build_candidates(fleet(routed(1.0, "least_outstanding", 30.0)), shared_queue)
    assert only(alone) == 1
    assert table.rate_per_replica_rps[0] > alone.rate_per_replica_rps[0]
    assert table.rate_per_replica_rps[0] * table.replicas[0] >= 30.0 * (1 - 1e-6)


def test_the_least_and_the_most_replicas_bind(shared_queue: str) -> None:
    """`replicas.min` raises the count; a count above `replicas.max` rules the candidate out."""
    needed = only(build_candidates(fleet(routed(30.0, "least_outstanding", 30.0)), shared_queue))
    more = routed(30.0, "least_outstanding", 30.0, replicas={"min": needed + 3})
    assert only(build_candidates(fleet(more), shared_queue)) == needed + 3
    enough = routed(30.0, "least_outstanding", 30.0, replicas={"min": 1, "max": needed})
    assert only(build_candidates(fleet(enough), shared_queue)) == needed
    fewer = routed(30.0, "least_outstanding", 30.0, replicas={"min": 1, "max": needed - 1})
    assert build_candidates(fleet(fewer), shared_queue).verdict.tolist() == [Verdict.REPLICAS]


def test_a_model_that_does_not_know_routing_refuses_several_replicas_only() -> None:
    """One replica gets every request however they are spread; of several the model says no."""
    one = build_candidates(fleet(routed(1.0, "round_robin", 200.0)), "mmc")
    assert only(one) == 1
    several = build_candidates(fleet(routed(30.0, "round_robin", 200.0)), "mmc")
    assert several.verdict.tolist() == [Verdict.OUTSIDE_VALIDITY]
    assert "routing must be RANDOM" in why_not(several, 0)


def test_leftovers_are_predicted_with_the_replicas_there_are(shared_queue: str) -> None:
    """Two of the replicas that a shared queue needs are evaluated as M/M/2."""
    data = routed(15.0, "least_outstanding", 15.0)
    data["capacities"] = [{"type": "A", "cards": 2}]
    plan = optimize(
        fleet(data), solver="greedy", queue_model=shared_queue,
        saturation_policy="priority-exhaustive",
    )  # fmt: skip
    allocation = plan.allocation("x")
    assert allocation.partial
    assert allocation.replicas == 2
    wait_s = float(mmc_queue(15.0, 1000.0 / MS, 2).wait)
    assert allocation.queueing_ms == pytest.approx(1000.0 * wait_s)
