"""Which sets of services may share replicas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from optimizer.fleet.targets import ServiceTargets
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import Metric

__all__ = ["SharingSet", "may_share", "sharing_sets", "sharing_words"]

# Of up to so many services every set is tried, of more only sets of neighbours in tightness.
_ALL_SETS_UP_TO = 4
# Objectives by which neighbours are told, the first first: the time between tokens holds at every
# load what the batch is, which all share.
_TIGHTNESS = ((Metric.ITL, Metric.TPOT), (Metric.TTFT, Metric.WAIT), (Metric.E2E,))


@dataclass(frozen=True, slots=True)
class SharingSet:
    """Services that share replicas.

    Parameters
    ----------
    pool
        Name of the pool that they have in common.
    members
        Their indices, at least two: the most important first, then in the order of the fleet. The
        first leads: replicas, cards and money stand with it.
    """

    pool: str
    members: tuple[int, ...]

    @property
    def lead(self) -> int:
        """Index of the service with which the replicas stand."""
        return self.members[0]


def may_share(spec: FleetSpec) -> bool:
    """Whether some services of a fleet may share replicas."""
    return any(service.replica_pool is not None for service in spec.services)


def sharing_sets(spec: FleetSpec, targets: ServiceTargets) -> tuple[SharingSet, ...]:
    """Return every set of services for which common replicas are to be sized.

    Parameters
    ----------
    spec
        The fleet; services without load share where they keep replicas all the same.
    targets
        Its objectives and rates.

    Notes
    -----
    Of up to four services of a pool all sets of two and more are tried. Of k > 4, the sets of
    neighbours in the order of how tight their objectives are, k (k - 1)/2 of them: a loose class
    among tight ones is served at their price, a tight one among loose ones makes all of them fast.
    """
    pools = _pools(spec, targets)
    priority = {group.name: group.priority for group in spec.classes}
    return tuple(
        SharingSet(
            pool,
            tuple(sorted(chosen, key=lambda i: (priority[spec.services[i].service_class], i))),
        )
        for pool, services in pools.items()
        for chosen in _sets(services, targets)
    )


def sharing_words(spec: FleetSpec, targets: ServiceTargets) -> tuple[str, ...]:
    """Say of which pools not every set of services was tried."""
    return tuple(
        f"replica_pool {pool}: of its {len(services)} services those next to one another in "
        f"tightness were tried together, {len(services) * (len(services) - 1) // 2} sets; the "
        f"proof is of these"
        for pool, services in _pools(spec, targets).items()
        if len(services) > _ALL_SETS_UP_TO
    )


def _pools(spec: FleetSpec, targets: ServiceTargets) -> dict[str, list[int]]:
    """Return the services with a load, or with replicas to keep, of each pool, by index."""
    pools: dict[str, list[int]] = {}
    for index, service in enumerate(spec.services):
        wants = targets.rate_rps[index] > 0 or service.replicas.min > 0
        if service.replica_pool is not None and wants:
            pools.setdefault(service.replica_pool, []).append(index)
    return pools


def _sets(services: list[int], targets: ServiceTargets) -> Iterator[tuple[int, ...]]:
    count = len(services)
    if count <= _ALL_SETS_UP_TO:
        for size in range(2, count + 1):
            yield from combinations(services, size)
        return
    ordered = sorted(services, key=lambda service: (*_tightness(service, targets), service))
    for first in range(count - 1):
        for end in range(first + 2, count + 1):
            yield tuple(ordered[first:end])


def _tightness(service: int, targets: ServiceTargets) -> tuple[float, ...]:
    """Return the tightest bound of each group of metrics [ms]; `inf` without one."""
    return tuple(
        min(
            (float(b[service]) for s, b in targets.bounds.items() if s.metric in metrics),
            default=np.inf,
        )
        for metrics in _TIGHTNESS
    )
