"""The candidate table: every way to serve every service, or the reason why not."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.decode_pool import DecodePool
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.reuse import Reuse
from optimizer.fleet.targets import ServiceTargets
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import QueueMetrics

__all__ = ["CONSERVATIVE", "CandidateTable", "Verdict"]

CONSERVATIVE = "conservative bound: latencies are upper bounds, rates lower ones"
"""Reason shown with a queue model that answers on the safe side."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Verdict(IntEnum):
    """Whether a candidate can serve its service, or the first reason why it cannot."""

    POSSIBLE = 0
    NO_PERFORMANCE = 1  # nobody measured the model on the accelerator
    PINNED = 2  # the service is pinned to another accelerator
    PRECISION = 3  # the service's quality does not allow the configuration's precision
    NO_TIMING = 4  # the entry lacks the kind of timing that the queue model needs
    WEIGHTS = 5  # the weights are larger than the replica's memory
    BATCH = 6  # the accelerator's maximum batch is below the service's range
    STORE = 7  # what is kept for the service is more than the store holds
    OUTSIDE_VALIDITY = 8  # the queue model does not hold for the pair
    SLO = 9  # no positive rate keeps every objective
    AGGREGATED = 10  # the service is to prefill and decode in different pools
    REPLICAS = 11  # more replicas needed than the service may have


@dataclass(frozen=True, eq=False)
class CandidateTable:
    """Every (service, configuration) with its best batch, by service in the order of the spec.

    Every array has one entry per candidate. Figures of impossible candidates are 0 or NaN from
    the step on that ruled them out.

    Parameters
    ----------
    spec, inventory, targets
        What the table was made from.
    queue_model, queue_model_reason
        Name of the queue model that answered, and why it was chosen.
    service, accelerator, performance
        Indices into `spec.services`, `spec.accelerators` and `spec.performance`; accelerator and
        performance are -1 for "scaled to zero", performance also where there is no entry.
    max_batch
        Maximum batch of a replica: of those that the service may have, the one that needs fewest
        replicas, the largest of these (see `batch_search`); services in length buckets have a row
        for each.
    verdict
        `Verdict` as a number.
    rate_per_replica_rps
        Largest rate at which one replica keeps every objective; 0 where none does.
    replicas, instances, cards
        Replicas needed for the service's whole load; accelerator instances and cards they take.
    cost_per_hour
        Cost of those replicas, and of what they keep in and read from a store.
    reuse
        What is loaded from a store.
    decode
        The pool that decodes, where accelerator, batch, replicas, instances and cards are those of
        one that only prefills; the cost is that of both, and the metrics what requests see.
    metrics
        Predicted steady state of one replica at its share of the load.
    refusals
        Words for the candidates with `Verdict.OUTSIDE_VALIDITY`, by row.
    shared
        -1, or a number that the rows of one candidate have in common which several services share:
        a row for each of them. Replicas, instances, cards and cost stand in the row of the first,
        and are 0 in those of the others; the rates are each service's own part of what they are
        sized for.
    """

    spec: FleetSpec
    inventory: Inventory
    targets: ServiceTargets
    queue_model: str
    queue_model_reason: str
    service: IntArray
    accelerator: IntArray
    performance: IntArray
    max_batch: IntArray
    verdict: IntArray
    rate_per_replica_rps: FloatArray
    replicas: IntArray
    instances: IntArray
    cards: IntArray
    cost_per_hour: FloatArray
    reuse: Reuse
    decode: DecodePool
    metrics: QueueMetrics
    refusals: dict[int, str]
    shared: IntArray

    def __len__(self) -> int:
        """Return the number of candidates, possible or not."""
        return len(self.service)

    def __repr__(self) -> str:
        """One line."""
        possible = int((self.verdict == Verdict.POSSIBLE).sum())
        return (
            f"CandidateTable({len(self)} candidates, {possible} possible, "
            f"{len(self.spec.services)} services, queue_model={self.queue_model!r})"
        )

    @property
    def possible(self) -> IntArray:
        """Rows that can serve their service."""
        return np.flatnonzero(self.verdict == Verdict.POSSIBLE)

    @property
    def admitted_rps(self) -> FloatArray:
        """Requests of each candidate's service that come and are sized for [requests/s]."""
        arriving = np.array([service.load.arrival_rate_rps for service in self.spec.services])
        admitted: FloatArray = np.minimum(arriving, self.targets.rate_rps)[self.service]
        return admitted

    @property
    def parts(self) -> IntArray:
        """Equal parts that each candidate can be taken in: its replicas.

        One where a store is kept for all of them, or two pools work together.
        """
        whole = (self.reuse.store >= 0) | (self.decode.accelerator >= 0)
        return np.where(whole, 1, self.replicas)

    @cached_property
    def sharers(self) -> dict[int, tuple[int, ...]]:
        """Rows of every shared candidate by its number, the one with the replicas first."""
        rows = np.flatnonzero(self.shared >= 0)
        found: dict[int, list[int]] = {}
        for row in rows[np.argsort(-self.replicas[rows], kind="stable")].tolist():
            found.setdefault(int(self.shared[row]), []).append(row)
        return {number: tuple(mine) for number, mine in found.items()}

    @cached_property
    def not_estimated(self) -> dict[tuple[str, str], str]:
        """Why models have no estimate on accelerators, by pair, as far as that was worked out."""
        return {}

    @cached_property
    def halves(self) -> tuple[CandidateTable, ...]:
        """The table itself; where some candidates have a decode pool, one table for each half.

        In the second, candidates without one stand as on no accelerator.
        """
        decode = self.decode
        if not (decode.accelerator >= 0).any():
            return (self,)
        rows = len(self)
        first = dataclasses.replace(self, cost_per_hour=self.cost_per_hour - decode.cost_per_hour)
        second = dataclasses.replace(
            self,
            accelerator=decode.accelerator,
            performance=decode.performance,
            max_batch=decode.max_batch,
            replicas=decode.replicas,
            instances=decode.instances,
            cards=decode.cards,
            cost_per_hour=decode.cost_per_hour,
            reuse=Reuse.none(self.spec, self.service),
            metrics=dataclasses.replace(self.metrics, utilization=decode.utilization),
            decode=DecodePool.none(rows),
        )
        return first, second

    def rows_of(self, service: int) -> IntArray:
        """Rows of a service, by index; they are consecutive."""
        first, last = np.searchsorted(self.service, [service, service + 1])
        return np.arange(first, last)

    def configuration_of(self, row: int) -> str:
        """Return the words of a candidate's configuration; "" where there is nothing to say."""
        entry = int(self.performance[row])
        return self.spec.performance[entry].configuration if entry >= 0 else ""

    def place_of(self, row: int) -> str:
        """Name the accelerator of a placed candidate, the configuration on it, and its store."""
        name = self.inventory.names[int(self.accelerator[row])]
        store, loading = self.store_of(row), ""
        if store is not None:
            loading = f"with {store}, {self.reuse.ratio[row]:.0%} recomputed"
        decode = self.decode_of(row)
        if decode is not None:
            loading = f"for prefill, {decode} for decode"
        if self.shared[row] >= 0:
            loading = f"shared with {', '.join(self.sharers_of(row))}"
        return " ".join(part for part in (name, self.configuration_of(row), loading) if part)

    def decode_of(self, row: int) -> str | None:
        """Name the decode pool of a candidate, with its replicas."""
        if self.decode.accelerator[row] < 0:
            return None
        entry = self.spec.performance[int(self.decode.performance[row])]
        place = f"{entry.accelerator} {entry.configuration}".rstrip()
        return f"{int(self.decode.replicas[row])} on {place}"

    def sharers_of(self, row: int) -> tuple[str, ...]:
        """Name the services that share the replicas of a candidate with its own."""
        number = int(self.shared[row])
        rows = self.sharers[number] if number >= 0 else ()
        names = (self.spec.services[int(self.service[other])].name for other in rows)
        return tuple(n for n in names if n != self.spec.services[int(self.service[row])].name)

    def with_replicas(self, row: int) -> int:
        """Return the row in which a candidate's replicas stand: its own, or that of a sharer."""
        number = int(self.shared[row])
        return self.sharers[number][0] if number >= 0 else row

    def store_of(self, row: int) -> str | None:
        """Name the store that a candidate loads from."""
        store = int(self.reuse.store[row])
        return self.spec.stores[store].name if store >= 0 else None
