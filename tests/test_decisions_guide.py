"""What the guide on decisions tells people to type works, and its examples are as it says."""

from __future__ import annotations

import json
import re

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY, run

GUIDE = (REPOSITORY / "docs/guides/decisions.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^fleetopt (.*)$", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_guide_works(command: str) -> None:
    """Each exits with 0."""
    done = run(*command.split())
    assert done.returncode == ExitCode.OK, done.stderr


def test_quality_rules_decide_the_precision_of_the_example() -> None:
    """Chat takes fp8 on two cards; contracts, whose class allows 16 bits alone, four in bf16."""
    done = run("solve", "examples/configurations.yaml", "--json")
    plan = json.loads(done.stdout)
    chosen = {a["service"]: a["configuration"] for a in plan["allocations"]}
    assert chosen == {"chat": "x2 TP2 fp8", "contracts": "x4 TP4 bf16"}


def test_two_services_of_the_example_cannot_share_the_store_that_both_prefer() -> None:
    """`support` and `assistant` would each take `cache` alone; one of them gives way."""
    done = run("solve", "examples/kv-storage.yaml", "--json")
    plan = json.loads(done.stdout)
    stores = {a["service"]: a["storage"]["store"] for a in plan["allocations"]}
    assert stores == {"support": "nvme", "assistant": "cache", "search": "nvme"}


def test_the_example_prefills_and_decodes_on_different_accelerators() -> None:
    """Chat's prompts on L40S, its tokens on H100, each in numbers of their own."""
    done = run("solve", "examples/disaggregated.yaml", "--json")
    pools = [a for a in json.loads(done.stdout)["allocations"] if a["service"] == "chat"]
    assert [(a["role"], a["accelerator"], a["replicas"]) for a in pools] == [
        ("prefill", "L40S", 3),
        ("decode", "H100", 1),
    ]


def test_the_example_shares_one_replica_and_leaves_the_tight_class_apart() -> None:
    """`summaries` is served by the replica of `assistant`, `typing` has its own: 2 L40S."""
    done = run("solve", "examples/shared-replicas.yaml", "--json")
    plan = json.loads(done.stdout)
    replicas = {a["service"]: (a["replicas"], a.get("replicas_of")) for a in plan["allocations"]}
    assert replicas == {"typing": (1, None), "assistant": (1, None), "summaries": (0, "assistant")}
    assert plan["total_cost_per_hour"] == 3.8
