"""What services that split demand, and the rate at which one replica serves each part alone."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.sizing import build_candidates
from optimizer.fleet.split_services import splits
from optimizer.spec.length_buckets import LengthBucketsSpec
from optimizer.spec.service import ReplicaRangeSpec, ServiceSpec

__all__ = ["SplitDemand", "with_split_demand"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Divisions such as 6.0 / 2.0000000001 must not cost a replica.
_ROUNDING = 1e-9
# What a queue model was asked about and could not be served alone may still serve a part.
_ASKED = (Verdict.POSSIBLE, Verdict.SLO, Verdict.REPLICAS)


@dataclass(frozen=True, eq=False)
class SplitDemand:
    """Items (a service's load, or one length bucket of it) and the rows that can serve them.

    Parameters
    ----------
    services
        Services that are served by counts and shares, by index: those that split, and those in
        length buckets, of which one that chooses uses a single candidate.
    owner, bucket
        (items,), service of each item, and its bucket (row by row of the histogram); -1: all of it.
    demand
        (items,), requests/s.
    edge_item, edge_row, edge_rate
        (edges,), item, row of the candidate table, and the rate at which one replica that serves
        nothing else keeps every objective [requests/s].
    rows
        Rows of the table that may be used, dominated ones left out.
    """

    services: IntArray
    owner: IntArray
    bucket: IntArray
    demand: FloatArray
    edge_item: IntArray
    edge_row: IntArray
    edge_rate: FloatArray
    rows: IntArray


def with_split_demand(table: CandidateTable) -> tuple[CandidateTable, SplitDemand | None]:
    """Find what the services that split demand, and say in the table what can serve them.

    Returns
    -------
    tuple[CandidateTable, SplitDemand | None]
        The table with verdicts, replicas and costs of those services as if one candidate served
        them alone, at least one replica; None where no service splits.
    """
    spec = table.spec
    idle = np.unique(table.service[table.accelerator < 0])
    served = [
        index
        for index, service in enumerate(spec.services)
        if (splits(spec, service) or service.length_buckets is not None) and index not in idle
    ]
    if not served:
        return table, None
    collector = _Collector(table)
    bucketed = [i for i in served if spec.services[i].length_buckets is not None]
    rates = _bucket_rates(table, bucketed)
    for service in served:
        buckets = spec.services[service].length_buckets
        if buckets is None:
            collector.add_whole(service)
        else:
            collector.add_buckets(service, buckets, rates)
    return collector.finish(np.array(served, dtype=np.int64))


class _Collector:
    """Items and edges as they are found, and the table's columns as they change."""

    def __init__(self, table: CandidateTable) -> None:
        self.table = table
        self.owner: list[int] = []
        self.bucket: list[int] = []
        self.demand: list[float] = []
        self.edges: list[tuple[int, int, float]] = []
        self.rows: list[int] = []
        self.verdict = table.verdict.copy()
        self.replicas = table.replicas.copy()
        self.rate = table.rate_per_replica_rps.copy()
        per_replica = np.array([p.instances for p in table.spec.performance] or [0])
        self.instances = per_replica[table.performance]

    def add_whole(self, service: int) -> None:
        """Add a service as one item, which every configuration that can be sized may serve."""
        table = self.table
        rows = table.rows_of(service)
        possible = np.isin(table.verdict[rows], (Verdict.POSSIBLE, Verdict.REPLICAS))
        demand = float(table.targets.rate_rps[service])
        item = self._item(service, -1, demand)
        for row in rows[possible].tolist():
            if demand > 0 and self.rate[row] <= 0:
                continue
            self._use(row, service, demand / self.rate[row] if demand > 0 else 0.0)
            if self.rate[row] > 0:
                self.edges.append((item, row, float(self.rate[row])))

    def add_buckets(
        self, service: int, buckets: LengthBucketsSpec, found: dict[int, FloatArray]
    ) -> None:
        """Add a service bucket by bucket, with measured rates where there are any."""
        table = self.table
        shares = np.array(buckets.shares, dtype=np.float64).ravel()
        total = float(table.targets.rate_rps[service])
        items = {
            b: self._item(service, b, share * total)
            for b, share in enumerate(shares.tolist())
            if share > 0
        }
        measured = {entry.accelerator: entry for entry in buckets.measured}
        for row in table.rows_of(service).tolist():
            entry = measured.get(table.inventory.names[int(table.accelerator[row])])
            if self.verdict[row] == Verdict.PINNED:
                continue
            rates = found.get(row)
            if entry is not None:
                rates = np.array(entry.rates_rps, dtype=np.float64).ravel()
                self.instances[row] = entry.instances
            if rates is None:
                continue
            self._add_row(service, row, np.nan_to_num(rates), items)

    def _add_row(self, service: int, row: int, rates: FloatArray, items: dict[int, int]) -> None:
        served = {b: item for b, item in items.items() if rates[b] > 0}
        self.verdict[row] = Verdict.POSSIBLE if served else Verdict.SLO
        if not served:
            return
        load = math.fsum(self.demand[item] / rates[b] for b, item in served.items())
        carried = math.fsum(self.demand[item] for item in served.values())
        self.rate[row] = carried / load if load > 0 else 0.0
        self._use(row, service, load)
        self.edges += [(item, row, float(rates[b])) for b, item in served.items()]

    def _item(self, service: int, bucket: int, demand: float) -> int:
        self.owner.append(service)
        self.bucket.append(bucket)
        self.demand.append(demand)
        return len(self.owner) - 1

    def _use(self, row: int, service: int, load: float) -> None:
        entry = self.table.spec.services[service]
        needed = math.ceil(load * (1 - _ROUNDING)) + entry.spares
        self.verdict[row] = Verdict.POSSIBLE
        self.replicas[row] = max(needed, entry.replicas.min, 1)
        self.rows.append(row)

    def finish(self, services: IntArray) -> tuple[CandidateTable, SplitDemand]:
        """Return the table with what has changed, and the items."""
        table, inventory = self.table, self.table.inventory
        rows = np.array(sorted(self.rows), dtype=np.int64)
        instances, cards, cost = (
            table.instances.copy(), table.cards.copy(), table.cost_per_hour.copy()
        )  # fmt: skip
        instances[rows] = self.instances[rows] * self.replicas[rows]
        cards[rows] = inventory.cards[table.accelerator[rows]] * instances[rows]
        cost[rows] = inventory.cost_per_hour[table.accelerator[rows]] * instances[rows]
        changed = dataclasses.replace(
            table,
            verdict=self.verdict,
            replicas=self.replicas,
            rate_per_replica_rps=self.rate,
            instances=instances,
            cards=cards,
            cost_per_hour=cost,
        )
        edges = np.array(self.edges, dtype=np.float64).reshape(-1, 3)
        return changed, SplitDemand(
            services=services,
            owner=np.array(self.owner, dtype=np.int64),
            bucket=np.array(self.bucket, dtype=np.int64),
            demand=np.array(self.demand, dtype=np.float64),
            edge_item=edges[:, 0].astype(np.int64),
            edge_row=edges[:, 1].astype(np.int64),
            edge_rate=edges[:, 2],
            rows=rows,
        )


def _bucket_rates(table: CandidateTable, bucketed: list[int]) -> dict[int, FloatArray]:
    """Return, by row, what the queue model says one replica serves of each bucket alone.

    Each bucket is sized as a service of its own: with its lengths, at each maximum batch that the
    table has for the whole.
    """
    asked = np.isin(table.verdict, _ASKED) & (table.performance >= 0)
    parts: list[ServiceSpec] = []
    place: dict[tuple[int, int, int], int] = {}
    for index in bucketed:
        service = table.spec.services[index]
        buckets = service.length_buckets
        if buckets is None or buckets.input_tokens is None or buckets.output_tokens is None:
            continue
        rows = table.rows_of(index)
        for batch in np.unique(table.max_batch[rows[asked[rows]]]).tolist():
            for bucket, part in enumerate(_parts(service, buckets, batch)):
                place[len(parts), batch, bucket] = index
                parts.append(part)
    if not parts:
        return {}
    pieces = build_candidates(
        table.spec.model_copy(update={"services": tuple(parts)}), table.queue_model
    )
    rates: dict[int, FloatArray] = {}
    for (number, batch, bucket), index in place.items():
        rows = table.rows_of(index)
        mine = rows[asked[rows] & (table.max_batch[rows] == batch)]
        by_entry = {int(table.performance[row]): row for row in mine.tolist()}
        shares = table.spec.services[index].length_buckets
        assert shares is not None
        size = len(shares.shares) * len(shares.shares[0])
        for piece in pieces.rows_of(number).tolist():
            row = by_entry.get(int(pieces.performance[piece]))
            if row is not None and pieces.verdict[piece] == Verdict.POSSIBLE:
                known = rates.setdefault(row, np.zeros(size))
                known[bucket] = pieces.rate_per_replica_rps[piece]
    return rates


def _parts(service: ServiceSpec, buckets: LengthBucketsSpec, batch: int) -> list[ServiceSpec]:
    """Return a service for each bucket, row by row."""
    assert buckets.input_tokens is not None
    assert buckets.output_tokens is not None
    return [
        service.model_copy(
            update={
                "load": service.load.model_copy(
                    update={
                        "arrival_rate_rps": max(share, 1e-9) * service.load.arrival_rate_rps,
                        "input_tokens": tokens_in,
                        "output_tokens": tokens_out,
                        "input_tokens_scv": 0.0,
                        "output_tokens_scv": 0.0,
                    }
                ),
                "replicas": ReplicaRangeSpec(min=0),
                "max_batch": batch,
                "length_buckets": None,
            }
        )
        for row, tokens_in in zip(buckets.shares, buckets.input_tokens, strict=True)
        for share, tokens_out in zip(row, buckets.output_tokens, strict=True)
    ]
