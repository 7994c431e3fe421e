"""The KV and capacity pages: what `fleetopt kv` and `fleetopt capacity` compute, and say so."""

from __future__ import annotations

import shlex
from typing import Any

from optimizer.capacity import EngineSettings, ModelArchitecture, deployment_memory
from optimizer.catalog import UnknownEntryError, configuration_names, model
from optimizer.dashboard.bodies import CapacityBody, KvBody
from optimizer.errors import Fault, SpecError
from optimizer.kv import (
    BYTES_PER_ELEMENT,
    KvDemand,
    KvShape,
    LoadOverheads,
    QuadraticPrefill,
    RatioPolicy,
    SelectionPolicy,
    architecture_limits,
)
from optimizer.kv.device_study import study_devices
from optimizer.kv.device_text import catalogue_devices
from optimizer.kv.ratio_study import study_ratio
from optimizer.report.html import kv_fragment, memory_fragment

__all__ = ["capacity_answer", "kv_answer"]


def kv_answer(asked: KvBody) -> dict[str, Any]:
    """Choose ratio and device for a KV cache, with what `fleetopt kv` takes for granted.

    Raises
    ------
    SpecError
        If the catalogue has no such model or device, or a figure is out of range.
    """
    devices = {device.name: device for device in catalogue_devices()}
    if asked.device not in devices:
        raise SpecError([Fault("must be a device of the catalogue", "device", asked.device)])
    try:
        facts = model(asked.model)
    except UnknownEntryError as error:
        raise SpecError([Fault(str(error), "model")]) from error
    shape = KvShape.of_model(facts, bytes_per_element=BYTES_PER_ELEMENT[asked.kv_precision])
    law = QuadraticPrefill.through(1e3 * asked.prefill_s, asked.context_tokens)
    rules = RatioPolicy(minimum_ratio=asked.minimum_ratio)
    ratio = study_ratio(
        shape,
        asked.context_tokens,
        law,
        devices[asked.device],
        policy=rules,
        overheads=LoadOverheads(),
        limits=architecture_limits(facts, asked.context_tokens),
    )
    demand = KvDemand(
        shape=shape, tokens=asked.context_tokens, prefill=law.time(asked.context_tokens)
    )
    places = study_devices(
        demand,
        tuple(devices.values()),
        policy=SelectionPolicy(ratio=asked.minimum_ratio, ratios=rules),
    )
    common = (
        f"--model {shlex.quote(asked.model)} --context-tokens {asked.context_tokens:g} "
        f"--prefill-s {asked.prefill_s:g} --kv-precision {asked.kv_precision} "
        f"--min-ratio {asked.minimum_ratio:g}"
    )
    commands = (
        f"fleetopt kv ratio {common} --device {shlex.quote(asked.device)} --json",
        f"fleetopt kv device {common} --json",
    )
    return {
        "html": kv_fragment(ratio, places, commands),
        "commands": commands,
        "ratio": ratio.model_dump(mode="json"),
        "devices": places.model_dump(mode="json"),
    }


def capacity_answer(asked: CapacityBody) -> dict[str, Any]:
    """Divide an accelerator's memory for a model, as `fleetopt capacity memory` does.

    Raises
    ------
    SpecError
        If the catalogue has no such model.
    CapacityError, UnknownEntryError
        If the model cannot be served so, or the accelerator is unknown.
    """
    # Any other text would be a path to open.
    if asked.model not in configuration_names():
        raise SpecError([Fault("must be a model of the catalogue", "model", asked.model)])
    lengths = sorted(set(asked.context_lengths))
    found = deployment_memory(
        ModelArchitecture(asked.model, kv_dtype=asked.kv_dtype),
        asked.accelerator,
        context_lengths=lengths,
        tensor_parallel=asked.tensor_parallel,
        kv_dtype=asked.kv_dtype,
        settings=EngineSettings(utilization=asked.utilization, max_num_seqs=1024),
    )
    command = shlex.join(
        [
            *("fleetopt", "capacity", "memory", asked.model, asked.accelerator),
            *("--tensor-parallel", f"{asked.tensor_parallel}", "--kv-dtype", asked.kv_dtype),
            *("--utilization", f"{asked.utilization:g}"),
            *("--context-lengths", ",".join(map(str, lengths)), "--json"),
        ]
    )
    return {
        "html": memory_fragment(found, command),
        "command": command,
        "kv_tokens": found.budget.kv_tokens,
        "concurrency": [entry.engine_logged for entry in found.concurrency],
    }
