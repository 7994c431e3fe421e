"""Contradictions in stores of KV caches and in what services reuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from optimizer.spec.finding import Finding
from optimizer.spec.options import AllocationMode
from optimizer.spec.parts import Part
from optimizer.spec.storage import LEAST_RATIO, ReuseKind, StoreScope
from optimizer.spec.wording import show_path, suggestion

__all__ = ["check_storage"]

_PRICES = {
    "cost_per_gb_hour": "usd_per_gb_hour",
    "read_cost_per_gb": "read_usd_per_gb",
    "write_cost_per_gb": "write_usd_per_gb",
}


def check_storage(fleet: Part) -> Iterator[Finding]:
    """Find stores without figures, unknown names, and reuse that cannot be."""
    seen: dict[str, Part] = {}
    pools = {a.text("pool") for a in fleet.entries("accelerators")}
    for store in fleet.entries("stores"):
        name = store.text("name")
        if name is not None and name in seen:
            where = show_path(seen[name].path)
            yield store.find("name", f"another store has this name: {where}", "keep one of them")
        seen.setdefault(name or "", store)
        yield from _store(fleet, store)
        for place, pool in enumerate(_texts(store, "pools")):
            if pool not in pools:
                known = [known for known in pools if known is not None]
                hint = suggestion(pool, known, "pools")
                path = (*store.path, "pools", place)
                yield Finding(path, "no accelerator is in this pool", pool, hint)
    names = [name for name in seen if name]
    models = {model.text("name"): model for model in fleet.entries("models")}
    for service in fleet.entries("services"):
        reuse = service.part("kv_reuse")
        if isinstance(reuse.value, Mapping):
            yield from _reuse(fleet, service, reuse, names)
            yield from _kv_size(models.get(service.text("model")), service)


def _texts(part: Part, key: str) -> list[str]:
    value = part.part(key).value
    return [v for v in value if isinstance(v, str)] if isinstance(value, list | tuple) else []


def _store(fleet: Part, store: Part) -> Iterator[Finding]:
    from optimizer.catalog import storage_device, storage_device_names

    entry = store.text("catalog")
    if entry is not None and entry not in storage_device_names():
        hint = suggestion(entry, storage_device_names(), "it has")
        yield store.find("catalog", "the catalogue has no such storage device", hint)
        return
    if not store.has("bandwidth_gb_s") and not store.has("catalog"):
        yield Finding(
            (*store.path, "bandwidth_gb_s"),
            "is missing",
            hint="give the read bandwidth in GB/s, or catalog: with the name of a storage device",
        )
    facts = None if entry is None else storage_device(entry)
    scope = store.text("scope") or (
        StoreScope.LOCAL if facts is not None and facts.scope == "local" else StoreScope.SHARED
    )
    if scope != StoreScope.LOCAL and store.has("total_gb"):
        yield store.find(
            "total_gb", "is of local stores; a shared one is one store", "give capacity_gb"
        )
    currency = fleet.text("currency") or "USD"
    for key, of_catalogue in _PRICES.items():
        priced = facts is not None and getattr(facts, of_catalogue) is not None
        if priced and scope != StoreScope.LOCAL and currency != "USD" and not store.has(key):
            yield Finding(
                (*store.path, key),
                f"is missing: the catalogue's price is in USD, the fleet's currency is {currency}",
                hint=f"give it in {currency}",
            )


def _reuse(fleet: Part, service: Part, reuse: Part, names: list[str]) -> Iterator[Finding]:
    if not names:
        yield Finding(
            reuse.path,
            "the fleet has no store",
            hint="add stores: [{name: ..., bandwidth_gb_s: ...}] to the fleet",
        )
    for place, name in enumerate(_texts(reuse, "stores")):
        if names and name not in names:
            path = (*reuse.path, "stores", place)
            hint = suggestion(name, names, "stores")
            yield Finding(path, "there is no such store", name, hint)
    given = [key for key in ("working_set_gb", "keep_hours") if reuse.has(key)]
    if len(given) != 1:
        yield Finding(
            (*reuse.path, "working_set_gb"),
            "is missing" if not given else "is given beside keep_hours",
            hint="give what has to be kept in GB, or keep_hours: how long a context is kept",
        )
    yield from _ratios(reuse)
    yield from _quality(reuse)
    yield from _share_of_prompt(service, reuse)
    mode = service.text("allocation") or fleet.part("optimizer").text("allocation")
    if mode == AllocationMode.SPLIT or service.has("length_buckets"):
        what = "length_buckets" if service.has("length_buckets") else "allocation: split"
        yield Finding(
            reuse.path,
            f"is not decided for services with {what}",
            hint="state what is reused as load.prefix_hit_rate, or set allocation: choose",
        )


def _ratios(reuse: Part) -> Iterator[Finding]:
    """Find ratios of which none may be taken."""
    tried = reuse.part("recompute_ratios").value
    default = LEAST_RATIO if reuse.text("kind") == ReuseKind.CHUNKS else 0.0
    least = reuse.number("minimum_ratio")
    least = default if least is None else least
    if not isinstance(tried, list | tuple):
        return
    ratios = [ratio for ratio in tried if isinstance(ratio, int | float)]
    if not ratios and not tried:
        yield reuse.find("recompute_ratios", "must have at least one ratio", "or remove the key")
    elif len(ratios) == len(tried) and max(ratios) < least:
        yield reuse.find(
            "recompute_ratios",
            f"none is at least the minimum ratio, {least:g}",
            "add a larger one, or lower minimum_ratio",
        )


def _quality(reuse: Part) -> Iterator[Finding]:
    quality = reuse.part("quality")
    zero, one = quality.number("at_zero"), quality.number("at_one")
    if zero is not None and one is not None and zero > one:
        yield quality.find("at_zero", f"must be at most at_one = {one:g}", "swap the two?")
    least = reuse.number("minimum_quality")
    if reuse.text("kind") != ReuseKind.CHUNKS:
        for key in ("quality", "minimum_quality"):
            if reuse.has(key):
                yield Finding(
                    (*reuse.path, key),
                    "is of chunks: an exact prefix loses no quality",
                    hint="remove it, or set kind: chunks",
                )
    elif least is not None and not reuse.has("quality"):
        yield Finding(
            (*reuse.path, "quality"),
            "is missing: minimum_quality needs it",
            hint="give {at_zero: ..., at_one: ..., rate: ...}, as `fit_quality` finds them",
        )
    elif least is not None and one is not None and least > one:
        yield reuse.find("minimum_quality", f"must be at most quality.at_one = {one:g}")


def _share_of_prompt(service: Part, reuse: Part) -> Iterator[Finding]:
    """Find more tokens reused than prompts have; distributions are checked by their mean."""
    load = service.part("load")
    prompt = load.number("input_tokens") or load.part("input_tokens").number("mean")
    cached, hits = reuse.number("cached_tokens"), reuse.number("hit_rate")
    if prompt is None or cached is None or hits is None:
        return
    if cached > prompt:
        message = f"must be at most the mean prompt, {prompt:g} (tokens)"
        yield reuse.find("cached_tokens", message)
        return
    own = load.number("prefix_hit_rate") or 0.0
    if own * prompt + hits * cached > prompt * (1 + 1e-9):
        yield reuse.find(
            "hit_rate",
            f"with load.prefix_hit_rate = {own:g}, more than the whole prompt is reused",
            "prefix_hit_rate is what stays in the accelerator's own cache beside this store",
        )


def _kv_size(model: Part | None, service: Part) -> Iterator[Finding]:
    if model is None or model.has("kv_bytes_per_token") or model.has("catalog"):
        return
    yield Finding(
        (*model.path, "kv_bytes_per_token"),
        f"is missing: service {service.text('name')!r} stores its KV cache",
        hint="give the KV cache of one token at 16 bits in bytes, or catalog: with a hub id",
    )
