"""Which storage a compute node reaches, and how fast: storage, network and GPUs as a graph."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from optimizer.errors import Fault, SpecError
from optimizer.kv.ranges import Range, refuse_outside

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["StoragePath", "StorageTopology"]

_BYTES_PER_GB_MS = 1e6  # 1 GB/s moves 1e6 bytes in a millisecond


@dataclass(frozen=True, slots=True)
class StoragePath:
    """A way from a device to a compute node.

    Parameters
    ----------
    nodes
        From the device to the compute node.
    bandwidth_gb_s
        Of its narrowest link [GB/s].
    latency_ms
        Sum over its links [ms].
    """

    nodes: tuple[str, ...]
    bandwidth_gb_s: float
    latency_ms: float


class StorageTopology:
    """A directed graph of links along which KV caches are read.

    Nodes are named freely: devices, switches, hosts, GPUs. A device's own bandwidth and latency are
    not part of it.
    """

    def __init__(self) -> None:
        import networkx as nx

        self._graph: nx.DiGraph[str] = nx.DiGraph()

    def connect(
        self,
        source: str,
        target: str,
        *,
        bandwidth_gb_s: float,
        latency_ms: float = 0.0,
        both_ways: bool = True,
    ) -> None:
        """Add a link; a second one between the same nodes replaces the first.

        Raises
        ------
        SpecError
            If a figure is outside its range.
        """
        figures: dict[str, Any] = {"bandwidth_gb_s": bandwidth_gb_s, "latency_ms": latency_ms}
        refuse_outside(
            figures,
            {
                "bandwidth_gb_s": Range("GB/s", above=True, high=1e6),
                "latency_ms": Range("ms", high=1e9),
            },
        )
        self._graph.add_edge(source, target, **figures)
        if both_ways:
            self._graph.add_edge(target, source, **figures)

    def __contains__(self, node: str) -> bool:
        return node in self._graph

    def path(self, device: str, compute: str, *, transfer_bytes: float = 0.0) -> StoragePath | None:
        """Return the quickest way for a transfer of a size, or None where there is none.

        Time is the sum of latencies plus size over the narrowest link. For every bandwidth that
        occurs, the path of least latency among links at least that wide is a candidate; the
        quickest of them is the quickest of all.

        Raises
        ------
        SpecError
            If the compute node is not in the topology.
        """
        if compute not in self._graph:
            raise SpecError([Fault("is not a node of the topology", "compute", repr(compute))])
        if device not in self._graph:
            return None
        widths = sorted({width for _, _, width in self._graph.edges(data="bandwidth_gb_s")})
        found = [self._least_latency(device, compute, width) for width in widths]
        candidates = [path for path in found if path is not None]
        return min(
            candidates,
            key=lambda p: (
                p.latency_ms + transfer_bytes / (p.bandwidth_gb_s * _BYTES_PER_GB_MS),
                len(p.nodes),
                p.nodes,
            ),
            default=None,
        )

    def _least_latency(self, device: str, compute: str, width: float) -> StoragePath | None:
        import networkx as nx

        def latency(_source: str, _target: str, link: dict[str, float]) -> float | None:
            return link["latency_ms"] if link["bandwidth_gb_s"] >= width else None

        try:
            nodes = nx.dijkstra_path(self._graph, device, compute, weight=latency)
        except nx.NetworkXNoPath:
            return None
        links = [self._graph.edges[a, b] for a, b in pairwise(nodes)]
        return StoragePath(
            nodes=tuple(nodes),
            bandwidth_gb_s=min((link["bandwidth_gb_s"] for link in links), default=float("inf")),
            latency_ms=sum(link["latency_ms"] for link in links),
        )
