"""Paths to storage."""

from __future__ import annotations

import pytest

from optimizer.errors import SpecError
from optimizer.kv import StorageTopology


def cluster() -> StorageTopology:
    """Two ways from `store` to `gpu0`: wide and slow to start, narrow and quick; an island."""
    topology = StorageTopology()
    topology.connect("store", "spine", bandwidth_gb_s=50, latency_ms=2)
    topology.connect("spine", "node", bandwidth_gb_s=25, latency_ms=1)
    topology.connect("store", "node", bandwidth_gb_s=1, latency_ms=0.1)
    topology.connect("node", "gpu0", bandwidth_gb_s=32, latency_ms=0.01)
    topology.connect("island", "shore", bandwidth_gb_s=10)
    return topology


def test_bandwidth_is_the_bottleneck_and_latency_the_sum():
    """50, 25, 32 GB/s and 2 + 1 + 0.01 ms: 25 GB/s after 3.01 ms."""
    path = cluster().path("store", "gpu0", transfer_bytes=1e9)
    assert path is not None
    assert path.nodes == ("store", "spine", "node", "gpu0")
    assert path.bandwidth_gb_s == 25
    assert path.latency_ms == pytest.approx(3.01)


def test_the_quickest_way_depends_on_the_size():
    """100 kB go the narrow way, 1 GB the wide one."""
    small = cluster().path("store", "gpu0", transfer_bytes=1e5)
    assert small is not None
    assert small.bandwidth_gb_s == 1
    assert small.latency_ms == pytest.approx(0.11)


def test_what_cannot_be_reached_has_no_path():
    """An island and an unknown device: None; links of one direction only lead that way."""
    topology = cluster()
    assert topology.path("island", "gpu0") is None
    assert topology.path("nowhere", "gpu0") is None
    topology.connect("gpu0", "tape", bandwidth_gb_s=1, both_ways=False)
    assert topology.path("tape", "gpu0") is None
    assert topology.path("gpu0", "tape") is not None


def test_wrong_links_and_nodes_are_refused_by_name():
    """A negative bandwidth, and a compute node that is on no link."""
    topology = cluster()
    with pytest.raises(SpecError, match="bandwidth_gb_s"):
        topology.connect("a", "b", bandwidth_gb_s=-1)
    with pytest.raises(SpecError, match="gpu9"):
        topology.path("store", "gpu9")
