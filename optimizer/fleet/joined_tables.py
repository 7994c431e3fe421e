"""Candidate tables of one fleet as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.decode_pool import DecodePool
from optimizer.fleet.reuse import Reuse
from queue_models import QueueMetrics

__all__ = ["joined_tables"]


def joined_tables(tables: Sequence[CandidateTable]) -> CandidateTable:
    """Return tables in one, each service's rows together, those of earlier tables first.

    Parameters
    ----------
    tables
        At least one; their rows name services, accelerators and entries of the first one's fleet.
    """
    first = tables[0]
    services = np.concatenate([table.service for table in tables])
    order = np.argsort(services, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))

    def all_of(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
        each = [np.broadcast_to(p, t.service.shape) for p, t in zip(parts, tables, strict=True)]
        return np.concatenate(each)[order]

    arrays: dict[str, Any] = {
        f.name: all_of([getattr(table, f.name) for table in tables])
        for f in fields(first)
        if isinstance(getattr(first, f.name), np.ndarray)
    }
    means = {
        f.name: all_of([getattr(table.metrics, f.name) for table in tables])
        for f in fields(QueueMetrics)
        if f.name != "percentiles"
    }
    unknown = np.array(np.nan)
    percentiles = {
        statistic: all_of([t.metrics.percentiles.get(statistic, unknown) for t in tables])
        for statistic in dict.fromkeys(s for t in tables for s in t.metrics.percentiles)
    }
    before = np.cumsum([0, *(len(table) for table in tables)])
    return dataclasses.replace(
        first,
        **arrays,
        reuse=Reuse.concatenate([table.reuse for table in tables]).take(order),
        decode=DecodePool.concatenate([table.decode for table in tables]).take(order),
        metrics=QueueMetrics(**means, percentiles=percentiles),
        refusals={
            int(place[begin + row]): words
            for begin, table in zip(before.tolist(), tables, strict=False)
            for row, words in table.refusals.items()
        },
    )
