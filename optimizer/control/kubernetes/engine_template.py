"""Settings of an engine in the pod template of its deployment: how they are told and changed.

Settings stand in the container's list of arguments, as `--flag=value` or as `--flag`, `value`. They
are replaced entry by entry: no text is put together that a shell would read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import Field

from optimizer.control.errors import ControlError
from optimizer.control.spec import Variant
from optimizer.spec.base import Name, SpecModel
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["EngineSetting", "EngineTemplateSpec", "settings_of", "template_change"]

Json = Mapping[str, Any]


class EngineSetting(StrEnum):
    """What of a variant an engine is started with."""

    MAX_BATCH = "max_batch"
    TENSOR_PARALLEL = "tensor_parallel"
    PIPELINE_PARALLEL = "pipeline_parallel"
    KV_PRECISION = "kv_precision"
    CHUNK_TOKENS = "chunk_tokens"


class EngineArgumentsSpec(SpecModel):
    """Arguments of the engine's command line for the settings that are to follow the plan."""

    max_batch: Name | None = Field(default=None, description="Such as --max-num-seqs.")
    tensor_parallel: Name | None = Field(
        default=None, description="Such as --tensor-parallel-size."
    )
    pipeline_parallel: Name | None = Field(
        default=None, description="Such as --pipeline-parallel-size."
    )
    kv_precision: Name | None = Field(default=None, description="Such as --kv-cache-dtype.")
    chunk_tokens: Name | None = Field(default=None, description="Such as --max-num-batched-tokens.")


class EngineTemplateSpec(SpecModel):
    """Where the settings of a variant stand in its deployment's pod template."""

    container: Name = Field(description="Container of the engine.")
    arguments: EngineArgumentsSpec = Field(description="Its arguments.")
    cards_resource: Name | None = Field(
        default=None,
        description="Resource whose limit is the cards of a replica, such as nvidia.com/gpu; by "
        "default limits are not touched.",
    )


def settings_of(fleet: FleetSpec, variant: Variant) -> dict[EngineSetting, str]:
    """Return what the engines of a variant are to be started with, as far as the fleet says."""
    model = next((s.model for s in fleet.services if s.name == variant.service), None)
    found: dict[EngineSetting, object] = {EngineSetting.MAX_BATCH: variant.max_batch}
    for entry in fleet.performance:
        place = (entry.model, entry.accelerator, entry.configuration)
        if place == (model, variant.accelerator, variant.configuration):
            found |= {
                EngineSetting.TENSOR_PARALLEL: entry.tensor_parallel,
                EngineSetting.PIPELINE_PARALLEL: entry.pipeline_parallel,
                EngineSetting.KV_PRECISION: entry.kv_precision,
                EngineSetting.CHUNK_TOKENS: entry.chunk_tokens,
            }
    return {setting: str(value) for setting, value in found.items() if value is not None}


def template_change(
    deployment: Json, spec: EngineTemplateSpec, wanted: Mapping[EngineSetting, str], cards: int
) -> dict[str, Any] | None:
    """Return what to merge into a deployment's `spec` (strategically); None where it is so.

    Raises
    ------
    ControlError
        If the deployment has no such container, starts it through a shell, or would surge beyond
        its replicas while it is rolled out.
    """
    containers = deployment["spec"]["template"]["spec"].get("containers") or ()
    container = next((c for c in containers if c.get("name") == spec.container), None)
    if container is None:
        names = ", ".join(str(c.get("name")) for c in containers)
        raise ControlError(f"has no container '{spec.container}'; its containers: {names}")
    if any(str(word).rpartition("/")[2] in ("sh", "bash") for word in container.get("command", ())):
        raise ControlError("starts its engine through a shell: give command and args as lists")
    arguments = [str(argument) for argument in container.get("args") or ()]
    for setting, value in wanted.items():
        flag = getattr(spec.arguments, setting.value)
        if flag is not None:
            arguments = _with(arguments, flag, value)
    change: dict[str, Any] = {}
    if arguments != list(container.get("args") or ()):
        change["args"] = arguments
    if spec.cards_resource is not None:
        limits = (container.get("resources") or {}).get("limits") or {}
        if str(limits.get(spec.cards_resource)) != str(cards):
            both = {spec.cards_resource: str(cards)}
            change["resources"] = {"limits": both, "requests": both}
    if not change:
        return None
    if not _stays_within(deployment["spec"].get("strategy") or {}):
        raise ControlError(
            "would hold more cards than its replicas while it is rolled out: set its strategy to "
            "Recreate, or maxSurge to 0"
        )
    return {"template": {"spec": {"containers": [{"name": spec.container, **change}]}}}


def _with(arguments: Sequence[str], flag: str, value: str) -> list[str]:
    """Return arguments with one of them set: in its place, or at the end."""
    found = list(arguments)
    for place, argument in enumerate(found):
        if argument.startswith(f"{flag}="):
            found[place] = f"{flag}={value}"
            return found
        if argument == flag and place + 1 < len(found):
            found[place + 1] = value
            return found
    return [*found, f"{flag}={value}"]


def _stays_within(strategy: Json) -> bool:
    """Whether a rollout never has more pods than replicas."""
    if strategy.get("type") == "Recreate":
        return True
    surge = (strategy.get("rollingUpdate") or {}).get("maxSurge", "25%")
    return str(surge) in ("0", "0%")
