"""The profile of a model, or of a device, in a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from optimizer.errors import Fault, SpecError
from optimizer.kv.profiles.database import ProfileDatabase
from optimizer.kv.profiles.interpolation import ProfiledPrefill
from optimizer.kv.profiles.records import DeviceProfile

__all__ = ["device_profile_of", "profile_of"]


def profile_of(path: str, model: str, accelerator: str | None) -> ProfiledPrefill:
    """Return the prefill profile of a model on an accelerator.

    Parameters
    ----------
    path
        The database.
    model
        Name.
    accelerator
        None: the only one that there is.

    Raises
    ------
    SpecError
        If there is none, or several accelerators and none is named; says what there is.
    """
    with ProfileDatabase(path) as database:
        points = database.prefills(model)
        models = sorted({point.model for point in database.prefills()})
    if not points:
        near = get_close_matches(model, models, n=3, cutoff=0.3)
        message = f"has no prefill of {model!r}; it has {', '.join(near or models) or 'none'}"
        raise SpecError([Fault(message, source=path)])
    there = sorted({point.accelerator for point in points})
    if accelerator is None and len(there) > 1:
        raise SpecError([Fault(f"name one: {', '.join(there)}", path="accelerator")])
    chosen = accelerator or there[0]
    if chosen not in there:
        message = f"is not measured with {model}; there is {', '.join(there)}"
        raise SpecError([Fault(message, path="accelerator", value=repr(chosen))])
    return ProfiledPrefill.of_records([point for point in points if point.accelerator == chosen])


def device_profile_of(
    path: str, device: str, *, tokens: float, model: str | None, accelerator: str | None
) -> DeviceProfile | None:
    """Return what was measured of a device, for a context.

    What was measured with the model and the accelerator goes before what holds for any. Between
    contexts bandwidth and latency lie on straight lines; outside them holds what was measured
    with any context.

    Parameters
    ----------
    path
        The database.
    device
        Name.
    tokens
        Context that is loaded.
    model
        None: a profile of one model does not count.
    accelerator
        None: the only one that there is.

    Returns
    -------
    DeviceProfile or None
        None where the database does not know the device.

    Raises
    ------
    SpecError
        If it was measured, but not with these; says with what.
    """
    with ProfileDatabase(path) as database:
        records = database.devices(device)
    if not records:
        return None
    fitting = [
        record
        for record in records
        if record.model in ("", model)
        and (accelerator is None or record.accelerator in ("", accelerator))
    ]
    if not fitting:
        known = ", ".join(sorted({_measured_with(record) for record in records}))
        raise SpecError([Fault(f"was measured with {known} alone", "device", repr(device))])
    closest = max(map(_closeness, fitting))
    points = [record for record in fitting if _closeness(record) == closest]
    accelerators = sorted({record.accelerator for record in points})
    if len(accelerators) > 1:
        raise SpecError([Fault(f"name one: {', '.join(accelerators)}", path="accelerator")])
    return _at(points, tokens)


def _closeness(record: DeviceProfile) -> tuple[bool, bool]:
    return record.model != "", record.accelerator != ""


def _measured_with(record: DeviceProfile) -> str:
    return " on ".join(part or "any" for part in (record.model, record.accelerator))


def _at(points: Sequence[DeviceProfile], tokens: float) -> DeviceProfile:
    """Interpolate between the contexts measured."""
    measured = sorted((p for p in points if p.context_tokens), key=lambda p: p.context_tokens)
    contexts = [p.context_tokens for p in measured]
    if measured and contexts[0] <= tokens <= contexts[-1]:
        bandwidth = np.interp(tokens, contexts, [p.bandwidth_gb_s for p in measured])
        latency = np.interp(tokens, contexts, [p.latency_ms for p in measured])
        return replace(
            measured[0],
            bandwidth_gb_s=float(bandwidth),
            latency_ms=float(latency),
            source="; ".join(dict.fromkeys(p.source for p in measured if p.source)),
        )
    for point in points:
        if not point.context_tokens:
            return point
    message = (
        f"the profile of {measured[0].device} holds from {contexts[0]:,} to {contexts[-1]:,} "
        "tokens: measure there, or give its figures"
    )
    raise SpecError([Fault(message, path="tokens", value=f"{tokens:,.0f}")])
