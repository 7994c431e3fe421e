"""What an inferno system can use: accelerators, their number, and how fast models run on them.

Money is cents per hour there. Missing and zero are the same there, as Go's decoder makes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.spec.inferno_reader import Entry, Named, Record

__all__ = [
    "CENTS_PER_USD",
    "REPEATED",
    "Performance",
    "read_accelerators",
    "read_capacities",
    "read_performance",
]

CENTS_PER_USD = 100
REPEATED = "given more than once, the last counts as in Go"

_ACCELERATOR_MEMBERS = {
    "name": "name",
    "type": "type",
    "cards": "multiplicity",
    "memory_gb": "memSize",
    "bandwidth_gb_s": "memBW",
    "power": "power",
    "power.idle_w": "power.idle",
    "power.full_w": "power.full",
    "power.mid_w": "power.midPower",
    "power.mid_utilization": "power.midUtil",
    "cost_per_hour": "cost",
}
_CAPACITY_MEMBERS = {"type": "type", "cards": "count"}
_PERFORMANCE_MEMBERS = {
    "model": "name",
    "accelerator": "acc",
    "instances": "accCount",
    "max_batch": "maxBatchSize",
    "max_batch_at_output_tokens": "atTokens",
    "prefill_decode": "decodeParms",
    "iteration": "perfParms",
    "iteration.base_ms": "perfParms.alpha",
}


def read_accelerators(group: Record) -> Named:
    """Read `acceleratorData`."""
    found: dict[str, Entry | None] = {}
    for entry in group.records("accelerators", required="accelerator"):
        name = entry.text("name", required="the accelerator's name")
        card_type, cards = entry.text("type"), entry.whole("multiplicity")
        note = entry.ledger.note
        if name in found:
            note(f"accelerators {REPEATED}", name)
        if not card_type:
            note("accelerators without type: their own name is taken", name)
        if not cards:
            note("accelerators with multiplicity missing or 0: one card is taken", name)
        if not entry.has("cost"):
            note("accelerators without cost: 0 is taken, as in Go", name)
        values: dict[str, object] = {
            "name": name,
            "type": card_type or None,
            "cards": cards or 1,
            "memory_gb": entry.number("memSize") or None,
            "bandwidth_gb_s": entry.number("memBW") or None,
            "power": _read_power(entry.record("power"), name),
            "cost_per_hour": entry.number("cost") / CENTS_PER_USD,
        }
        found[name] = entry.entry(values, _ACCELERATOR_MEMBERS)
    return Named(found, group.is_sound)


def _read_power(power: Record, name: str) -> dict[str, float] | None:
    idle, full = power.number("idle"), power.number("full")
    middle, utilization = power.number("midPower"), power.number("midUtil")
    if not idle and not full and not middle:
        return None
    has_middle = middle > 0 and 0 < utilization < 1
    if not idle <= (middle if has_middle else idle) <= full:
        text = "power curves that do not rise from idle over midPower to full: not carried over"
        power.ledger.note(text, name)
        return None
    curve = {"idle_w": idle, "full_w": full}
    if has_middle:
        return curve | {"mid_w": middle, "mid_utilization": utilization}
    if middle or utilization:
        text = "power curves without midPower > 0 and 0 < midUtil < 1: a straight line is taken"
        power.ledger.note(text, name)
    return curve


def read_capacities(group: Record, accelerators: Named, *, limited: bool) -> Named:
    """Read `capacityData`; where capacity is limited, a type without an entry has no cards."""
    ledger = group.ledger
    used = dict.fromkeys(
        str(entry.values["type"] or entry.values["name"]) for entry in accelerators.sound()
    )
    found: dict[str, Entry | None] = {}
    for entry in group.records("count"):
        card_type = entry.text("type", required="a type of accelerator")
        cards = entry.whole("count")
        if not entry.has("count"):
            ledger.note("capacities without count: 0 is taken, as in Go", card_type)
        if card_type in found:
            ledger.note(f"capacities {REPEATED}", card_type)
        found[card_type] = entry.entry({"type": card_type, "cards": cards}, _CAPACITY_MEMBERS)
    for card_type in [name for name in found if name not in used]:
        ledger.note("capacities of types that no accelerator has: left out", card_type)
        del found[card_type]
    for card_type in [name for name in used if limited and name not in found]:
        ledger.note("types without capacity: 0 cards, as in Go", card_type)
        found[card_type] = group.entry({"type": card_type, "cards": 0}, {})
    return Named(found, group.is_sound)


@dataclass(frozen=True, slots=True)
class Performance:
    """What `modelData` gives.

    Parameters
    ----------
    models
        Models that have performance data.
    rows
        Performance data, without rows that cannot be used.
    """

    models: Named
    rows: tuple[Entry, ...]

    @property
    def is_iteration_only(self) -> bool:
        """Whether only the 3-parameter generation of inferno can read the data."""
        return bool(self.rows) and not any("prefill_decode" in row.values for row in self.rows)


def read_performance(group: Record, accelerators: Named) -> Performance:
    """Read `modelData`: one row per model and accelerator."""
    models: dict[str, Entry | None] = {}
    rows: dict[tuple[str, str], Entry | None] = {}
    for entry in group.records("models", required="model"):
        name = entry.text("name", required="the model's name")
        accelerator = entry.text("acc", required="an accelerator's name")
        label = f"{name} on {accelerator}"
        values = {"model": name, "accelerator": accelerator, **_read_batch(entry, label)}
        timings = _read_timings(entry, label)
        if accelerators.lacks(accelerator):
            text = "performance on accelerators that are not in the document: left out"
            entry.ledger.note(text, label)
            continue
        if (name, accelerator) in rows:
            entry.ledger.note(f"performance {REPEATED}", label)
        rows[name, accelerator] = entry.entry(values | timings, _PERFORMANCE_MEMBERS)
        if entry.is_sound and not timings:
            entry.ledger.note("performance without timing other than 0: left out", label)
            rows[name, accelerator] = None
    usable = tuple(row for row in rows.values() if row)
    for row in usable:
        model = str(row.values["model"])
        models[model] = row.record.entry({"name": model}, {"name": "name"})
    return Performance(Named(models, group.is_sound and accelerators.is_complete), usable)


def _read_batch(entry: Record, label: str) -> dict[str, object]:
    instances = entry.whole("accCount", signed=True)
    if instances <= 0:
        entry.ledger.note("performance with accCount missing or <= 0: 1 is taken", label)
        instances = 1
    max_batch, at_tokens = entry.whole("maxBatchSize"), entry.number("atTokens")
    if not max_batch or not at_tokens:
        text = "performance with maxBatchSize or atTokens missing or 0: batches of 1, as in Go"
        entry.ledger.note(text, label)
        return {"instances": instances, "max_batch": 1}
    return {
        "instances": instances,
        "max_batch": max_batch,
        "max_batch_at_output_tokens": at_tokens,
    }


def _read_timings(entry: Record, label: str) -> dict[str, dict[str, float]]:
    """Read the parameters of both generations; a set of zeros is none."""
    timings: dict[str, dict[str, float]] = {}
    if entry.has("decodeParms") or entry.has("prefillParms"):
        decode, prefill = entry.record("decodeParms"), entry.record("prefillParms")
        _note_missing(entry, label, "decodeParms", "prefillParms")
        timings["prefill_decode"] = {
            "decode_base_ms": decode.number("alpha"),
            "decode_ms_per_request": decode.number("beta"),
            "prefill_base_ms": prefill.number("gamma"),
            "prefill_ms_per_token": prefill.number("delta"),
        }
    if entry.has("perfParms"):
        iteration = entry.record("perfParms")
        per_token = iteration.number("beta")
        timings["iteration"] = {
            "base_ms": iteration.number("alpha"),
            "decode_ms_per_token": per_token,
            "prefill_ms_per_token": per_token,
            "kv_ms_per_token": iteration.number("gamma"),
        }
    if not timings:
        old = "alpha and beta beside it are of an older inferno; " if entry.has("alpha") else ""
        entry.fault(
            "perfParms",
            "is missing, and so are decodeParms and prefillParms: must have timing parameters",
            hint=f"{old}give perfParms {{alpha, beta, gamma}}, or decodeParms {{alpha, beta}} and "
            "prefillParms {gamma, delta}",
        )
    for kind, timing in list(timings.items()):
        if entry.is_sound and not any(timing.values()):
            parameters = _PERFORMANCE_MEMBERS[kind]
            entry.ledger.note(f"{parameters} with every value 0: left out", label)
            del timings[kind]
    return timings


def _note_missing(entry: Record, label: str, *keys: str) -> None:
    for key in keys:
        if not entry.has(key):
            entry.ledger.note(f"performance without {key}: 0 ms is taken", label)
