"""A small private reader of the Go core's outputs: candidates as array problems."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solvers import AllocationProblem

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "inferno"


@dataclass(frozen=True)
class ReferenceFleet:
    """Servers and their candidates; index 0.. in the order of the file."""

    servers: list[str]
    priority: list[int]
    candidates: dict[str, list[dict[str, Any]]]

    def problem(
        self, capacity: dict[str, int] | None, *, objective: str = "cost"
    ) -> AllocationProblem:
        """One group per server: its candidates and one unserved column of cost 0."""
        kinds = sorted({c["type"] for cs in self.candidates.values() for c in cs})
        cost: list[float] = []
        group: list[int] = []
        unserved: list[bool] = []
        parts: list[int] = []
        entries: list[tuple[int, int, float]] = []
        for index, server in enumerate(self.servers):
            for candidate in self.candidates[server]:
                if candidate["units"]:
                    entries.append((kinds.index(candidate["type"]), len(cost), candidate["units"]))
                cost.append(candidate[objective])
                parts.append(max(candidate["replicas"], 1))
                group.append(index)
                unserved.append(False)
            cost.append(0.0)
            parts.append(1)
            group.append(index)
            unserved.append(True)
        usage = np.zeros((len(kinds), len(cost)))
        for row, column, units in entries:
            usage[row, column] = units
        limits = [np.inf if capacity is None else capacity.get(kind, 0) for kind in kinds]
        return AllocationProblem(
            cost, usage, limits, group, priority=self.priority, unserved=unserved, parts=parts
        )

    def unserved_by_priority(self, allocated: set[str]) -> tuple[int, ...]:
        levels = sorted(set(self.priority))
        return tuple(
            sum(
                p == level and s not in allocated
                for s, p in zip(self.servers, self.priority, strict=True)
            )
            for level in levels
        )


def load(path: str) -> Any:
    file = DATA / path
    if not file.exists():
        pytest.skip(f"the shared reference data is not here: {path}")
    return json.loads(file.read_text(encoding="utf-8"))


def fleet(results: dict[str, Any], instance: dict[str, Any]) -> ReferenceFleet:
    """Join candidates with the priorities of the instance's service classes."""
    system = instance["system"]
    classes = {c["name"]: c["priority"] for c in system["serviceClassData"]["serviceClasses"]}
    of_server = {s["name"]: classes[s["class"]] for s in system["serverData"]["servers"]}
    servers = [name for name in of_server if name in results["candidates"]]
    return ReferenceFleet(servers, [of_server[s] for s in servers], results["candidates"])


def instance_capacity(instance: dict[str, Any]) -> dict[str, int]:
    return {c["type"]: c["count"] for c in instance["system"]["capacityData"]["count"]}


# entry of greedy_vs_exact.json -> (results file, instance file, name of the run or None)
EXACT_ENTRIES = {
    "wva-sample-small": ("wva-sample-small-limited", "wva-sample-small-limited", None),
    "light-sample-small": ("light-sample-small-limited", "light-sample-small-limited", None),
    "wva-10x9-limited": ("wva-10x9", "wva-10x9", "limited"),
    "wva-10x9-scarce": ("wva-10x9", "wva-10x9", "scarce"),
    "light-10x9-limited": ("light-10x9", "light-10x9", "limited"),
    "light-10x9-scarce": ("light-10x9", "light-10x9", "scarce"),
    "wva-100x9-limited": ("wva-100x9", "wva-100x9", "limited"),
    "wva-100x9-scarce": ("wva-100x9", "wva-100x9", "scarce"),
}


def entry_problem(entry: str) -> tuple[ReferenceFleet, AllocationProblem]:
    """Build the problem of one entry of greedy_vs_exact.json."""
    results_name, instance_name, run = EXACT_ENTRIES[entry]
    results = load(f"results/{results_name}.json")
    instance = load(f"instances/{instance_name}.json")
    reference = fleet(results, instance)
    if run is None:
        capacity = instance_capacity(instance)
    else:
        capacity = next(r["capacity"] for r in results["results"] if r["name"] == run)
    return reference, reference.problem(capacity)
