"""The plain model in SCIP."""

from __future__ import annotations

from benchmarks.peers.found import Found, matrix
from solvers import AllocationProblem


def find(problem: AllocationProblem, limit_s: float, gap: float) -> Found:
    """One binary per column."""
    import pyscipopt

    usage = matrix(problem).tocsr()
    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("limits/time", limit_s)
    model.setParam("limits/gap", gap)
    model.setParam("lp/threads", 1)
    x = [model.addVar(vtype="B", obj=float(c)) for c in problem.cost]
    members: dict[int, list[object]] = {}
    for v, g in zip(x, problem.group, strict=True):
        members.setdefault(int(g), []).append(v)
    for group in members.values():
        model.addCons(pyscipopt.quicksum(group) == 1)
    for i in range(problem.rows):
        row = usage[[i]].tocoo()
        pairs = zip(row.data, row.coords[-1], strict=True)
        model.addCons(
            pyscipopt.quicksum(float(a) * x[j] for a, j in pairs) <= float(problem.capacity[i])
        )
    model.optimize()
    found = model.getNSols() > 0
    return Found(
        model.getObjVal() if found else None,
        model.getDualbound(),
        f"SCIP {model.version()}",
    )
