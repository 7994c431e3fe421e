"""The plain model in PuLP, solved by the CBC that PuLP brings."""

from __future__ import annotations

import re
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.found import Found, matrix
from solvers import AllocationProblem


def find(problem: AllocationProblem, limit_s: float, gap: float) -> Found:
    """One binary per column, a row per group and per resource; the bound is in CBC's log."""
    import pulp

    usage = matrix(problem).tocsr()
    model = pulp.LpProblem("plain", pulp.LpMinimize)
    x = [pulp.LpVariable(f"x{j}", cat="Binary") for j in range(problem.columns)]
    model += pulp.lpSum(c * v for c, v in zip(problem.cost, x, strict=True))
    members: dict[int, list[pulp.LpVariable]] = {}
    for v, g in zip(x, problem.group, strict=True):
        members.setdefault(int(g), []).append(v)
    for group in members.values():
        model += pulp.lpSum(group) == 1
    for i in range(problem.rows):
        row = usage[[i]].tocoo()
        use = pulp.lpSum(a * x[j] for a, j in zip(row.data, row.coords[-1], strict=True))
        model += use <= problem.capacity[i]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        model.solve(
            pulp.PULP_CBC_CMD(msg=False, threads=1, timeLimit=limit_s, gapRel=gap, logPath=str(log))
        )
        said = log.read_text(encoding="utf-8")
    value = pulp.value(model.objective) if model.sol_status > 0 else None
    bound = re.search(r"Lower bound:\s+(\S+)", said)
    if bound is not None:
        proven: float | None = float(bound[1])
    else:
        proven = value if "Optimal solution found" in said else None
    return Found(value, proven, f"PuLP {version('pulp')}, CBC")
