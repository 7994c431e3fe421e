"""Contradictions in services whose requests may prefill and decode in different pools."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.spec.finding import Finding
from optimizer.spec.options import AllocationMode, PoolRole, Serving
from optimizer.spec.parts import Part

__all__ = ["check_serving"]


def check_serving(fleet: Part) -> Iterator[Finding]:
    """Find what disaggregated serving lacks, and what it cannot stand beside."""
    options = fleet.part("optimizer")
    general = options.text("serving") or Serving.AGGREGATED
    models = {model.text("name"): model for model in fleet.entries("models")}
    apart = [
        service
        for service in fleet.entries("services")
        if (service.text("serving") or general) in (Serving.DISAGGREGATED, Serving.EITHER)
    ]
    if apart and not fleet.has("kv_transfer"):
        yield Finding(
            ("kv_transfer",),
            f"is missing: service {apart[0].text('name')!r} may prefill and decode in different "
            f"pools",
            hint="give {bandwidth_gb_s: ...} of one transfer of a KV cache between them",
        )
    whole = [service for service in fleet.entries("services") if service not in apart]
    for current in (entry for service in whole for entry in service.one_or_more("current")):
        if current.text("role") in (PoolRole.PREFILL, PoolRole.DECODE):
            yield current.find(
                "role",
                "is that of a pool, and the service is served by one that does both",
                "set serving: either or disaggregated for it, or leave role out",
            )
    for service in apart:
        model = models.get(service.text("model"))
        if model is not None and not model.has("kv_bytes_per_token") and not model.has("catalog"):
            yield Finding(
                (*model.path, "kv_bytes_per_token"),
                f"is missing: service {service.text('name')!r} sends its KV cache between pools",
                hint="give the KV cache of one token at 16 bits in bytes, or catalog: with a hub "
                "id",
            )
        mode = service.text("allocation") or options.text("allocation")
        beside = [key for key in ("length_buckets", "kv_reuse", "max_queue") if service.has(key)]
        if mode == AllocationMode.SPLIT:
            beside.append("allocation: split")
        for key in beside:
            place = service if service.has("serving") else options
            yield place.find(
                "serving",
                f"service {service.text('name')!r} has {key}, which pools of their own do not know",
                f"set serving: aggregated for it, or remove {key}",
            )
