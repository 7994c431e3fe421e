"""Contradictions in what a fleet says of services that may share replicas."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.spec.finding import Finding
from optimizer.spec.objective import Objective
from optimizer.spec.options import AllocationMode, Serving
from optimizer.spec.parts import Part
from optimizer.spec.wording import listed

__all__ = ["MOST_SHARING", "check_replica_pools"]

MOST_SHARING = 12
"""Services that may have one pool: of so many, every set that is tried can still be sized."""

# What all services on a replica have in common, and why.
_COMMON = {
    "model": "a replica serves one model",
    "tenant": "what tenants share counts for neither's limits",
    "routing": "one router spreads the requests of all",
    "max_queue": "requests of all wait in one queue",
}
# What is not known of replicas that several services share.
_ALONE = ("length_buckets", "kv_reuse", "survive")


def check_replica_pools(fleet: Part) -> Iterator[Finding]:
    """Find services that share a pool though they cannot, or have one alone."""
    pools: dict[str, list[Part]] = {}
    for service in fleet.entries("services"):
        name = service.text("replica_pool")
        if name is not None:
            pools.setdefault(name, []).append(service)
    for name, services in pools.items():
        yield from _members(name, services)
        yield from _tiers(fleet, services)
        for service in services:
            yield from _features(fleet, service)
    if pools:
        yield from _fleet(fleet, next(iter(pools.values()))[0])


def _members(name: str, services: list[Part]) -> Iterator[Finding]:
    first = services[0]
    if len(services) == 1:
        yield first.find(
            "replica_pool",
            f"no other service has the pool {name!r} to share replicas with",
            "give it to another service of the same model, or remove it",
        )
    if len(services) > MOST_SHARING:
        yield services[MOST_SHARING].find(
            "replica_pool",
            f"{len(services)} services have the pool {name!r}, at most {MOST_SHARING} may",
            "give some of them another name: services with like objectives share best",
        )
    for service in services[1:]:
        for key, why in _COMMON.items():
            mine, theirs = service.part(key), first.part(key)
            if (mine.value if service.has(key) else None) != (
                theirs.value if first.has(key) else None
            ):
                yield service.find(
                    key,
                    f"differs from that of service {first.text('name')!r}, with which it may "
                    f"share replicas: {why}",
                    f"make them equal, or take one of them out of replica_pool {name!r}",
                )


def _tiers(fleet: Part, services: list[Part]) -> Iterator[Finding]:
    """Find classes that may use different purchase tiers."""
    allowed = {group.text("name"): group.part("tiers") for group in fleet.entries("classes")}
    tiers = [allowed.get(service.text("class")) for service in services]
    known = [part.value for part in tiers if part is not None]
    if any(value != known[0] for value in known[1:]):
        names = listed(service.text("name") or "" for service in services)
        yield services[0].find(
            "replica_pool",
            f"services {names} are of classes that may use different purchase tiers",
            "let their classes list the same tiers",
        )


def _features(fleet: Part, service: Part) -> Iterator[Finding]:
    options = fleet.part("optimizer")
    beside = [key for key in _ALONE if service.has(key)]
    mode = service.text("allocation") or options.text("allocation")
    if mode == AllocationMode.SPLIT:
        beside.append("allocation: split")
    serving = service.text("serving") or options.text("serving")
    if serving in (Serving.DISAGGREGATED, Serving.EITHER):
        beside.append(f"serving: {serving}")
    for key in beside:
        yield service.find(
            "replica_pool",
            f"is not known together with {key}",
            f"remove {key} of service {service.text('name')!r}, or its replica_pool",
        )


def _fleet(fleet: Part, service: Part) -> Iterator[Finding]:
    """Find parts of the fleet that do not know shared replicas."""
    beside = []
    uncertainty = fleet.part("uncertainty")
    for kind in ("peaks", "spread"):
        if uncertainty.has(kind):
            yield service.find(
                "replica_pool",
                f"is not known together with uncertainty.{kind}: what a service adds to shared "
                f"replicas depends on who else is busy",
                "give scenarios of the loads that come together, or remove replica_pool",
            )
    probability = uncertainty.number("serve_probability")
    if probability is not None and probability < 1:
        yield service.find(
            "replica_pool",
            "is not known together with uncertainty.serve_probability below 1: too many requests "
            "of one service make all wait that share its replicas",
            "serve every scenario and leave out those to be given up, or remove replica_pool",
        )
    if fleet.part("optimizer").text("objective") == Objective.INFERNO_VALUE:
        beside.append("objective: inferno-value")
    for key in beside:
        yield service.find(
            "replica_pool", f"is not known together with {key}", f"remove {key}, or replica_pool"
        )
