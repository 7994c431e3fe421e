"""A candidate table of some of its services, without sizing them anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.targets import ServiceTargets

__all__ = ["part_of_table"]


def part_of_table(table: CandidateTable, services: Sequence[int]) -> CandidateTable:
    """Return the table of the fleet that has only some of the services.

    Parameters
    ----------
    table
        As it was sized.
    services
        Indices of those that stay, rising. Replicas that one of them would share with a service
        that does not are no candidates any more.
    """
    kept = np.asarray(services, dtype=np.int64)
    stays = np.isin(table.service, kept)
    for sharers in table.sharers.values():
        stays[list(sharers)] &= stays[list(sharers)].all()
    rows = np.flatnonzero(stays)
    spec = table.spec.model_copy(
        update={"services": tuple(table.spec.services[service] for service in services)}
    )
    new_row = {int(row): position for position, row in enumerate(rows.tolist())}
    columns: dict[str, Any] = {
        field.name: value[rows]
        for field in dataclasses.fields(table)
        if isinstance(value := getattr(table, field.name), np.ndarray)
    }
    columns["service"] = np.searchsorted(kept, columns["service"])
    return dataclasses.replace(
        table,
        spec=spec,
        targets=ServiceTargets(
            bounds={s: bounds[kept] for s, bounds in table.targets.bounds.items()},
            rate_rps=table.targets.rate_rps[kept],
            promised_throughput=table.targets.promised_throughput[kept],
        ),
        metrics=table.metrics.take(rows),
        reuse=table.reuse.take(rows),
        decode=table.decode.take(rows),
        refusals={new_row[r]: words for r, words in table.refusals.items() if r in new_row},
        **columns,
    )
