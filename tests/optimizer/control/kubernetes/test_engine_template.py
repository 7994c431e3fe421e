"""The settings of engines in pod templates: found, changed in their place, and never by a shell."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer.control.errors import ControlError
from optimizer.control.kubernetes.engine_template import (
    EngineSetting,
    EngineTemplateSpec,
    settings_of,
    template_change,
)
from optimizer.spec import FleetSpec
from tests.optimizer.control.fleets import variant

SPEC = EngineTemplateSpec.model_validate(
    {
        "container": "engine",
        "arguments": {"max_batch": "--max-num-seqs", "tensor_parallel": "--tensor-parallel-size"},
        "cards_resource": "nvidia.com/gpu",
    }
)


def deployment(args: list[str], **container: Any) -> dict[str, Any]:
    whole = {"name": "engine", "args": args, **container}
    return {
        "spec": {
            "strategy": {"type": "Recreate"},
            "template": {"spec": {"containers": [{"name": "side", "args": ["x"]}, whole]}},
        }
    }


def arguments(change: dict[str, Any] | None) -> list[str]:
    assert change is not None
    (container,) = change["template"]["spec"]["containers"]
    assert container["name"] == "engine"
    return list(container["args"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["--model", "m", "--max-num-seqs=8"], ["--model", "m", "--max-num-seqs=64"]),
        (["--max-num-seqs", "8", "--x"], ["--max-num-seqs", "64", "--x"]),
        (["--x"], ["--x", "--max-num-seqs=64"]),
        (["--max-num-seqs-extra=1"], ["--max-num-seqs-extra=1", "--max-num-seqs=64"]),
        ([], ["--max-num-seqs=64"]),
    ],
)
def test_an_argument_is_changed_in_its_place(before: list[str], after: list[str]) -> None:
    """In either of its two forms; one that is not there is added at the end."""
    wanted = {EngineSetting.MAX_BATCH: "64"}
    change = template_change(deployment(before), SPEC, wanted, 1)
    assert arguments(change) == after


def test_what_is_so_is_left() -> None:
    """No change is no patch: nothing is rolled out for it."""
    limits = {"limits": {"nvidia.com/gpu": "2"}}
    found = deployment(["--max-num-seqs=64"], resources=limits)
    assert template_change(found, SPEC, {EngineSetting.MAX_BATCH: "64"}, 2) is None
    change = template_change(found, SPEC, {EngineSetting.MAX_BATCH: "64"}, 4)
    assert change is not None
    (container,) = change["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "4"}


def test_a_shell_is_refused() -> None:
    """What a shell would read is no list of arguments."""
    found = deployment(["-c", "vllm serve"], command=["/bin/sh"])
    with pytest.raises(ControlError, match="through a shell"):
        template_change(found, SPEC, {EngineSetting.MAX_BATCH: "64"}, 1)


def test_an_absent_container_is_told() -> None:
    """With those that there are."""
    found = deployment([])
    found["spec"]["template"]["spec"]["containers"].pop()
    with pytest.raises(ControlError, match="no container 'engine'; its containers: side"):
        template_change(found, SPEC, {}, 1)


@pytest.mark.parametrize(
    ("strategy", "well"),
    [
        ({}, False),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}, False),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0}}, True),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "0%"}}, True),
    ],
)
def test_a_rollout_that_surges_is_refused(strategy: dict[str, Any], well: bool) -> None:
    """More pods than replicas would hold cards that nobody counted."""
    found = deployment([])
    found["spec"]["strategy"] = strategy
    if well:
        assert template_change(found, SPEC, {}, 1) is not None
        return
    with pytest.raises(ControlError, match="maxSurge to 0"):
        template_change(found, SPEC, {}, 1)


def test_settings_come_from_the_fleet(fleet: FleetSpec) -> None:
    """The variant's batch, and what its performance entry states."""
    assert settings_of(fleet, variant("chat")) == {EngineSetting.MAX_BATCH: "64"}
