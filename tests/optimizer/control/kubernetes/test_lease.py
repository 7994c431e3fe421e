"""The Lease: one holder at a time, and who may have lost it does not write."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer.control.errors import JournalError
from optimizer.control.kubernetes.lease import LeaseLock
from optimizer.control.operator.config_map_journal import ConfigMapJournal
from tests.optimizer.control.kubernetes.clusters import Cluster
from tests.optimizer.control.kubernetes.fake_api_server import FakeApiServer


class Clocks:
    """Two clocks, moved by hand."""

    def __init__(self) -> None:
        self.monotonic = self.wall = 1000.0

    def lock(self, cluster: Cluster, name: str) -> LeaseLock:
        clocks = (lambda: self.monotonic, lambda: self.wall)
        return LeaseLock(cluster.admin, cluster.namespace, "l", name, 15.0, clocks)

    def advance(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


def lease(cluster: Cluster) -> dict[str, Any]:
    path = cluster.path("coordination.k8s.io/v1", "leases", "l")
    return dict(cluster.admin.get(path)["spec"])


def test_one_holds_and_another_waits(cluster: Cluster) -> None:
    """The second takes over once the first has not renewed for its whole duration."""
    clocks = Clocks()
    one, two = clocks.lock(cluster, "one"), clocks.lock(cluster, "two")
    assert one.hold()
    assert not two.hold()
    assert two.detail == "held by one"
    for _ in range(4):
        clocks.advance(6.0)
        assert one.hold()
        assert not two.hold()
    clocks.advance(14.0)
    assert not two.hold()
    assert not one.valid()
    clocks.advance(1.5)
    assert two.hold()
    assert (lease(cluster)["holderIdentity"], lease(cluster)["leaseTransitions"]) == ("two", 1)
    assert not one.hold()


def test_a_lease_that_is_given_back_is_free_at_once(cluster: Cluster) -> None:
    """And is not taken again by who gave it back."""
    clocks = Clocks()
    one, two = clocks.lock(cluster, "one"), clocks.lock(cluster, "two")
    assert one.hold()
    one.release()
    assert not one.valid()
    assert not one.hold()
    assert two.hold()


def test_both_clocks_must_agree(fake_cluster: Cluster) -> None:
    """A machine that was stopped, or a clock that was set back, is reason enough not to write."""
    for clock, change in (("wall", 11.0), ("monotonic", 11.0), ("wall", -1.0)):
        clocks = Clocks()
        one = clocks.lock(fake_cluster, "one")
        assert one.hold()
        assert one.valid()
        setattr(clocks, clock, getattr(clocks, clock) + change)
        assert not one.valid()


def test_a_server_that_fails_leaves_it_valid_for_its_time(
    fake_server: FakeApiServer, fake_cluster: Cluster
) -> None:
    """A renewal that fails is no loss yet; two thirds of the duration later it is."""
    clocks = Clocks()
    one = clocks.lock(fake_cluster, "one")
    assert one.hold()
    fake_server.failing["get", "leases"] = [10, 500]
    clocks.advance(5.0)
    assert one.hold()
    clocks.advance(5.5)
    assert not one.hold()
    fake_server.failing.clear()
    assert one.hold()


def test_two_that_race_do_not_both_win(fake_server: FakeApiServer, fake_cluster: Cluster) -> None:
    """A conflict at the write is a loss, not an error."""
    clocks = Clocks()
    one = clocks.lock(fake_cluster, "one")
    fake_server.failing["create", "leases"] = [1, 409]
    assert not one.hold()
    assert one.hold()
    fake_server.failing["update", "leases"] = [1, 409]
    assert not one.hold()
    assert not one.valid()


def journal(cluster: Cluster, fleet: str = "f", holds: bool = True) -> ConfigMapJournal:
    return ConfigMapJournal(cluster.admin, cluster.namespace, "s", fleet, lambda: holds)


def test_a_state_is_read_by_whoever_comes_next(cluster: Cluster) -> None:
    """Of the same fleet; that of another is none."""
    first = journal(cluster)
    assert first.read() is None
    for cycle in range(3):
        first.write({"fleet": "f", "cycle": cycle})
    found = journal(cluster).read()
    assert found is not None
    assert (found["fleet"], found["cycle"]) == ("f", 2)
    assert journal(cluster, "g").read() is None


def test_who_was_overtaken_cannot_write(cluster: Cluster) -> None:
    """Its version is old: a conflict, again and again while the Lease is not its own."""
    first = journal(cluster)
    first.write({"fleet": "f", "cycle": 1})
    second = journal(cluster)
    second.read()
    second.write({"fleet": "f", "cycle": 2})
    with pytest.raises(JournalError, match="was changed by somebody else"):
        first.write({"fleet": "f", "cycle": 9})
    first._confirm = lambda: False
    with pytest.raises(JournalError, match="the lease is not held"):
        first.write({"fleet": "f", "cycle": 9})
    first._confirm = lambda: True  # it was a person, and we still hold it
    first.write({"fleet": "f", "cycle": 10})
    found = journal(cluster).read()
    assert found is not None
    assert found["cycle"] == 10


def test_nonsense_and_too_much_are_told(fake_cluster: Cluster) -> None:
    """What is no state is not gone on with; what does not fit is not written in parts."""
    body = {"kind": "ConfigMap", "metadata": {"name": "s"}, "binaryData": {"state.json.gz": "eA=="}}
    fake_cluster.create("v1", "configmaps", body)
    with pytest.raises(JournalError, match="delete it to begin anew"):
        journal(fake_cluster).read()
    import random

    noise = random.Random(1).randbytes(900_000).hex()
    with pytest.raises(JournalError, match=r"the state takes .* MiB, and a ConfigMap holds 1"):
        journal(fake_cluster).write({"fleet": "f", "noise": noise})
    journal(fake_cluster).write({"fleet": "f", "cycle": 3, "forecaster": {"noise": noise}})
    found = journal(fake_cluster).read()
    assert found is not None
    assert (found["cycle"], found["forecaster"]) == (3, {})


def test_what_objects_said_goes_beside_the_state_where_it_fits(fake_cluster: Cluster) -> None:
    """Read by whoever comes next, of whichever fleet; the state itself goes first."""
    import random

    first = journal(fake_cluster)
    assert first.read_objects() == {}
    first.objects = {"good": [["Server", "chat", {"model": "m"}]]}
    first.write({"fleet": "f", "cycle": 1})
    assert journal(fake_cluster, "g").read_objects()["good"] == first.objects["good"]
    first.objects = {"noise": random.Random(1).randbytes(700_000).hex()}
    first.write({"fleet": "f", "cycle": 2, "forecaster": {"noise": "x"}})
    found = journal(fake_cluster).read()
    assert found is not None
    assert (found["cycle"], found["forecaster"]) == (2, {})
    assert journal(fake_cluster).read_objects() == {}
