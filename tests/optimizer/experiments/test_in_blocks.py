"""Fleets whose candidates are sized block by block: the same table, the same plan."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.errors import PlanError
from optimizer.experiments import ExperimentError, in_blocks
from optimizer.experiments.in_blocks import candidates_in_blocks, optimize_in_blocks
from optimizer.fleet import CandidateTable, build_candidates, optimize, service_blocks
from optimizer.fleet.service_blocks import ServiceBlock
from optimizer.spec import FleetSpec, from_data
from queue_models import UnknownQueueModelError
from solvers import CancelFlag
from tests.optimizer.fleet import fleets, test_estimates, test_shared_replicas

_RATES = (3.0, 40.0, 0.0, 12.5, 7.0, 90.0, 21.0)


def loaded(**changes: Any) -> FleetSpec:
    """Seven services of two classes, one of them with an objective, on two accelerators."""
    services = [
        fleets.service(
            f"s{place}",
            load={"arrival_rate_rps": rate, "input_tokens": 100, "output_tokens": 11},
            **({"class": "silver"} if place % 2 else {}),
        )
        for place, rate in enumerate(_RATES)
    ]
    targets = [{"metric": "ttft_ms", "bound": 25.0}]
    classes = [
        {"name": "gold", "priority": 1, "slos": [{"targets": targets}]},
        {"name": "silver", "priority": 2},
    ]
    options = {"queue_model": "mm1k-state-dependent"}
    return fleets.fleet(services=services, classes=classes, optimizer=options, **changes)


def assert_same(one: CandidateTable, other: CandidateTable) -> None:
    """Assert that two tables say the same, up to rounding."""
    assert one.refusals == other.refusals
    assert one.queue_model_reason == other.queue_model_reason
    assert one.spec == other.spec
    for part in (lambda t: t, lambda t: t.reuse, lambda t: t.decode, lambda t: t.metrics):
        for field in dataclasses.fields(part(one)):
            values = getattr(part(one), field.name)
            if isinstance(values, np.ndarray) and field.name != "shared":
                np.testing.assert_allclose(getattr(part(other), field.name), values, rtol=1e-12)


@pytest.mark.parametrize("blocks", [1, 3, 7, 50, None])
def test_blocks_give_the_table_of_the_whole(blocks: int | None) -> None:
    """However many there are: every service's rows, in the order of the fleet."""
    spec = loaded()
    assert_same(build_candidates(spec), candidates_in_blocks(spec, blocks=blocks))


def test_every_service_is_in_one_block_and_blocks_are_even() -> None:
    """Seven in three: two or three each, in order; no more blocks than services."""
    _, blocks = service_blocks(loaded(), 3)
    assert [block.services for block in blocks] == [(0, 1, 2), (3, 4), (5, 6)]
    assert blocks[1].name == "block 2 of 3 (services 's3' to 's4')"
    assert len(service_blocks(loaded(), 50)[1]) == len(_RATES)


def test_services_that_may_share_stay_together() -> None:
    """Of four, those of one pool: the plan is that of the whole."""
    services = [
        test_shared_replicas.service("a", 3.0),
        test_shared_replicas.service("b", 2.0, replica_pool=None),
        test_shared_replicas.service("c", 3.0),
        test_shared_replicas.service("d", 1.0, replica_pool=None),
    ]
    spec = from_data(test_shared_replicas.data(*services))
    _, blocks = service_blocks(spec, 4)
    assert [block.services for block in blocks] == [(0, 2), (1,), (3,)]
    whole, parts = optimize(spec), optimize_in_blocks(spec, blocks=4)
    assert parts.total_cost_per_hour == whole.total_cost_per_hour
    assert [a.shared_with for a in parts.allocations] == [a.shared_with for a in whole.allocations]
    assert any(a.shared_with for a in parts.allocations)


def test_estimates_are_those_of_the_whole_fleet() -> None:
    """A service's own block would estimate by its own requests alone, which are shorter."""
    data = test_estimates.document(queue_model="mm1k-state-dependent")
    long = {**data["services"][0], "name": "long"}
    long["load"] = {"arrival_rate_rps": 1, "input_tokens": 60000, "output_tokens": 2000}
    data["services"].append(long)
    spec = from_data(data)
    assert_same(build_candidates(spec), candidates_in_blocks(spec, blocks=3))


def test_processes_give_the_bytes_of_serial() -> None:
    """The plan, its proof and its provenance."""
    serial = optimize_in_blocks(loaded(), engine="serial", blocks=3)
    assert optimize_in_blocks(loaded(), engine="local:2", blocks=3).to_json() == serial.to_json()
    whole = optimize(loaded())
    assert serial.total_cost_per_hour == pytest.approx(whole.total_cost_per_hour, rel=1e-12)
    assert serial.relative_gap == 0


def test_blocks_are_counted_as_they_end() -> None:
    """For a line of progress."""
    told: list[tuple[int, int]] = []
    candidates_in_blocks(loaded(), blocks=2, told=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Deadly:
    """A block, of which the second kills its worker: once where a file can be made, else always."""

    block: ServiceBlock
    mark: Path

    @property
    def name(self) -> str:
        """The block's."""
        return self.block.name

    @property
    def services(self) -> tuple[int, ...]:
        """The block's."""
        return self.block.services

    def sized(self) -> CandidateTable:
        """Die, or do the work."""
        if self.block.number == 2 and not self.mark.exists():
            if self.mark.parent.exists():
                self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.block.sized()


@pytest.mark.skipif(os.name != "posix", reason="no process can be killed on Windows")
@pytest.mark.parametrize("always", [False, True])
def test_a_killed_worker_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: bool
) -> None:
    """Once is forgiven; a block that kills its worker twice is named."""
    mark = tmp_path / ("no" if always else "") / "mark"

    def deadly(spec: FleetSpec, count: int | None) -> tuple[FleetSpec, tuple[_Deadly, ...]]:
        whole, blocks = service_blocks(spec, count)
        return whole, tuple(_Deadly(block=block, mark=mark) for block in blocks)

    monkeypatch.setattr(in_blocks, "service_blocks", deadly)
    if always:
        with pytest.raises(ExperimentError, match=r"block 2 of 3 .* its worker died twice"):
            candidates_in_blocks(loaded(), engine="local:2", blocks=3)
        return
    assert_same(
        build_candidates(loaded()), candidates_in_blocks(loaded(), engine="local:2", blocks=3)
    )


class _Wrong(ServiceBlock):
    """A block whose work raises."""

    def sized(self) -> CandidateTable:
        """Raise."""
        raise ArithmeticError("no such number")


def test_a_block_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its services and its fault."""
    whole, blocks = service_blocks(loaded(), 2)
    wrong = tuple(_Wrong(b.number, b.of, b.services, b.spec) for b in blocks)
    monkeypatch.setattr(in_blocks, "service_blocks", lambda spec, count: (whole, wrong))
    words = r"block 1 of 2 \(services 's0' to 's3'\) cannot be sized: ArithmeticError: no such"
    with pytest.raises(ExperimentError, match=words):
        candidates_in_blocks(loaded(), blocks=2)


def test_a_cancelled_sizing_has_no_plan() -> None:
    """The flag is looked at between blocks; after the last there is something to solve."""
    cancel = CancelFlag()
    cancel.set()
    with pytest.raises(KeyboardInterrupt):
        optimize_in_blocks(loaded(), blocks=2, cancel=cancel)
    assert len(candidates_in_blocks(loaded(), blocks=1, cancel=cancel)) == 2 * len(_RATES)


def test_what_cannot_be_is_refused_before_any_block() -> None:
    """Uncertain loads, no blocks, a queue model that nobody knows."""
    with pytest.raises(PlanError, match="uncertain"):
        optimize_in_blocks(loaded(uncertainty={"scenarios": [{"name": "busy", "factor": 2}]}))
    with pytest.raises(PlanError, match=r"blocks = 0: must be at least 1"):
        optimize_in_blocks(loaded(), blocks=0)
    with pytest.raises(UnknownQueueModelError, match="nope"):
        optimize_in_blocks(loaded(), queue_model="nope")
