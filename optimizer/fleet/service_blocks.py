"""A fleet's services in blocks that are sized apart, and the blocks' candidates in one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.errors import PlanError
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.estimates import with_estimates
from optimizer.fleet.joined_tables import joined_tables
from optimizer.fleet.sizing import build_candidates
from optimizer.fleet.targets import ServiceTargets
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import EstimatesPolicy

__all__ = ["ServiceBlock", "service_blocks", "table_of_blocks"]

# Blocks where nobody says how many: small enough that losing one costs little, and as many as
# keep a few processes busy.
_SERVICES_PER_BLOCK, _LEAST_BLOCKS = 200, 8


@dataclass(frozen=True, slots=True)
class ServiceBlock:
    """Some services of a fleet, as they travel to who sizes them.

    Parameters
    ----------
    number, of
        Which block it is, from 1, and how many there are.
    services
        Their indices in the whole fleet, rising.
    spec
        The fleet with these services alone, and with every estimate that the whole fleet makes.
    """

    number: int
    of: int
    services: tuple[int, ...]
    spec: FleetSpec

    @property
    def name(self) -> str:
        """Its number, and the services that it begins and ends with."""
        first, last = self.spec.services[0].name, self.spec.services[-1].name
        whose = f"service '{first}'" if first == last else f"services '{first}' to '{last}'"
        return f"block {self.number} of {self.of} ({whose})"

    def sized(self) -> CandidateTable:
        """Return the candidates of the block; see `build_candidates` for the errors."""
        return build_candidates(self.spec)


def service_blocks(
    spec: FleetSpec, count: int | None = None
) -> tuple[FleetSpec, tuple[ServiceBlock, ...]]:
    """Divide a fleet's services into blocks of about the same size, in the order of the fleet.

    Parameters
    ----------
    spec
        A validated fleet.
    count
        How many blocks, at least 1; fewer where there are fewer services, or where services that
        may share replicas, which stay together, are too many. None: one for every 200 services,
        and at least 8.

    Returns
    -------
    spec
        The fleet with its estimates, which `table_of_blocks` wants.
    blocks
        Every service is in one.

    Raises
    ------
    PlanError
        If the count is below 1.
    """
    services = len(spec.services)
    if count is None:
        count = max(-(-services // _SERVICES_PER_BLOCK), _LEAST_BLOCKS)
    if count < 1:
        raise PlanError(f"blocks = {count}: must be at least 1")
    spec = with_estimates(spec)
    # What could not be estimated of the whole fleet is not estimated of a part either.
    options = spec.optimizer.model_copy(update={"estimates": EstimatesPolicy.FORBIDDEN})
    parts = [part for part in _divided(spec, min(count, services)) if part]
    return spec, tuple(
        ServiceBlock(
            number,
            len(parts),
            tuple(part),
            spec.model_copy(
                update={
                    "services": tuple(spec.services[service] for service in part),
                    "optimizer": options,
                }
            ),
        )
        for number, part in enumerate(parts, start=1)
    )


def _divided(spec: FleetSpec, count: int) -> list[list[int]]:
    """Return the services of each block: those of a replica pool are in the block of its first."""
    parts: list[list[int]] = [[] for _ in range(count)]
    of_pool: dict[str, int] = {}
    for index, service in enumerate(spec.services):
        block = index * count // len(spec.services)
        if service.replica_pool is not None:
            block = of_pool.setdefault(service.replica_pool, block)
        parts[block].append(index)
    return parts


def table_of_blocks(
    spec: FleetSpec, blocks: Sequence[ServiceBlock], tables: Sequence[CandidateTable]
) -> CandidateTable:
    """Return the candidates of the whole fleet, as `build_candidates` would.

    Parameters
    ----------
    spec
        As `service_blocks` returned it.
    blocks, tables
        Every block, and its table.
    """
    targets = ServiceTargets.of(spec)
    reasons = dict.fromkeys(table.queue_model_reason for table in tables)
    whole = [one for one in reasons if not any(one in more for more in reasons if more != one)]
    shared = np.cumsum([0, *(int(table.shared.max(initial=-1)) + 1 for table in tables)])
    return joined_tables(
        [
            dataclasses.replace(
                table,
                spec=spec,
                targets=targets,
                service=np.array(block.services, dtype=np.int64)[table.service],
                shared=np.where(table.shared >= 0, table.shared + before, -1),
                queue_model_reason="; ".join(whole),
            )
            for block, table, before in zip(blocks, tables, shared.tolist(), strict=False)
        ]
    )
