"""Mélange's model as published: a binary per slice and type, PuLP and CBC; and ours beside it.

Griggs et al. (2024), arXiv:2404.14527, section 5: every slice of the load goes to one type, types
are bought in whole numbers, and a type's slices use at most what was bought of it.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peers.found import Found

# Throughputs up to this mean that a type cannot serve a bucket.
_NOTHING = 1e-6


def published(path: Path, limit_s: float) -> Found:
    """Cost per hour of the least set of whole accelerators, by slices."""
    import pulp

    document = json.loads(path.read_text(encoding="utf-8"))
    kinds: dict[str, Any] = document["gpu_info"]
    model = pulp.LpProblem("slices", pulp.LpMinimize)
    bought = {kind: pulp.LpVariable(f"y_{n}", 0, cat="Integer") for n, kind in enumerate(kinds)}
    model += pulp.lpSum(kinds[kind]["cost"] * y for kind, y in bought.items())
    used: dict[str, list[Any]] = {kind: [] for kind in kinds}
    for place, rate in _slices(document):
        x = {kind: pulp.LpVariable(f"x{place}_{n}", cat="Binary") for n, kind in enumerate(kinds)}
        model += pulp.lpSum(x.values()) == 1
        for kind, variable in x.items():
            throughput = kinds[kind]["tputs"][place[0]][place[1]]
            if throughput <= _NOTHING:
                model += variable == 0
            else:
                used[kind].append(rate / throughput * variable)
    for kind, terms in used.items():
        model += pulp.lpSum(terms) <= bought[kind]
    model.solve(pulp.PULP_CBC_CMD(msg=False, threads=1, timeLimit=limit_s))
    # Where CBC ran into its limit PuLP still says Optimal: the second status tells.
    value = pulp.value(model.objective) if model.sol_status > 0 else None
    proven = model.sol_status == pulp.LpSolutionOptimal
    return Found(value, value if proven else None, f"PuLP {version('pulp')}, CBC")


def _slices(document: dict[str, Any]) -> list[tuple[tuple[int, int, int], float]]:
    """Cut every bucket's rate into equal slices."""
    parts, total = document["slice_factor"], document["total_request_rate"]
    return [
        ((i, j, part), share * total / parts)
        for i, row in enumerate(document["workload_distribution"])
        for j, share in enumerate(row)
        if share > 0
        for part in range(parts)
    ]


def ours(path: Path, limit_s: float) -> Found:
    """Cost per hour of our plan, whose shares are not cut into slices."""
    import optimizer as fo

    plan = fo.optimize(fo.load(path), time_limit_s=limit_s)
    return Found(
        plan.total_cost_per_hour, plan.dual_bound, f"fleetopt {version('fleetopt')}, {plan.solver}"
    )
