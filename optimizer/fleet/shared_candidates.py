"""Candidates of several services at once, beside those of each by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.decode_pool import DecodePool
from optimizer.fleet.joined_tables import joined_tables
from optimizer.fleet.replica_pools import SharingSet
from optimizer.fleet.reuse import Reuse
from optimizer.fleet.shared_sizing import SharedRows
from queue_models import QueueMetrics

__all__ = ["with_shared"]


def with_shared(
    table: CandidateTable, shared: SharedRows, sets: Sequence[SharingSet]
) -> CandidateTable:
    """Return the table with a row per service of every shared candidate.

    Parameters
    ----------
    table
        The services by themselves.
    shared
        What was sized for the sets.
    sets
        Which services share.
    """
    spec, inventory, sizing = table.spec, table.inventory, shared.sizing
    grid, service = sizing.grid, shared.service
    leads = np.array([one.lead for one in sets])[shared.sharing] == service
    replicas = np.where(leads, sizing.replicas, 0)
    per_replica = np.array([entry.instances for entry in spec.performance], dtype=np.int64)
    instances = per_replica[grid.performance] * replicas
    price = np.where(leads, inventory.cost_per_hour[grid.accelerator], 0.0)
    rates = table.targets.rate_rps
    merged = np.array([rates[list(one.members)].sum() for one in sets])[shared.sharing]
    size = len(service)
    rows = dataclasses.replace(
        table,
        service=service,
        accelerator=grid.accelerator,
        performance=grid.performance,
        max_batch=grid.max_batch,
        verdict=np.full(size, int(Verdict.POSSIBLE), dtype=np.int64),
        rate_per_replica_rps=sizing.rate
        * np.divide(rates[service], merged, out=np.zeros(size), where=merged > 0),
        replicas=replicas,
        instances=instances,
        cards=inventory.cards[grid.accelerator] * instances,
        cost_per_hour=price * instances,
        reuse=Reuse.none(spec, service),
        decode=DecodePool.none(size),
        metrics=_metrics(table, shared),
        refusals={},
        shared=shared.candidate,
    )
    return joined_tables([table, rows])


def _metrics(table: CandidateTable, shared: SharedRows) -> QueueMetrics:
    """Return what each service's requests see of the common replicas."""
    sizing = shared.sizing
    means = {f.name: sizing.means[f.name] for f in fields(QueueMetrics) if f.name != "percentiles"}
    means["stable"] = sizing.means["stable"] == 1.0
    percentiles = {
        statistic: sizing.percentiles[statistic] for statistic in table.metrics.percentiles
    }
    return QueueMetrics(**means, percentiles=percentiles)
