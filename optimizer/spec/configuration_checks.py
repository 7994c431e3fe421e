"""Contradictions in the configurations that a model runs in, and in what services may use."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from optimizer.spec.finding import Finding
from optimizer.spec.parts import Part
from optimizer.spec.precision import Precision
from optimizer.spec.wording import listed

__all__ = ["check_configurations", "configuration_key"]

_SETTINGS = ("tensor_parallel", "pipeline_parallel", "chunk_tokens", "kv_capacity_tokens")
_PRECISIONS = {"weight": "weights", "kv": "KV cache"}


def configuration_key(entry: Part) -> tuple[Hashable, ...] | None:
    """Return what tells a performance entry from the others; None where model or accelerator lack.

    Figures that are measured (times, maximum batch) are not among it.
    """
    model, accelerator = entry.text("model"), entry.text("accelerator")
    if model is None or accelerator is None:
        return None
    draft = entry.part("speculative_decoding").number("draft_tokens")
    settings = [entry.number(key) for key in _SETTINGS]
    # With parallelism and without instances, these follow from the cards of the accelerator.
    parallel = settings[0] is not None or settings[1] is not None
    instances = entry.number("instances") or (None if parallel else 1.0)
    precisions = (entry.text("weight_precision"), entry.text("kv_precision"))
    return model, accelerator, instances, *settings, *precisions, draft


def check_configurations(fleet: Part) -> Iterator[Finding]:
    """Find parallelism that no number of instances makes up, and precisions that nothing has."""
    cards = {a.text("name"): a.number("cards") or 1.0 for a in fleet.entries("accelerators")}
    for entry in fleet.entries("performance"):
        yield from _parallelism(entry, cards.get(entry.text("accelerator")))
    yield from _precisions(fleet)


def _parallelism(entry: Part, cards: float | None) -> Iterator[Finding]:
    degrees = [entry.number(key) or 1.0 for key in ("tensor_parallel", "pipeline_parallel")]
    wanted = degrees[0] * degrees[1]
    if cards is None or wanted < 1 or wanted > 1e9:
        return
    stated = entry.number("instances")
    has = cards * (stated if stated is not None else max(wanted // cards, 1.0))
    if has % wanted == 0:
        return
    message = (
        f"x pipeline_parallel wants {wanted:g} cards, and "
        f"{'1 instance has' if has == cards else f'{has / cards:g} instances have'} {has:g}"
    )
    hint = "a replica takes whole instances, each of `cards` cards of its accelerator"
    key = "tensor_parallel" if entry.has("tensor_parallel") else "pipeline_parallel"
    if key == "pipeline_parallel":
        message = message.replace("x pipeline_parallel ", "")
    yield entry.find(key, message, hint)


def _precisions(fleet: Part) -> Iterator[Finding]:
    """Find services whose quality allows none of the precisions that their model is measured in."""
    classes = {group.text("name"): group for group in fleet.entries("classes")}
    entries = list(fleet.entries("performance"))
    for owner in (*classes.values(), *fleet.entries("services")):
        for kind in _PRECISIONS:
            if owner.is_empty_list(f"{kind}_precisions"):
                hint = "list what is allowed, or remove the key to allow all"
                yield owner.find(f"{kind}_precisions", "allows no precision at all", hint)
    for service in fleet.entries("services"):
        own = [e for e in entries if e.text("model") == service.text("model")]
        group = classes.get(service.text("class"), Part((), None))
        for kind, what in _PRECISIONS.items():
            allowed = [_listed_precisions(one, f"{kind}_precisions") for one in (service, group)]
            names = {e.text(f"{kind}_precision") for e in own}
            if not own or all(names_allowed is None for names_allowed in allowed):
                continue
            if any(all(a is None or n in a for a in allowed) for n in names):
                continue
            known = [name or "not stated" for name in sorted(names, key=str)]
            owner = service if service.has(f"{kind}_precisions") else group
            yield owner.find(
                f"{kind}_precisions",
                f"service {service.text('name')!r} is allowed none of the {what} precisions of the "
                f"performance entries of model {service.text('model')!r}: {listed(known)}",
                f"add an entry with {kind}_precision, or allow one of these",
            )


def _listed_precisions(owner: Part, key: str) -> tuple[str, ...] | None:
    value = owner.part(key).value
    if not isinstance(value, list | tuple) or not value:
        return None
    known = set(map(str, Precision))
    names = tuple(str(name) for name in value if isinstance(name, str))
    # Unknown names are at fault themselves.
    return names if known.issuperset(names) else None
