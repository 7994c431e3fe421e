"""What an inferno system must serve: service classes with their targets, and servers.

Arrival rates are requests per minute there, money cents per hour.
"""

from __future__ import annotations

from optimizer.spec.inferno_reader import Entry, Named, Record
from optimizer.spec.inferno_supply import CENTS_PER_USD, REPEATED, Performance
from optimizer.spec.service_class import SloMetric
from optimizer.spec.wording import suggestion

__all__ = ["read_classes", "read_servers", "with_default_class"]

SECONDS_PER_MINUTE = 60
# Class of servers that name none, and priority of classes whose own is out of range (Go's core).
_DEFAULT_CLASS = "Free"
_LOWEST_PRIORITY = 100

_TARGETS = {
    "slo-ttft": SloMetric.TTFT_MS,
    "slo-itl": SloMetric.ITL_MS,
    "slo-tps": SloMetric.SERVICE_TOKENS_PER_S,
}
_SERVER_MEMBERS = {
    "name": "name",
    "model": "model",
    "class": "class",
    "load.arrival_rate_rps": "currentAlloc.load.arrivalRate",
    "load.input_tokens": "currentAlloc.load.avgInTokens",
    "load.output_tokens": "currentAlloc.load.avgOutTokens",
    "replicas.min": "minNumReplicas",
    "max_batch": "maxBatchSize",
    "max_queue": "maxQueueSize",
    "accelerator": "currentAlloc.accelerator",
    "current": "currentAlloc",
    "current.accelerator": "currentAlloc.accelerator",
    "current.replicas": "currentAlloc.numReplicas",
    "current.max_batch": "currentAlloc.maxBatch",
    "current.cost_per_hour": "currentAlloc.cost",
}


def read_classes(group: Record, performance: Performance) -> Named:
    """Read `serviceClassData`; targets for models without performance data are left out."""
    found: dict[str, Entry | None] = {}
    for entry in group.records("serviceClasses", required="service class"):
        name = entry.text("name", required="the class's name")
        if name in found:
            entry.ledger.note(f"service classes {REPEATED}", name)
        priority = entry.whole("priority", signed=True)
        if not 1 <= priority <= _LOWEST_PRIORITY:
            text = f"priorities missing or outside 1 ... {_LOWEST_PRIORITY}: {_LOWEST_PRIORITY}"
            entry.ledger.note(f"{text} is taken, as in Go", name)
            priority = _LOWEST_PRIORITY
        slos = _read_slos(entry, name, performance)
        values: dict[str, object] = {"name": name, "priority": priority, "slos": slos}
        found[name] = entry.entry(values, {"name": "name", "priority": "priority"})
    return Named(found, group.is_sound)


def _read_slos(entry: Record, class_name: str, performance: Performance) -> list[dict[str, object]]:
    """Read a class's targets by model: bounds on means; 0 bounds nothing."""
    found: dict[str, dict[str, object]] = {}
    for target in entry.records("modelTargets"):
        model = target.text("model", required="a model's name")
        label = f"{model} of {class_name}"
        bounds = {metric: target.number(key) for key, metric in _TARGETS.items()}
        if performance.models.lacks(model):
            entry.ledger.note("targets for models without performance data: left out", label)
            continue
        if model in found:
            entry.ledger.note(f"targets {REPEATED}", label)
        targets = [{"metric": metric, "bound": bound} for metric, bound in bounds.items() if bound]
        found[model] = {"model": model, "targets": targets}
    return list(found.values())


def read_servers(
    group: Record,
    classes: Named,
    performance: Performance,
    accelerators: Named,
) -> Named:
    """Read `serverData`; a server without a class belongs to the class `Free`."""
    found: dict[str, Entry | None] = {}
    for entry in group.records("servers", required="server"):
        name = entry.text("name", required="the server's name")
        if name in found:
            entry.ledger.note(f"servers {REPEATED}", name)
        model = _read_model(entry, performance)
        known_model = "" if performance.models.lacks(model) else model
        allocation = entry.record("currentAlloc")
        values: dict[str, object] = {
            "name": name,
            "model": model,
            "class": _read_class(entry, name, known_model, classes),
            "load": _read_load(allocation, name),
            "replicas": {"min": entry.whole("minNumReplicas")},
            "max_batch": entry.whole("maxBatchSize") or None,
            "max_queue": _read_max_queue(entry, name, performance),
            **_read_current(entry, allocation, name, accelerators),
        }
        entry.pass_over("desiredAlloc")
        found[name] = entry.entry(values, _SERVER_MEMBERS)
    return Named(found, group.is_sound)


def with_default_class(classes: Named, services: Named) -> list[Entry]:
    """Collect the classes, with the class `Free` if services need it and it is not defined."""
    entries = classes.sound()
    if _DEFAULT_CLASS not in classes.entries:
        needing = [entry for entry in services.sound() if entry.values["class"] == _DEFAULT_CLASS]
        values: dict[str, object] = {"name": _DEFAULT_CLASS, "priority": _LOWEST_PRIORITY}
        entries += [Entry(entry.record, values, {}) for entry in needing[:1]]
    return entries


def _read_model(entry: Record, performance: Performance) -> str:
    model = entry.text("model", required="a model's name")
    if model and performance.models.lacks(model):
        hint = suggestion(model, performance.models.entries, "models with performance data")
        entry.fault("model", "has no performance data on any accelerator", hint=hint)
    return model


def _read_class(entry: Record, name: str, model: str, classes: Named) -> str:
    """Read the class, and check that it has targets for the model, unless that is ""."""
    given = entry.text("class")
    class_name = given or _DEFAULT_CLASS
    if not given:
        text = f"servers without class: the class {_DEFAULT_CLASS} is taken, as in Go"
        entry.ledger.note(text, name)
        if classes.lacks(class_name):
            text = f"the class {_DEFAULT_CLASS} is not in the document: added without targets"
            entry.ledger.note(f"{text}, where Go leaves its servers unserved", name)
            return class_name
    found = classes.entries.get(class_name)
    if classes.lacks(class_name):
        hint = suggestion(class_name, classes.entries, "classes")
        entry.fault("class", "is no service class of the document", hint=hint)
    elif found is not None and model and not _has_targets(found, model):
        entry.fault(
            "class",
            f"{class_name!r} has no targets for model {model!r}: must have, as inferno serves no "
            "server without",
            hint="add the model to its modelTargets; without slo-itl, slo-ttft and slo-tps it "
            "is served at best effort",
        )
    return class_name


def _has_targets(found: Entry, model: str) -> bool:
    slos = found.values["slos"]
    return isinstance(slos, list) and any(slo["model"] == model for slo in slos)


def _read_load(allocation: Record, name: str) -> dict[str, float]:
    load, ledger = allocation.record("load"), allocation.ledger
    rate, output = load.number("arrivalRate"), load.number("avgOutTokens")
    values = {"input_tokens": load.number("avgInTokens")}
    load.pass_over("throughput")
    if not output:
        text = "avgOutTokens missing or 0: no load, as in Go; output length 1 is written"
        ledger.note(text, name)
        return values | {"arrival_rate_rps": 0.0, "output_tokens": 1.0}
    if not load.has("arrivalRate"):
        ledger.note("arrivalRate missing: no load, as in Go", name)
    if not load.has("avgInTokens"):
        ledger.note("avgInTokens missing: prompts of 0 tokens, as in Go", name)
    return values | {"arrival_rate_rps": rate / SECONDS_PER_MINUTE, "output_tokens": output}


def _read_max_queue(entry: Record, name: str, performance: Performance) -> int | None:
    """Read `maxQueueSize`, which only the 3-parameter generation knows."""
    size = entry.whole("maxQueueSize")
    if not size or performance.is_iteration_only:
        return size or None
    text = "maxQueueSize with decodeParms and prefillParms: not carried over, 10 batches may wait"
    entry.ledger.note(text, name)
    return None


def _read_current(
    entry: Record, allocation: Record, name: str, accelerators: Named
) -> dict[str, object]:
    """Read what serves it today, and whether that pins its accelerator."""
    ledger = entry.ledger
    accelerator = allocation.text("accelerator")
    current = {
        "accelerator": accelerator,
        "replicas": allocation.whole("numReplicas"),
        "max_batch": allocation.whole("maxBatch") or None,
        "cost_per_hour": allocation.number("cost") / CENTS_PER_USD,
    }
    allocation.pass_over("itlAverage", "ttftAverage", "waitAverage")
    keeps = entry.flag("keepAccelerator")
    if not accelerator:
        if keeps:
            ledger.note("keepAccelerator without a current accelerator: no effect, as in Go", name)
        if current["replicas"] or current["cost_per_hour"]:
            ledger.note("currentAlloc without accelerator: not carried over", name)
        return {}
    if accelerators.lacks(accelerator):
        if keeps:
            hint = suggestion(accelerator, accelerators.entries, "accelerators")
            message = "is no accelerator of the document, and keepAccelerator pins the server to it"
            entry.fault("currentAlloc.accelerator", message, hint=hint)
        text = "currentAlloc on an accelerator that is not in the document: not carried over"
        ledger.note(text, name)
        return {}
    if current["replicas"] and not allocation.has("cost"):
        ledger.note("currentAlloc without cost: 0 is taken, as in Go", name)
    return {"current": current} | ({"accelerator": accelerator} if keeps else {})
