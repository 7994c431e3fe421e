"""Candidates that prefill and decode in pools of their own, beside those that do not."""

from __future__ import annotations

import dataclasses
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.decode_pool import DecodePool
from optimizer.fleet.disaggregation import PoolPairs, find_pairs, may_disaggregate
from optimizer.fleet.joined_tables import joined_tables
from optimizer.fleet.reuse import Reuse
from optimizer.spec.options import Serving
from queue_models import QueueMetrics, QueueModel, Statistic, TandemMetrics

__all__ = ["with_pools"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def with_pools(table: CandidateTable, model: QueueModel) -> CandidateTable:
    """Return the table with the pairs of pools of services that may disaggregate."""
    spec = table.spec
    if not any(may_disaggregate(spec, service) for service in spec.services):
        return table
    found = find_pairs(table, model)
    table = joined_tables([table, *(_rows(table, *pairs) for pairs in found)])
    apart = np.array(
        [(s.serving or spec.optimizer.serving) is Serving.DISAGGREGATED for s in spec.services]
    )
    single = (table.decode.accelerator < 0) & (table.accelerator >= 0)
    ruled_out = single & apart[table.service] & (table.verdict == Verdict.POSSIBLE)
    return dataclasses.replace(
        table, verdict=np.where(ruled_out, int(Verdict.AGGREGATED), table.verdict)
    )


def _rows(
    table: CandidateTable,
    pairs: PoolPairs,
    metrics: TandemMetrics,
    statistics: tuple[Statistic, ...],
) -> CandidateTable:
    """Return a table of pairs alone."""
    spec, inventory = table.spec, table.inventory
    per_replica = np.array([entry.instances for entry in spec.performance], dtype=np.int64)
    halves = []
    names = {name: place for place, name in enumerate(inventory.names)}
    of_entry = np.array([names[entry.accelerator] for entry in spec.performance], dtype=np.int64)
    # Each pool keeps its own: either may lose a replica.
    spares = np.array([service.spares for service in spec.services])[pairs.service]
    for entry, batch, replicas in (
        (pairs.prefill, pairs.prefill_batch, pairs.prefill_replicas + spares),
        (pairs.decode, pairs.decode_batch, pairs.decode_replicas + spares),
    ):
        place = of_entry[entry]
        instances = per_replica[entry] * replicas
        halves.append(
            DecodePool(
                accelerator=place,
                performance=entry,
                max_batch=batch,
                replicas=replicas,
                instances=instances,
                cards=inventory.cards[place] * instances,
                cost_per_hour=inventory.cost_per_hour[place] * instances,
                utilization=metrics.decode.utilization,
                queueing_ms=metrics.decode.wait_ms,
            )
        )
    first, second = halves
    size = len(pairs.service)
    return dataclasses.replace(
        table,
        service=pairs.service,
        accelerator=first.accelerator,
        performance=first.performance,
        max_batch=first.max_batch,
        verdict=np.full(size, int(Verdict.POSSIBLE), dtype=np.int64),
        rate_per_replica_rps=pairs.rate_rps / pairs.prefill_replicas,
        replicas=first.replicas,
        instances=first.instances,
        cards=first.cards,
        cost_per_hour=first.cost_per_hour + second.cost_per_hour,
        reuse=Reuse.none(spec, pairs.service),
        decode=second,
        metrics=_as_seen(table, metrics, statistics, size),
        refusals={},
        shared=np.full(size, -1, dtype=np.int64),
    )


def _as_seen(
    table: CandidateTable, metrics: TandemMetrics, statistics: tuple[Statistic, ...], size: int
) -> QueueMetrics:
    """Return what requests see of both pools, with utilisation and queue of the first."""
    means = {f.name: getattr(metrics.prefill, f.name) for f in fields(QueueMetrics)}
    for name in ("stable", "throughput_rps", "ttft_ms", "itl_ms", "tpot_ms", "e2e_ms"):
        means[name] = getattr(metrics, name)
    means["percentiles"] = {
        statistic: metrics.value(statistic) if statistic in statistics else np.full(size, np.nan)
        for statistic in table.metrics.percentiles
    }
    return QueueMetrics(**means)
