"""Fleets whose services may share replicas: what it saves, and what it takes to find out.

Run by `python -m benchmarks.shared_replicas [SERVICES] [SERVICES PER POOL]`.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Any

from optimizer.fleet import FleetProblem, build_problem
from optimizer.spec import FleetSpec, from_data
from solvers import solve

_SOLVERS = ("auto", "lagrangian", "highs", "cp-sat")
_LIMIT_S = 60.0
_GAP = 1e-4


def generated(services: int, per_pool: int, *, pooled: bool = True, seed: int = 0) -> FleetSpec:
    """Return services of three classes on four accelerators, in pools of so many each."""
    draw = random.Random(seed)
    models = [f"model-{i}" for i in range(max(services // per_pool, 1))]
    speeds = {"H100": (7.0, 8.0), "A100": (11.0, 4.0), "L40S": (20.0, 1.9), "L4": (45.0, 0.8)}
    performance = []
    for model in models:
        size = draw.uniform(0.7, 1.6)
        for name, (base, _) in speeds.items():
            times = {
                "base_ms": base * size,
                "decode_ms_per_token": 0.006 * base * size,
                "prefill_ms_per_token": 0.003 * base * size,
                "kv_ms_per_token": 1e-6 * base * size,
            }
            entry = {"model": model, "accelerator": name, "max_batch": 64, "iteration": times}
            performance.append(entry)
    classes = [
        _group("chat", 1, ("ttft_ms", "p95", 800.0), ("itl_ms", "mean", 60.0)),
        _group("tools", 1, ("ttft_ms", "p95", 400.0), ("itl_ms", "mean", 40.0)),
        _group("batch", 2, ("e2e_ms", "mean", 60_000.0), ("itl_ms", "mean", 150.0)),
    ]
    listed = []
    for i in range(services):
        place = i // per_pool % len(models)
        service: dict[str, Any] = {
            "name": f"service-{i}",
            "model": models[place],
            "class": ("chat", "tools", "batch")[i % 3],
            "load": {
                "arrival_rate_rps": round(draw.lognormvariate(-0.3, 1.0), 3),
                "input_tokens": draw.randint(100, 3000),
                "output_tokens": draw.randint(20, 400),
            },
        }
        if pooled:
            service["replica_pool"] = f"pool-{place}"
        listed.append(service)
    return from_data(
        {
            "name": "shared replicas",
            "accelerators": [{"name": n, "cost_per_hour": c} for n, (_, c) in speeds.items()],
            "capacities": [{"type": name, "cards": services // 2} for name in speeds],
            "models": [{"name": model} for model in models],
            "performance": performance,
            "classes": classes,
            "services": listed,
        }
    )


def _group(name: str, priority: int, *targets: tuple[str, str, float]) -> dict[str, Any]:
    listed = [{"metric": m, "statistic": s, "bound": bound} for m, s, bound in targets]
    return {"name": name, "priority": priority, "slos": [{"targets": listed}]}


def run(services: int, per_pool: int) -> None:
    """Print a row per fleet and solver: candidates, CPU seconds, cost per hour, gap."""
    print(f"{'fleet':<26}{'table s':>9}{'columns':>9}{'links':>7}", end="")
    print(f"{'solver':>12}{'cost/h':>10}{'gap':>10}{'CPU s':>8}")
    for pooled in (False, True):
        spec = generated(services, per_pool, pooled=pooled)
        began = time.process_time()
        problem = build_problem(spec)
        built = time.process_time() - began
        for solver in _SOLVERS:
            _show("shared" if pooled else "apart", problem, built, solver)


def _show(name: str, problem: FleetProblem, built: float, solver: str) -> None:
    arrays = problem.arrays
    assert arrays is not None
    began = time.process_time()
    result = solve(arrays, solver, relative_gap=_GAP, time_limit_s=_LIMIT_S)
    taken = time.process_time() - began
    links = 0 if arrays.links is None else arrays.links.rows
    fleet = f"{arrays.groups} services, {name}"
    print(f"{fleet:<26}{built:>9.1f}{arrays.columns:>9}{links:>7}", end="")
    print(f"{solver:>12}{result.primal_bound:>10.2f}{result.relative_gap:>10.1e}{taken:>8.2f}")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    run(*numbers) if len(numbers) == 2 else run(numbers[0] if numbers else 100, 4)
