"""Parts of a fleet that are not planned together: exit 3, and one line that says what to try."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import run
from tests.optimizer.fleet.fleets import service, two_types

LOAD = {"arrival_rate_rps": 9.0, "input_tokens": 100, "output_tokens": 11}
TWO_LOADS = {"scenarios": [{"name": "usual"}, {"name": "double", "factor": 2}]}
PERIODS = {"periods": [{"factor": 1}, {"factor": 2}]}
TIERS = [{"tier": "reserved", "instances": 1, "cost_per_hour": 1.0}, {"tier": "on-demand"}]
BUCKETS = {"shares": [[0.5, 0.5]], "input_tokens": [100], "output_tokens": [10, 20]}

# Command, the fleet's parts, those of x, those of B, and what the message ends with.
REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "a horizon and uncertain loads": (
        "horizon",
        {"horizon": PERIODS, "uncertainty": TWO_LOADS},
        {},
        {},
        "remove `horizon`, or `uncertainty` and forecast high loads",
    ),
    "a horizon and tiers": (
        "horizon",
        {"horizon": PERIODS},
        {},
        {"tiers": TIERS},
        "over a horizon say horizon.commitments",
    ),
    "a horizon and length buckets": (
        "horizon",
        {"horizon": PERIODS},
        {"length_buckets": BUCKETS},
        {},
        "describe it by load.input_tokens and load.output_tokens",
    ),
    "splitting and replicas that adapt": (
        "solve",
        {"uncertainty": {**TWO_LOADS, "replicas": "adapt"}},
        {"allocation": "split"},
        {},
        "replicas that are fixed can be planned for every scenario",
    ),
    "tiers and scenarios that may be given up": (
        "solve",
        {"uncertainty": {**TWO_LOADS, "serve_probability": 0.5}},
        {},
        {"tiers": TIERS},
        "or with probability_of: service",
    ),
    "survival with one accelerator": (
        "solve",
        {},
        {"survive": "zone"},
        {"zone": "east"},
        "set allocation: split",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_planned_together_says_what_to_try(tmp_path: Path, name: str) -> None:
    """The fleet's description is at fault, not the program, and the message names the remedy."""
    command, parts, own, machine, remedy = REFUSED[name]
    fleet = {**two_types(), **parts}
    fleet["services"] = [
        service("x", load=LOAD, max_batch=1, **own),
        service("y", load=LOAD, max_batch=1),
    ]
    fleet["accelerators"][1] |= machine
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(fleet))
    code, _, err = run(command, path)
    assert code == ExitCode.SPEC_INVALID
    assert remedy in " ".join(err.split())
