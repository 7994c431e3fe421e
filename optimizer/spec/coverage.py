"""What a fleet's description must give because another part of it needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from optimizer.spec.finding import Finding
from optimizer.spec.options import EstimatesPolicy, PriorityMode, UnservedPolicy
from optimizer.spec.parts import Part
from optimizer.spec.wording import listed

__all__ = ["check_coverage", "check_penalties"]

# Of an accelerator that names no catalogue entry: what estimates need.
_ACCELERATOR_FACTS = ("memory_gb", "bandwidth_gb_s", "fp16_tflops")


def check_coverage(fleet: Part) -> Iterator[Finding]:
    """Find prices, performance data, objectives and penalties that are needed and not given."""
    yield from _prices(fleet)
    yield from _performance(fleet)
    yield from _objectives(fleet)
    yield from check_penalties(fleet)


def _prices(fleet: Part) -> Iterator[Finding]:
    currency = fleet.text("currency") or "USD"
    for accelerator in fleet.entries("accelerators"):
        if accelerator.has("cost_per_hour") or not isinstance(accelerator.value, Mapping):
            continue
        path = (*accelerator.path, "cost_per_hour")
        entry = accelerator.text("catalog")
        if entry is None:
            hint = (
                f"give the price of one instance in {currency} per hour{_same_entry(accelerator)}"
            )
            if not accelerator.has("catalog"):
                yield Finding(path, "is missing", hint=hint)
        elif currency != "USD":
            yield Finding(
                path,
                f"is missing: the catalogue's price is in USD, the fleet's currency is {currency}",
                hint=f"give the price of one instance in {currency} per hour",
            )
        elif not _is_priced(entry):
            yield Finding(
                path,
                f"is missing: the catalogue has no price for {entry!r}",
                hint="give the price of one instance in USD per hour",
            )


def _same_entry(accelerator: Part) -> str:
    """Point to the catalogue's entry of the accelerator's own name, if it has one."""
    from optimizer.catalog import accelerator_names

    name = accelerator.text("name")
    return f", or add catalog: {name}" if name in accelerator_names() else ""


def _is_priced(entry: str) -> bool:
    """Whether the catalogue knows a price; unknown entries are reported elsewhere."""
    from optimizer.catalog import accelerator, accelerator_names

    return entry not in accelerator_names() or accelerator(entry).usd_per_hour is not None


def _performance(fleet: Part) -> Iterator[Finding]:
    models, accelerators = set(fleet.names("models")), set(fleet.names("accelerators"))
    given = _estimated(fleet)
    for entry in fleet.entries("performance"):
        model, accelerator = entry.text("model"), entry.text("accelerator")
        if model is not None and accelerator is not None:
            given.setdefault(model, []).append(accelerator)
    needed: dict[str, list[str]] = {}
    for service in fleet.entries("services"):
        model, pinned = service.text("model"), service.text("accelerator")
        if model is None or model not in models or service.part("length_buckets").has("measured"):
            continue
        if model not in given:
            needed.setdefault(model, []).append(service.text("name") or "(unnamed)")
        elif pinned in accelerators and pinned not in given[model]:
            yield service.find(
                "accelerator",
                f"there is no performance entry for model {model!r} on this accelerator",
                f"add one, or pin it to one that has: {listed(given[model])}",
            )
    for model, services in needed.items():
        yield Finding(
            ("performance",),
            f"no entry for model {model!r} on any accelerator; needed by "
            f"{'service' if len(services) == 1 else 'services'} {listed(map(repr, services))}",
            hint=f"add {{model: {model}, accelerator: ..., max_batch: ..., iteration: {{...}}}}"
            + _way_to_estimates(fleet, model),
        )


def _estimated(fleet: Part) -> dict[str, list[str]]:
    """Return the accelerators on which each model can be estimated."""
    if fleet.part("optimizer").text("estimates") == EstimatesPolicy.FORBIDDEN:
        return {}
    machines = [
        name
        for one in fleet.entries("accelerators")
        if (name := one.text("name")) is not None
        and (one.has("catalog") or all(one.has(key) for key in _ACCELERATOR_FACTS))
    ]
    known = [one for one in fleet.entries("models") if one.has("catalog") or one.has("config")]
    names = [name for one in known if (name := one.text("name")) is not None]
    return {name: list(machines) for name in names if machines}


def _way_to_estimates(fleet: Part, model: str) -> str:
    """Say what is missing for an estimate, where estimates are allowed."""
    if fleet.part("optimizer").text("estimates") == EstimatesPolicy.FORBIDDEN:
        return ", or allow estimates"
    entry = next((one for one in fleet.entries("models") if one.text("name") == model), None)
    if entry is not None and not (entry.has("catalog") or entry.has("config")):
        return "; to have it estimated, give the model a `catalog` entry or a `config`"
    facts = ", ".join(_ACCELERATOR_FACTS)
    return f"; to have it estimated, give accelerators a `catalog` entry or {facts}"


def _objectives(fleet: Part) -> Iterator[Finding]:
    """Find services whose class has objectives, but none that holds for their model."""
    models = {
        group.text("name"): [slo.text("model") for slo in group.entries("slos")]
        for group in fleet.entries("classes")
    }
    for service in fleet.entries("services"):
        model, group = service.text("model"), service.text("class")
        covered = models.get(group)
        if model is not None and covered and None not in covered and model not in covered:
            yield service.find(
                "class",
                f"has SLOs, but none for model {model!r}",
                f"add an entry with model: {model} to its slos, or one without a model, which "
                "holds for all others; targets: [] asks for nothing",
            )


def check_penalties(fleet: Part) -> Iterator[Finding]:
    """Find classes whose services would be left unserved for nothing."""
    options = fleet.part("optimizer")
    if (
        options.text("priorities") != PriorityMode.WEIGHTED
        or options.text("unserved") == UnservedPolicy.FORBIDDEN
        or options.has("unserved_penalty_per_hour")
    ):
        return
    for group in fleet.entries("classes"):
        if isinstance(group.value, Mapping) and not group.has("unserved_penalty_per_hour"):
            yield Finding(
                (*group.path, "unserved_penalty_per_hour"),
                "is missing: with weighted priorities, leaving the class unserved would cost "
                "nothing",
                hint="give it here, or for all classes as optimizer.unserved_penalty_per_hour",
            )
