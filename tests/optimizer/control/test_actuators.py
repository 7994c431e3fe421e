"""Actuators: what they count, what they change, and what they say when they cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.control.actuators import names
from optimizer.control.actuators.base import Actuator
from optimizer.control.actuators.deployment_scale import DeploymentScaleActuator
from optimizer.control.actuators.dry_run import DryRunActuator
from optimizer.control.actuators.shadow import ShadowActuator
from optimizer.control.errors import ActuationError, ControlError
from optimizer.control.kubernetes.api_server import ApiError
from optimizer.control.kubernetes.deployments import Deployment
from optimizer.control.spec import Order, OrderKind, OrderResult, ReplicaCount, ReplicaCounts
from optimizer.spec import FleetSpec
from optimizer.spec.service import CurrentAllocationSpec
from tests.optimizer.control.fleets import variant

V = variant("chat")


def order(before: int, after: int) -> Order:
    kind = OrderKind.GRANT if after > before else OrderKind.RELEASE
    return Order(variant=V, kind=kind, expected=before, replicas=after, cycle=1)


def test_ours_are_registered() -> None:
    """By the same door as anyone's."""
    assert {"dry-run", "emulator", "gauges", "kubernetes"} <= set(names())


def test_a_dry_run_writes_orders_down(fleet: FleetSpec, tmp_path: Path) -> None:
    """Each as a line; the counts go on as if they had been carried out."""
    here = CurrentAllocationSpec(accelerator="H100", replicas=2)
    chat = fleet.services[0].model_copy(update={"current": here})
    described = fleet.model_copy(update={"services": (chat, *fleet.services[1:])})
    actuator = DryRunActuator(described, tmp_path, {})
    actuator.begin((V, variant("chat", "A100")))
    assert actuator.counts(0.0).wanted() == {V: 2}
    assert actuator.apply(5.0, order(2, 3)).done
    assert actuator.counts(6.0).wanted() == {V: 3}
    (line,) = (tmp_path / "orders.jsonl").read_text(encoding="utf-8").splitlines()
    document = json.loads(line)
    assert document.pop("at_s") == 5.0
    assert Order.from_json(json.dumps(document)) == order(2, 3)


def test_a_dry_run_that_cannot_write_fails_in_words(fleet: FleetSpec, tmp_path: Path) -> None:
    """An outcome, not an exception."""
    actuator = DryRunActuator(fleet, tmp_path, {"file": "absent/orders.jsonl"})
    result = actuator.apply(0.0, order(0, 1))
    assert result.result is OrderResult.FAILED
    assert "No such file" in result.detail
    assert actuator.counts(0.0).counts == ()


@pytest.mark.parametrize("options", [{"fil": "x"}, {"file": 5}, {"file": ""}])
def test_wrong_options_are_told(
    fleet: FleetSpec, tmp_path: Path, options: dict[str, object]
) -> None:
    """By their name."""
    with pytest.raises(ControlError, match=r"actuator 'dry-run'.*fil"):
        DryRunActuator(fleet, tmp_path, options)


def test_a_shadow_changes_nothing(fleet: FleetSpec, tmp_path: Path) -> None:
    """It counts through another and keeps the orders to itself."""
    inner = DryRunActuator(fleet, tmp_path, {})
    shadow = ShadowActuator(inner)
    result = shadow.apply(0.0, order(0, 2))
    assert (result.result, result.done) == (OrderResult.SHADOWED, False)
    assert shadow.orders == [order(0, 2)]
    assert inner.counts(0.0).counts == ()


class Cluster(DeploymentScaleActuator):
    """Deployments in memory; the client of a test."""

    def __init__(self, fleet: FleetSpec, folder: Path) -> None:
        entry = {"service": "chat", "accelerator": "H100", "max_batch": 64, "deployment": "chat-h"}
        super().__init__(fleet, folder, {"namespace": "llm", "deployments": [entry]})
        self.deployment = Deployment(2, 2, 2, 1, "7")
        self.error: ApiError | None = None
        self.writes: list[tuple[str, int, str]] = []

    def look(self, now_s: float) -> dict[str, Deployment]:
        if self.error is not None:
            raise self.error
        return {"chat-h": self.deployment}

    def read(self, deployment: str) -> tuple[int, str]:
        return self.deployment.replicas, self.deployment.resource_version

    def write(self, deployment: str, replicas: int, resource_version: str) -> None:
        if self.error is not None:
            raise self.error
        self.writes.append((deployment, replicas, resource_version))


def test_a_deployment_is_scaled(fleet: FleetSpec, tmp_path: Path) -> None:
    """With its name, its number and the version that was looked at."""
    cluster = Cluster(fleet, tmp_path)
    (count,) = cluster.counts(0.0).counts
    assert (count.variant, count.wanted, count.ready, count.stopping) == (V, 2, 2, 1)
    assert cluster.apply(0.0, order(2, 3)).result is OrderResult.APPLIED
    assert cluster.writes == [("chat-h", 3, "7")]
    assert cluster.apply(0.0, order(3, 2)).result is OrderResult.UNCHANGED
    assert len(cluster.writes) == 1


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (403, OrderResult.REFUSED),
        (404, OrderResult.REFUSED),
        (409, OrderResult.CONFLICT),
        (429, OrderResult.FAILED),
        (500, OrderResult.FAILED),
        (None, OrderResult.FAILED),
    ],
)
def test_an_api_servers_no_is_an_outcome(
    fleet: FleetSpec, tmp_path: Path, status: int | None, result: OrderResult
) -> None:
    """Orders do not raise; counts do, for without them nothing may be changed."""
    cluster = Cluster(fleet, tmp_path)
    cluster.counts(0.0)
    cluster.error = ApiError("no", status)
    assert cluster.apply(0.0, order(2, 3)).result is result
    with pytest.raises(ActuationError):
        cluster.counts(1.0)


def test_a_deployment_of_nothing_is_refused(fleet: FleetSpec, tmp_path: Path) -> None:
    """What stands for a variant that the fleet does not have is named, with those it has."""
    cluster = Cluster(fleet, tmp_path)
    cluster.begin((V,))
    with pytest.raises(ControlError, match="chat-h stands for chat on H100, batch 64, which"):
        cluster.begin((variant("chat", "A100"),))


def test_an_abstract_actuator_cannot_be_used(fleet: FleetSpec, tmp_path: Path) -> None:
    """Counting and applying are what every actuator brings."""
    with pytest.raises(TypeError, match="abstract"):
        Actuator(fleet, tmp_path, {})  # type: ignore[abstract]


def test_gauges_show_what_is_wanted(fleet: FleetSpec, tmp_path: Path) -> None:
    """Under our name and, asked for, under those of others."""
    client = pytest.importorskip("prometheus_client", reason="needs the extra 'control'")
    from optimizer.control.actuators.gauges import GaugesActuator

    gauges = GaugesActuator(fleet, tmp_path, {"inferno_names": True, "wva_names": True})
    assert gauges.counts(0.0).counts == ()
    assert gauges.apply(9.0, order(0, 4)).result is OrderResult.APPLIED
    assert gauges.apply(9.0, order(0, 4)).result is OrderResult.UNCHANGED
    assert gauges.counts(0.0).wanted() == {V: 4}
    text = client.generate_latest(gauges.registry).decode()
    labels = 'accelerator="H100",configuration="",max_batch="64",service="chat"'
    for name in ("fleetopt", "inferno", "wva"):
        assert f"{name}_desired_replicas{{{labels}}} 4.0" in text
    assert "fleetopt_last_success_timestamp_seconds 9.0" in text


def test_gauges_count_what_is_told(fleet: FleetSpec, tmp_path: Path) -> None:
    """With a file of counts the autoscaler's doing is seen, and its absence stops changes."""
    pytest.importorskip("prometheus_client", reason="needs the extra 'control'")
    from optimizer.control.actuators.gauges import GaugesActuator

    path = tmp_path / "counts.json"
    count = ReplicaCount(variant=V, wanted=1, ready=1)
    path.write_text(ReplicaCounts(at_s=0.0, counts=(count,)).to_json(), encoding="utf-8")
    gauges = GaugesActuator(fleet, tmp_path, {"counts_file": "counts.json"})
    gauges.apply(0.0, order(1, 3))
    (seen,) = gauges.counts(1.0).counts
    assert (seen.wanted, seen.ready) == (3, 1)
    path.unlink()
    with pytest.raises(ActuationError, match="cannot be read"):
        gauges.counts(2.0)
