"""Two candidate tables of one fleet as one."""

from __future__ import annotations

import dataclasses
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.reuse import Reuse
from queue_models import QueueMetrics

__all__ = ["joined_tables"]


def joined_tables(table: CandidateTable, more: CandidateTable) -> CandidateTable:
    """Return both tables in one, each service's rows together."""
    services = np.concatenate([table.service, more.service])
    order = np.argsort(services, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))

    def both(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([one, np.broadcast_to(other, more.service.shape)])[order]

    arrays: dict[str, Any] = {
        f.name: both(getattr(table, f.name), getattr(more, f.name))
        for f in fields(table)
        if isinstance(getattr(table, f.name), np.ndarray)
    }
    means = {
        f.name: both(getattr(table.metrics, f.name), getattr(more.metrics, f.name))
        for f in fields(QueueMetrics)
        if f.name != "percentiles"
    }
    percentiles = {
        statistic: both(values, more.metrics.percentiles[statistic])
        for statistic, values in table.metrics.percentiles.items()
    }
    return dataclasses.replace(
        table,
        **arrays,
        reuse=Reuse.concatenate([table.reuse, more.reuse]).take(order),
        decode=table.decode.followed_by(more.decode).take(order),
        metrics=QueueMetrics(**means, percentiles=percentiles),
        refusals={int(place[row]): words for row, words in table.refusals.items()},
    )
